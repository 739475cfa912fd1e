"""When a timer fired last and fires next: what is stored, and what a start makes of it."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

from azurerest.blobs import Blobs
from azurerest.errors import NotFound
from devhost.ncrontab import Schedule

_CONTAINER = "azure-webjobs-hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerStatus:
    """Epoch seconds; ``last`` is None before the first occurrence."""

    last: float | None
    next: float
    updated: float | None

    def to_json(self) -> dict[str, str]:
        """The document that is stored, and that the function sees."""
        return {"Last": _text(self.last), "Next": _text(self.next), "LastUpdated": _text(self.updated)}


def starting_status(stored: TimerStatus | None, schedule: Schedule, now: float) -> TimerStatus:
    """The status a listener starts with. An occurrence was missed when its ``next`` lies before ``now``.

    A stored ``next`` that the schedule would not have given means that the schedule has been changed: it is computed
    anew, and never lies in the past then.
    """
    if stored is None:
        return TimerStatus(last=None, next=schedule.next_after(now), updated=now)
    base = stored.last if stored.last is not None else stored.updated
    base = now if base is None else base
    expected = schedule.next_after(base)
    if abs(expected - stored.next) < 1e-3:
        return stored
    if now > expected:
        base, expected = now, schedule.next_after(now)
    return TimerStatus(last=None, next=expected, updated=base)


def status_after(status: TimerStatus, schedule: Schedule, fired: float, *, scheduled: bool) -> TimerStatus:
    """The status after an invocation that began at ``fired``; a regular one may have begun slightly early."""
    moment = max(fired, status.next) if scheduled else fired
    return TimerStatus(last=moment, next=schedule.next_after(moment), updated=moment)


class TimerStatusStore:
    """The status blob of one timer: ``timers/<host>/Host.Functions.<function>/status``."""

    def __init__(self, blobs: Blobs, host_id: str, function: str) -> None:
        self._blobs = blobs
        self._name = f"timers/{host_id}/Host.Functions.{function}/status"

    def load(self) -> TimerStatus | None:
        """The stored status, None when there is none or it cannot be read.

        Raises:
            StorageError: storage refused or did not answer.
        """
        try:
            document = json.loads(self._blobs.get(_CONTAINER, self._name).data)
            return TimerStatus(
                last=_moment(document.get("Last")),
                next=_moment(document["Next"]) or 0.0,
                updated=_moment(document.get("LastUpdated")),
            )
        except (NotFound, ValueError, KeyError):
            return None

    def save(self, status: TimerStatus) -> None:
        """Store the status.

        Raises:
            StorageError: storage refused or did not answer.
        """
        body = json.dumps(status.to_json()).encode()
        self._blobs.put(_CONTAINER, self._name, body, content_type="application/json")


_NEVER = "0001-01-01T00:00:00"


def _text(moment: float | None) -> str:
    if moment is None:
        return _NEVER
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="microseconds")


def _moment(text: str | None) -> float | None:
    if not text or text.startswith("0001-"):
        return None
    return datetime.datetime.fromisoformat(text).timestamp()
