"""What the service answers about modules, as values."""

from __future__ import annotations

from millstream.named_views import NamedView
from millstream.views import View
from orchestrator.core.module import ModuleDocument


class ModuleView(NamedView, frozen=True, kw_only=True):
    """A module."""

    default_version: str = ""


class ModulePage(View, frozen=True, kw_only=True):
    modules: tuple[ModuleView, ...]
    continuation: str | None = None


class ModuleVersionView(View, frozen=True, kw_only=True):
    """A version of a module; `holds` where one was asked for by its id. `added`: whether by this request."""

    id: str
    module_id: str
    version: str
    number: int
    description: str = ""
    category: str = ""
    status: str = "Active"
    created_at: float = 0.0
    holds: ModuleDocument | None = None
    added: bool = False


class ModuleVersionPage(View, frozen=True, kw_only=True):
    versions: tuple[ModuleVersionView, ...]
    continuation: str | None = None
