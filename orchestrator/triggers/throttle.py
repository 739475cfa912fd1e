"""How fast callers may ask, in this process: a token bucket for each of them, kept in bounded memory.

Each instance of the app has buckets of its own, so what a caller may ask of the whole service is this times the
instances that answer them. That is enough for what it is for: one caller who asks without end does not take an instance
from all others.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from orchestrator.core.errors import TooManyRequests, Unauthorized
from orchestrator.core.names import shown
from orchestrator.core.token_bucket import Bucket, Rate, full, take
from orchestrator.settings import Settings

MOST_BUCKETS: Final = 10_000
"""Of each kind. The one that was used longest ago is forgotten, which is as if it were full."""
BURST_SECONDS: Final = 10.0
"""A bucket holds what comes in in so long: who was quiet may ask so much at once."""
_LONGEST_ADDRESS: Final = 64


class Throttle:
    """Buckets by name. `per_second` 0: none is ever empty. `clock` is steady, in seconds. Thread-safe."""

    def __init__(self, per_second: float, *, clock: Callable[[], float], most: int = MOST_BUCKETS) -> None:
        self._rate = Rate(per_second=per_second, burst=max(1.0, per_second * BURST_SECONDS)) if per_second else None
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str) -> float:
        """Seconds until `name` may ask again; 0.0: it may now, and has."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            known = self._buckets.pop(name) if name in self._buckets else full(self._rate, now)
            bucket, wait = take(known, self._rate, now)
            self._buckets[name] = bucket
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return wait


class Throttles:
    """Who proves who they are has a bucket under that name; those who fail to have one for their address.

    A right token is served whatever else comes from its address: nobody can lock out others by failing in their place.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._callers = Throttle(settings.request_rate, clock=clock)
        self._strangers = Throttle(settings.refusal_rate, clock=clock)

    def admit(self, caller: str) -> None:
        """Raises TooManyRequests."""
        if wait := self._callers.take(caller):
            raise TooManyRequests(
                f"{shown(caller)} asks more than {self._settings.request_rate:g} times a second "
                "(MILLSTREAM_REQUEST_RATE). Ask again later, and less often.",
                retry_after=wait,
            )

    def refuse(self, error: Unauthorized, headers: Mapping[str, str]) -> Unauthorized | TooManyRequests:
        """The answer to somebody who failed to prove who they are."""
        if not (wait := self._strangers.take(remote(headers))):
            return error
        return TooManyRequests(
            f"Too many calls with no token, or a wrong one (MILLSTREAM_REFUSAL_RATE): {error.message}",
            field=error.field,
            retry_after=wait,
        )


def remote(headers: Mapping[str, str]) -> str:
    """The address that the nearest proxy says it was called from; "" where there is none.

    Of X-Forwarded-For only the last entry is that proxy's own word; what is before it may be made up.
    """
    last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if last.startswith("["):
        last = last[1:].partition("]")[0]
    elif last.count(":") == 1:
        last = last.partition(":")[0]
    return last[:_LONGEST_ADDRESS]
