"""Refusing a keyword argument that is not known, with the one that was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.core.names import suggestion


def refuse_unknown(callee: Callable[..., Any], given: Mapping[str, Any], also: Iterable[str] = ()) -> None:
    """Raises TypeError if anything is `given`. `also` are names known beside those in the signature."""
    if not given:
        return
    name = next(iter(given))
    parameters = inspect.signature(callee).parameters.values()
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self" and p.name[0] != "_"]
    title = callee.__qualname__.removesuffix(".__init__")
    raise TypeError(f"{title}() has no argument {name!r}. {suggestion(name, [*known, *also], 'arguments')}")
