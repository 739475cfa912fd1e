"""Several requests at once, no more waiting than is useful, their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 8


def in_order(jobs: Iterable[Callable[[], T]], *, ahead: int = 0) -> Generator[T, None, None]:
    """Do the jobs, AT_ONCE of them at a time; their results in their order.

    A job is taken when there is room for it: at most AT_ONCE + `ahead` are begun, wait to begin, or wait for their
    result to be taken. The first error is raised in its turn; nothing is under way any more when this ends.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="millstream-transfer") as pool:
        under_way: deque[Future[T]] = deque()
        try:
            for job in jobs:
                under_way.append(pool.submit(job))
                if len(under_way) >= AT_ONCE + ahead:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
