"""What a kind of step returns whose work a service does, and has not done yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Look again: nobody holds the step until then, and whoever takes it is given the handle.

    handle: what finds the work again, as JSON; a few hundred bytes. after, within: seconds from now, before which the
    next look is not wanted, and after which it comes too late.
    """

    handle: Mapping[str, Any]
    after: float = 0.0
    within: float | None = None
