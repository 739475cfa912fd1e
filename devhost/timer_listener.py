"""The timer listener: one host in all runs a timer, misses are made up by one past-due invocation at the start."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from azurerest.errors import StorageError
from devhost import wire
from devhost.console import Console
from devhost.lease import AloneThread, SingletonLease
from devhost.ncrontab import Schedule
from devhost.runner import TriggerValue
from devhost.timer_status import TimerStatus, TimerStatusStore, starting_status, status_after

Fire = Callable[[TriggerValue], object]
_LONGEST_WAIT = 86400.0


class TimerListener(AloneThread):
    """Fires one function on its schedule. ``store`` is None for timers without a monitor."""

    def __init__(
        self,
        schedule: Schedule,
        fire: Fire,
        lease: SingletonLease,
        store: TimerStatusStore | None,
        console: Console,
        *,
        run_on_startup: bool,
    ) -> None:
        self._schedule = schedule
        self._fire = fire
        self._store = store
        self._console = console
        self._run_on_startup = run_on_startup
        super().__init__("timer", lease)

    def _work(self) -> None:
        now = time.time()
        stored = self._load()
        status = starting_status(stored, self._schedule, now)
        if status != stored:
            self._save(status)
        if self._store is not None and now > status.next:
            status = self._invoke(status, past_due=True, scheduled=False)
        elif self._run_on_startup:
            status = self._invoke(status, past_due=False, scheduled=False)
        while self._wait_until(status.next):
            status = self._invoke(status, past_due=False, scheduled=True)

    def _wait_until(self, moment: float) -> bool:
        """Wait for a moment of the wall clock; False when stopping."""
        while (left := moment - time.time()) > 0:
            if self._stopping.wait(min(left, _LONGEST_WAIT)):
                return False
        return not self._stopping.is_set()

    def _invoke(self, status: TimerStatus, *, past_due: bool, scheduled: bool) -> TimerStatus:
        fired = time.time()
        self._fire(timer_value(status if self._store is not None else None, past_due=past_due))
        after = status_after(status, self._schedule, fired, scheduled=scheduled)
        self._save(after)
        return after

    def _load(self) -> TimerStatus | None:
        try:
            return self._store.load() if self._store is not None else None
        except StorageError as error:
            self._console.warn(f"the status of a timer cannot be read: {error}")
            return None

    def _save(self, status: TimerStatus) -> None:
        if self._store is None:
            return
        try:
            self._store.save(status)
        except StorageError as error:  # best effort, as in the real host: at worst a past-due run at the next start
            self._console.warn(f"the status of a timer cannot be stored: {error}")


def timer_value(status: TimerStatus | None, *, past_due: bool) -> TriggerValue:
    """What a timer function receives."""
    document = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": status.to_json() if status is not None else None,
        "IsPastDue": past_due,
    }
    return TriggerValue(datum=wire.json(json.dumps(document)))
