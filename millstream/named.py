"""What the workspace keeps under a name, with versions behind it: modules, pipeline endpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from millstream.named_views import NamedView
from millstream.workspace import Workspace


class StatedView(Protocol):
    """What there is of a thing, and of a version of one."""

    @property
    def id(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def status(self) -> str: ...


S = TypeVar("S", bound=StatedView)
V = TypeVar("V", bound=NamedView)


class Stated(ABC, Generic[S]):
    """Something that is active or not. What it tells of itself is what the service said last."""

    def __init__(self, workspace: Workspace, view: S) -> None:
        self.workspace = workspace
        self._view = view

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def description(self) -> str:
        return self._view.description

    @property
    def status(self) -> str:
        """ "Active", "Disabled" or "Deprecated"."""
        return self._view.status

    def set_description(self, description: str) -> None:
        self._change(description=description)

    def enable(self) -> None:
        self._change(status="Active")

    def disable(self) -> None:
        """It is used no more from now on; what was made of it stays as it is."""
        self._change(status="Disabled")

    @abstractmethod
    def _change(self, **changes: str) -> None:
        """Let the service change it, and take what it says."""


class Named(Stated[V]):
    """Something that has a name of its own."""

    @property
    def name(self) -> str:
        return self._view.name

    def set_name(self, name: str) -> None:
        """Raises Conflict if the name is taken."""
        self._change(name=name)
