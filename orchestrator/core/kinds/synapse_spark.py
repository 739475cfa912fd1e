"""A Spark application for a pool of a Synapse workspace, or for the Spark of the node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import Settings
from orchestrator.core.names import SCRIPT

MEMORY: Final = re.compile(r"[1-9][0-9]{0,6}[mMgG]")
MOST: Final = 10_000


class SparkBatch(Settings, frozen=True, kw_only=True):
    """Runs `file` of the source folder with spark-submit's settings. On a compute that is an attached Synapse workspace
    it runs in its pool; on any other, on the node, where numbers and sizes of executors mean nothing.

    Memory is a number with m or g, as in "28g". `py_files`, `jars` and `files` are paths of the source folder, or URLs
    that the cluster reaches.
    """

    file: str
    driver_memory: str
    driver_cores: int
    executor_memory: str
    executor_cores: int
    num_executors: int
    app_name: str = ""
    conf: dict[str, str] = {}
    py_files: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def problems(self, field: str) -> Iterator[Problem]:
        if problem := SCRIPT.problem(self.file, f"{field}.file"):
            yield problem
        for name in ("driver_memory", "executor_memory"):
            if not MEMORY.fullmatch(value := getattr(self, name)):
                yield Problem("InvalidSettings", f"{field}.{name}", f"{value!r} is no size.", 'Write it as in "28g".')
        for name in ("driver_cores", "executor_cores", "num_executors"):
            if not 1 <= (number := getattr(self, name)) <= MOST:
                yield Problem("InvalidNumber", f"{field}.{name}", f"{name} is {number}.", f"Use 1 to {MOST:,}.")
        for name in ("py_files", "jars", "files"):
            for index, path in enumerate(getattr(self, name)):
                if not is_url(path) and (problem := SCRIPT.problem(path, f"{field}.{name}[{index}]")):
                    yield problem


def is_url(path: str) -> bool:
    """Whether it is at a place of its own, and not in the source folder."""
    return "://" in path or path.startswith("local:/")
