"""A world in memory with a published pipeline, its submitter, and a clock that is told how late it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.catalog import firing, firings, pipelines, schedules
from orchestrator.catalog.firing import Fired
from orchestrator.catalog.firings import Firing
from orchestrator.catalog.pipelines import Publication
from orchestrator.catalog.schedules import Stored, Wish
from orchestrator.catalog.submissions import Submitter
from orchestrator.core.definition import Definition, Parameter, Step
from orchestrator.core.recurrence import Frequency, Recurrence
from orchestrator.core.schedule import Schedule
from orchestrator.engine.memory import ProcessMemory

DATASTORES = ("workspaceblobstore",)
START = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
HOURLY = Recurrence(frequency=Frequency.HOUR, start_time=datetime(2027, 1, 15, 8, 0))
DEFINITION = Definition(
    name="iris",
    parameters=(
        Parameter(name="rate", type="float", default=0.5),
        Parameter(name="where", type="string", default="here"),
    ),
    steps=(Step(id="a", name="a", kind="python_script", settings={"script": "a.py"}),),
)


class Scheduling:
    """One account, and a process over it."""

    def __init__(self) -> None:
        self.clock = ManualClock(START.timestamp())
        self.account = MemoryAccount(server_now=self.clock.now)
        self.world, self.memory, self.submitter = self.process()
        self.pipeline = self.world.run(pipelines.publish(Publication(definition=DEFINITION)))[0].id

    def process(self) -> tuple[MemoryWorld, ProcessMemory, Submitter]:
        """A process that remembers nothing yet."""
        world = MemoryWorld(self.account, clock=self.clock.clock())
        MemoryFiles(self.account).install(world)
        memory = ProcessMemory()
        submitter = Submitter(memory, computes=("function",), datastores=DATASTORES, assignment_bytes=24_000)
        return world, memory, submitter

    def create(self, **fields: Any) -> Stored:
        return self.create_as(**fields)[0]

    def create_as(self, **fields: Any) -> tuple[Stored, bool, Any]:
        wanted = {"name": "n", "experiment": "e", "pipeline_id": self.pipeline, "recurrence": HOURLY, **fields}
        return self.world.run(schedules.create(self.memory, Wish(**wanted), datastores=DATASTORES))

    def change(self, schedule_id: str, alter: Callable[[Schedule], Schedule], version: int | None = None) -> Stored:
        task = schedules.change(self.memory, schedule_id, alter, datastores=DATASTORES, version=version)
        return self.world.run(task)[0]

    def get(self, schedule_id: str) -> Stored:
        return self.world.run(schedules.get(schedule_id))

    def fire(self, most: int = 100) -> Fired:
        return self.world.run(firing.fire(self.submitter, most=most))

    def firings(self, schedule_id: str) -> tuple[Firing, ...]:
        """All that is kept of its occurrences, the latest first."""
        found: list[Firing] = []
        continuation: str | None = None
        while True:
            page = self.world.run(
                firings.listing(schedule_id, started_only=False, limit=1000, continuation=continuation)
            )
            found += page.items
            continuation = page.continuation
            if continuation is None:
                return tuple(found)

    def runs(self) -> list[str]:
        """The ids of all runs there are, by their heads."""
        partitions = self.account.tables._partitions
        return sorted(pk for (table, pk), partition in partitions.items() if table == "runs" and "h" in partition.rows)

    def due_rows(self) -> list[str]:
        rows = self.account.tables.partition("catalog", schedules.KIND)
        return [rk for rk in rows if rk.startswith("d|")]
