"""Process trees: becoming the one that inherits orphans, finding descendants, ending them."""

# ruff: noqa: PTH123, PTH208
from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
ADOPTS = _LIBC is not None


def adopt_orphans() -> None:
    """From now on, orphaned descendants become children of this process (Linux; elsewhere they escape)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Be killed when the parent dies (Linux), even if it has died already."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)


def offer_to_oom_killer() -> None:
    """When the node is out of memory, this process and what it starts go before the worker and its other scripts."""
    if _LIBC is not None:
        with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as score:
            score.write(b"500")


def descendants(root: int, *, sparing: Collection[int] = ()) -> list[int]:
    """Process ids below `root`, zombies included, parents before children; without those of `sparing` and what is below
    them. Empty where there is no /proc.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    frontier = [root]
    while frontier:
        below = [pid for pid in children.get(frontier.pop(), ()) if pid not in sparing]
        found += below
        frontier += below
    return found


def _parents() -> list[tuple[int, int]]:
    pairs = []
    names = os.listdir("/proc") if _LIBC is not None else []
    for name in names:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as source:
                    # The command, in parentheses, may hold anything: fields are counted from its end.
                    fields = source.read().rpartition(b")")[2].split()
            except OSError:
                continue
            pairs.append((int(name), int(fields[1])))
    return pairs


def send(signum: int, pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signum)
        except (ProcessLookupError, PermissionError):
            continue


def send_group(signum: int, group: int) -> None:
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):
        # Not yet a group of its own, or gone.
        send(signum, [group])
