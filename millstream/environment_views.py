"""What the service answers about environments, as values."""

from __future__ import annotations

from millstream.views import View
from orchestrator.core.environments.document import EnvironmentDocument


class EnvironmentView(View, frozen=True, kw_only=True):
    """A version of an environment; `created`, where that was asked for: whether it was made by the request."""

    name: str
    version: str
    holds: EnvironmentDocument
    versions_total: int = 0
    created_at: float = 0.0
    created: bool = False


class EnvironmentPage(View, frozen=True, kw_only=True):
    environments: tuple[EnvironmentView, ...]
    continuation: str | None = None
