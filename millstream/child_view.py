"""What the service says of a run that does the work of a step."""

from __future__ import annotations

import msgspec


class ChildView(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a step has become."""

    run: str
    status: str
    steps_total: int = 0
    steps_ended: int = 0
