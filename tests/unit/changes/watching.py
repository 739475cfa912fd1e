"""Schedules that wait for data, over a world in memory whose processes can be killed at any effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.catalog import pipelines, schedules
from orchestrator.catalog.pipelines import Publication
from orchestrator.catalog.schedules import Wish
from orchestrator.catalog.submissions import Submitter
from orchestrator.changes.intake import WATCHES_AGE, Intake
from orchestrator.changes.runs import CHANGES, Tick
from orchestrator.changes.sweep import SweptChanges, sweep_changes
from orchestrator.core import changelist
from orchestrator.core import run as run_infos
from orchestrator.core.changelist import ChangeList
from orchestrator.core.datachange import DataChange
from orchestrator.core.definition import DataPathValue, Definition, Input, Parameter, ParameterSource, Step
from orchestrator.core.run import RunInfo
from orchestrator.core.schedule import Schedule, ScheduleStatus
from orchestrator.engine.memory import ProcessMemory
from orchestrator.files import SYSTEM, FileHead, FileSize
from orchestrator.ports import Acquire, Commit, Effect, Release, Unanswered

STORE, CONTAINER = "raw", "rawdata"
DATASTORES = {"workspaceblobstore": "workspaceblobstore", STORE: CONTAINER}
QUEUE = "millstream-changes"
SNAPSHOT = "a" * 64
PIPELINE = Definition(
    name="reactive",
    parameters=(Parameter(name="where", type="datapath", default=DataPathValue(datastore=STORE, path="nothing")),),
    steps=(
        Step(
            id="look",
            name="look",
            kind="python_script",
            snapshot=SNAPSHOT,
            settings={"script": "look.py"},
            inputs=(Input(name="data", source=ParameterSource(name="where")),),
        ),
    ),
)

Fault = Callable[[Effect[Any], Callable[[], Any]], Any]


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


class FaultyWorld(MemoryWorld):
    """Counts effects, and does something else at the one numbered `at`."""

    def __init__(self, account: MemoryAccount, clock: ManualClock) -> None:
        super().__init__(account, clock=clock.clock())
        self.count = 0
        self.at = -1
        self.fault: Fault = lambda _, perform: perform()

    def perform(self, effect: Effect[Any]) -> Any:
        """Carry out one effect of a task that a test drives by hand, as if it had a process to itself."""
        return None if isinstance(effect, Acquire | Release) else self._interpret(effect, set())

    def _interpret(self, effect: Effect[Any], held: set[str]) -> Any:
        self.count += 1
        if self.count == self.at:
            return self.fault(effect, lambda: MemoryWorld._interpret(self, effect, held))
        return super()._interpret(effect, held)


def kill_before(_: Effect[Any], perform: Callable[[], Any]) -> Any:
    raise Killed


def kill_after(_: Effect[Any], perform: Callable[[], Any]) -> Any:
    perform()
    raise Killed


def lose_answer(effect: Effect[Any], perform: Callable[[], Any]) -> Any:
    result = perform()
    if isinstance(effect, Commit):
        raise Unanswered("lost")
    return result


def lose_request(effect: Effect[Any], perform: Callable[[], Any]) -> Any:
    if isinstance(effect, Commit):
        raise Unanswered("lost")
    return perform()


FAULTS: Mapping[str, Fault] = {
    "killed before": kill_before,
    "killed after": kill_after,
    "answer lost": lose_answer,
    "request lost": lose_request,
}


class Watching:
    """An account with a published pipeline, and a process that watches; `restart` gives it a new one."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.account = MemoryAccount(server_now=self.clock.now)
        self.files = MemoryFiles(self.account)
        self.files.put(SYSTEM, f"snapshots/{SNAPSHOT}.zip", b"zip")
        self.schedules: list[str] = []
        self.restart()
        pipeline, _ = self.world.run(pipelines.publish(Publication(definition=PIPELINE)))
        self.pipeline = pipeline.id

    def restart(self) -> None:
        self.world = FaultyWorld(self.account, self.clock)
        self.files.install(self.world)
        self.memory = ProcessMemory()
        self.submitter = Submitter(self.memory, computes=("function",), datastores=DATASTORES, assignment_bytes=24_000)
        self.intake = Intake(self.submitter, DATASTORES, QUEUE)

    def schedule(self, **change: Any) -> Schedule:
        """A schedule, armed as the API does."""
        given: dict[str, Any] = {"datastore": STORE, "path": "in", "data_path_parameter_name": "where", **change}
        wish = Wish(name="reactive", experiment="e", pipeline_id=self.pipeline, data_change=DataChange(**given))
        stored, _, _ = self.world.run(schedules.create(self.memory, wish, datastores=DATASTORES))
        self.schedules.append(stored.schedule.id)
        self.world.run(self.intake.arm(stored))
        return stored.schedule

    def set_status(self, schedule: Schedule, status: ScheduleStatus, *, arm: bool = True) -> None:
        def alter(before: Schedule) -> Schedule:
            return msgspec.structs.replace(before, status=status)

        self.world.run(schedules.change(self.memory, schedule.id, alter, datastores=DATASTORES))
        self.clock.advance(WATCHES_AGE + 1)
        if arm:
            self.arm(schedule.id)

    def arm(self, schedule_id: str) -> None:
        self.world.run(self.intake.arm(self.world.run(schedules.get(schedule_id))))

    def write(self, name: str, data: bytes = b"x", metadata: Mapping[str, str] | None = None) -> None:
        self.files.put(CONTAINER, name, data, metadata)

    def exists(self, name: str) -> bool:
        return self.world.run(iter(FileSize(container=CONTAINER, name=name))) is not None

    def etag(self, name: str) -> str:
        found = self.world.run(iter(FileHead(container=CONTAINER, name=name)))
        assert found is not None
        return found.etag

    def event(self, name: str) -> int:
        return self.world.run(self.intake.notice(CONTAINER, name))

    def upload(self, *names: str) -> None:
        """Write blobs, and have an event for each."""
        for name in names:
            self.write(name)
            self.event(name)

    def sweep(self) -> SweptChanges:
        return self.world.run(sweep_changes(self.intake))

    def deliver(self) -> int:
        """Hand over the messages of the queue that are visible now; how many."""
        received = self.account.queues.receive(QUEUE, count=32, visibility=600)
        for message in received:
            tick = msgspec.json.decode(message.body, type=Tick)
            self.world.run(self.intake.tick(tick.schedule))
            self.account.queues.delete(QUEUE, message)
        return len(received)

    def pass_time(self, seconds: float, *, step: float = 1.0, messages: bool = True) -> None:
        """Let time go by, with a sweep at each full minute."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            before = self.clock.now() // 60
            self.clock.advance(min(step, end - self.clock.now()))
            if messages:
                self.deliver()
            if self.clock.now() // 60 > before:
                swept = self.sweep()
                assert swept.failed == ()

    def runs(self) -> list[RunInfo]:
        """All runs, oldest first."""
        rows = self.account.tables.partition("index", "runs")
        infos = [self.account.tables.partition("runs", str(props["run"]))["g"] for props in rows.values()]
        return [run_infos.decode(str(info["info"])) for info in infos][::-1]

    def paths(self) -> list[str]:
        """What runs were assigned, sorted."""
        return sorted(self.assigned(info).path for info in self.runs())

    def assigned(self, info: RunInfo) -> DataPathValue:
        value = info.parameters["where"]
        assert isinstance(value, DataPathValue)
        return value

    def changes(self, info: RunInfo) -> ChangeList:
        address = self.assigned(info).changes
        assert info.properties[CHANGES] == address
        return changelist.decode(self.account.blobs[changelist.blob_of(address)])

    def changed(self, info: RunInfo) -> list[str]:
        return [blob.path for blob in self.changes(info).changes]
