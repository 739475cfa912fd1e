"""What the service answers about what has a name and versions, as values."""

from __future__ import annotations

from millstream.views import View


class NamedView(View, frozen=True, kw_only=True):
    """`created`, where that was asked for: whether it was made by the request. `created_at` in epoch seconds."""

    id: str
    name: str
    description: str = ""
    status: str = "Active"
    versions_total: int = 0
    created_at: float = 0.0
    created: bool = False
