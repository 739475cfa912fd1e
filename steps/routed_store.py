"""One store over the containers of many accounts: each call goes to the account that its address leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from orchestrator.core.errors import MillstreamError
from steps.store import Listed, Mark, Origin, Store, StoreFailed


class RoutedStore:
    """`steps.store.Store`. `lead`: from an address to the store and the container there; raises MillstreamError."""

    def __init__(self, lead: Callable[[str], tuple[Store, str]]) -> None:
        self._lead = lead

    def put(self, container: str, name: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:
        store, there = self._at(container)
        store.put(there, name, data, content_type=content_type)

    def append(self, container: str, name: str, data: bytes, offset: int) -> None:
        store, there = self._at(container)
        store.append(there, name, data, offset)

    def upload(self, container: str, name: str, source: BinaryIO) -> None:
        store, there = self._at(container)
        store.upload(there, name, source)

    def download(self, container: str, name: str, sink: BinaryIO) -> Listed:
        store, there = self._at(container)
        return store.download(there, name, sink)

    def find(self, container: str, name: str) -> Listed | None:
        store, there = self._at(container)
        return store.find(there, name)

    def copy(self, container: str, name: str, target: str, *, owner: str, replace: bool) -> None:
        store, there = self._at(container)
        store.copy(there, name, target, owner=owner, replace=replace)

    def origin(self, container: str, found: Listed) -> Origin:
        store, there = self._at(container)
        return store.origin(there, found)

    def take_in(
        self,
        container: str,
        name: str,
        origin: Origin,
        *,
        mark: Mark,
        before: Listed | None,
        told: Callable[[int], None],
    ) -> None:
        store, there = self._at(container)
        store.take_in(there, name, origin, mark=mark, before=before, told=told)

    def list(self, container: str, prefix: str, *, owners: bool = False) -> Iterator[Listed]:
        store, there = self._at(container)
        yield from store.list(there, prefix, owners=owners)

    def _at(self, address: str) -> tuple[Store, str]:
        try:
            return self._lead(address)
        except MillstreamError as error:
            raise StoreFailed(error.message) from error
