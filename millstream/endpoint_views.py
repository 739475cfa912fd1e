"""What the service answers about pipeline endpoints, as values."""

from __future__ import annotations

from millstream.named_views import NamedView
from millstream.views import View


class EndpointView(NamedView, frozen=True, kw_only=True):
    """A pipeline endpoint."""

    endpoint: str
    default_version: str = "0"


class EndpointPage(View, frozen=True, kw_only=True):
    endpoints: tuple[EndpointView, ...]
    continuation: str | None = None


class EndpointVersionView(EndpointView, frozen=True, kw_only=True):
    """A pipeline as a version of an endpoint; `added`: whether it is one since this request."""

    version: str
    pipeline_id: str
    added: bool


class VersionView(View, frozen=True, kw_only=True):
    version: str
    pipeline_id: str


class VersionPage(View, frozen=True, kw_only=True):
    versions: tuple[VersionView, ...]
    continuation: str | None = None
