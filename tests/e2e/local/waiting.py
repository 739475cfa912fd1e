"""Waiting for something outside to happen, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil


def wait_for(condition: Callable[[], object], seconds: float = 30.0, told: Callable[[], str] = str) -> None:
    """Until `condition` holds. Fails after `seconds` with what `told` says."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, told()
        time.sleep(0.02)


def wait_until_gone(*pids: int) -> None:
    """Until none of the processes runs any more; one that nobody has reaped does not run."""
    wait_for(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
