"""A Python script in processes that speak MPI."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import RunsPrograms
from orchestrator.core.names import SCRIPT

MOST_PROCESSES = 1024


class MpiScript(RunsPrograms, frozen=True, kw_only=True):
    """Runs `mpirun python <script> <arguments>` with `node_count` times `process_count_per_node` processes, all of them
    on the node that the step runs on. `script` is relative to the source folder.
    """

    script: str
    node_count: int = 1
    process_count_per_node: int = 1

    @property
    def processes(self) -> int:
        return self.node_count * self.process_count_per_node

    def problems(self, field: str) -> Iterator[Problem]:
        yield from super().problems(field)
        if problem := SCRIPT.problem(self.script, f"{field}.script"):
            yield problem
        for name in ("node_count", "process_count_per_node"):
            if getattr(self, name) < 1:
                yield Problem("InvalidNumber", f"{field}.{name}", f"{name} is {getattr(self, name)}.", "Use 1 or more.")
        if self.processes > MOST_PROCESSES:
            message = f"{self.processes:,} processes are too many for one node."
            yield Problem("InvalidNumber", f"{field}.node_count", message, f"Use {MOST_PROCESSES:,} at most.")
