"""The routes of what has a name and versions: modules and pipeline endpoints have the same, each at its own path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from millstream.errors import UnknownThing
from millstream.named_views import NamedView
from orchestrator.core.names import shown

if TYPE_CHECKING:
    from millstream.api import Api

V = TypeVar("V", bound=NamedView)
A = TypeVar("A")
W = TypeVar("W")


class NamedRoutes(Generic[V, A, W]):
    """Below `path`: a thing is answered as `view`, a version that is added as `added`, versions in pages of
    `version_page`, things in pages of `page`, which has them under the name that the path has. `noun` is for people.

    Every method raises what the service answers with, and may be repeated.
    """

    def __init__(
        self, api: Api, path: str, noun: str, *, view: type[V], page: type[Any], added: type[A], version_page: type[Any]
    ) -> None:
        self._api, self._path, self._noun = api, path, noun
        self._view, self._page, self._added, self._version_page = view, page, added, version_page

    def make(self, wish: Mapping[str, Any]) -> V:
        """Made again as it is, it is found."""
        return self._api.send("POST", self._path, wish, self._view)

    def list(self, *, name: str | None = None, active_only: bool = False) -> Iterator[V]:
        """Newest first."""
        query = {"name": name, "active_only": "true" if active_only else None}
        for page in self._api.pages(self._path, self._page, query):
            yield from getattr(page, self._path)

    def get(self, identity: str) -> V:
        return self._api.get(self._one(identity), self._view)

    def find(self, identity: str | None, name: str | None) -> V:
        """That with this id, or else of this name. Raises UnknownThing."""
        if identity is not None:
            return self.get(identity)
        found = next(self.list(name=name), None) if name else None
        if found is None:
            raise UnknownThing(f"There is no {self._noun} named {shown(name or '')}.", field="name")
        return found

    def change(self, identity: str, changes: Mapping[str, str]) -> V:
        return self._api.send("PATCH", self._one(identity), changes, self._view)

    def add_version(self, identity: str, wish: Mapping[str, Any]) -> A:
        """Added again as it is there, it is found."""
        return self._api.send("POST", f"{self._one(identity)}/versions", wish, self._added)

    def versions(self, identity: str) -> Iterator[W]:
        """In the order in which they were added."""
        for page in self._api.pages(f"{self._one(identity)}/versions", self._version_page, {}):
            yield from page.versions

    def _one(self, identity: str) -> str:
        return f"{self._path}/{quote(identity, safe='')}"
