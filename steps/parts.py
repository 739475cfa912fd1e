"""Many requests for the parts of large blobs at a time, their results in order, in bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TypeVar

from orchestrator import logs

T = TypeVar("T")

PART = 8 * 1024 * 1024
"""Bytes of a part."""
AT_ONCE = 6
"""Parts in memory, in all transfers of a process together."""


class Parts:
    """The threads for parts, and the room for them. Thread-safe."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._executor = ThreadPoolExecutor(at_once, thread_name_prefix="millstream-part")
        self._room = threading.Semaphore(at_once)

    def each(self, calls: Iterator[Callable[[], T]]) -> Generator[T, None, None]:
        """Run the calls, several at once; their results in the order of the calls.

        A call is taken from `calls` when there is room for a part, and holds it until its result has been used. The
        first error is raised in its turn; when the caller goes away, nothing is under way any more.
        """
        under_way: deque[Future[T]] = deque()
        try:
            while (future := self._begin(calls, wait=not under_way)) or under_way:
                if future:
                    under_way.append(future)
                    continue
                yield under_way[0].result()
                under_way.popleft()
                self._room.release()
        finally:
            wait(future for future in under_way if not future.cancel())
            for _ in under_way:
                self._room.release()

    def run(self, calls: Iterator[Callable[[], object]]) -> None:
        """Run the calls for what they do."""
        with closing(self.each(calls)) as results:
            for _ in results:
                pass

    def _begin(self, calls: Iterator[Callable[[], T]], *, wait: bool) -> Future[T] | None:
        """Begin the next call. None: there is none, or no room. Who has parts under way must not wait for room: it
        might be waited for by others who wait for the same.
        """
        if not self._room.acquire(blocking=wait):
            return None
        call = None
        try:
            call = next(calls, None)
            return None if call is None else self._executor.submit(logs.carried(call))
        finally:
            if call is None:
                self._room.release()

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)
