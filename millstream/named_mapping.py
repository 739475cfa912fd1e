"""What the workspace has of one kind, as a mapping by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from orchestrator.core.names import suggestion

V = TypeVar("V")


class NamedMapping(Mapping[str, V], Generic[V]):
    """The things of one kind in the workspace, by name, as they are at each look. An unknown name raises KeyError."""

    def __init__(self, noun: str, names: Callable[[], list[str]], make: Callable[[str], V]) -> None:
        self._noun = noun
        self._names = names
        self._make = make

    def __getitem__(self, name: str) -> V:
        names = self._names()
        if name not in names:
            raise KeyError(f"There is no {name!r}. {suggestion(name, names, self._noun)}")
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self._names()))}}}"
