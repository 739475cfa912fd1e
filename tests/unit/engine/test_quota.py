"""Whether one more run may be started: by what is unfinished, at the price of a query now and then."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition
from orchestrator.core.errors import QuotaExceeded
from orchestrator.core.job import Job
from orchestrator.core.plan import Plan
from orchestrator.core.quota import Quotas
from orchestrator.core.result import Expansion, StepResult
from orchestrator.core.run import RunInfo
from orchestrator.core.states import StepStatus
from orchestrator.engine import index
from orchestrator.engine.cancel import cancel
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.engine.quota import AGE, admit
from orchestrator.engine.reading import definition_blob
from orchestrator.engine.start import start
from orchestrator.engine.stepview import steps_view
from orchestrator.ports import Effect, Query, Task
from tests.unit.engine.running import Runner, step


class Counting(MemoryWorld):
    """Counts how often the list of unfinished runs is read."""

    queries = 0

    def _interpret(self, effect: Effect[Any], held: set[str]) -> Any:
        self.queries += isinstance(effect, Query) and effect.pk == index.ACTIVE
        return super()._interpret(effect, held)


class Place:
    """Processes over one account; each remembers what it has seen."""

    def __init__(self, **quotas: int) -> None:
        self.clock = ManualClock()
        self.account = MemoryAccount(server_now=self.clock.now)
        self.settings = EngineSettings(quotas=Quotas(**quotas))
        definition = Definition(name="one", steps=(step("a"),))
        self.document = definitions.encode(definition)
        self.plan = Plan(address=definitions.address(self.document), definition=definition)
        self.queries = 0

    def process(self) -> ProcessMemory:
        return ProcessMemory(self.settings)

    def run(self, task: Task[object]) -> None:
        world = Counting(self.account, clock=self.clock.clock())
        try:
            world.run(task)
        finally:
            self.queries += world.queries

    def start(self, memory: ProcessMemory, run: str, who: str, **fields: object) -> None:
        self.run(admit(memory, run, who))
        info = RunInfo(id=run, experiment="e", definition=self.plan.address, started_by=who)
        self.run(start(memory, msgspec.structs.replace(info, **fields), self.plan, self.document))


def test_each_may_have_so_many_and_all_together_so_many() -> None:
    place = Place(runs=3, runs_each=2)
    memory = place.process()
    place.start(memory, "r1", "ann")
    place.start(memory, "r2", "ann")
    with pytest.raises(QuotaExceeded, match="MILLSTREAM_MOST_RUNS_EACH"):
        place.start(memory, "r3", "ann")
    place.start(memory, "r3", "bob")
    with pytest.raises(QuotaExceeded, match=r"MILLSTREAM_MOST_RUNS\)"):
        place.start(place.process(), "r4", "bob")


def test_who_asks_again_for_a_run_that_is_there_gets_it() -> None:
    place = Place(runs=1)
    memory = place.process()
    place.start(memory, "r1", "ann")
    place.start(memory, "r1", "ann")
    place.start(place.process(), "r1", "ann")


def test_a_run_counts_until_it_has_ended() -> None:
    place = Place(runs=1)
    memory = place.process()
    place.start(memory, "r1", "ann")
    with pytest.raises(QuotaExceeded):
        place.start(memory, "r2", "ann")
    place.run(cancel(memory, "r1"))
    place.start(memory, "r2", "ann")


def test_what_does_the_work_of_a_step_does_not_count() -> None:
    place = Place(runs=2)
    memory = place.process()
    place.start(memory, "r1", "ann")
    place.start(memory, "part", "ann", parent_run="r1", parent_step=0)
    place.start(memory, "r2", "ann")


def test_far_from_the_quota_starts_cost_nothing_and_near_it_a_query_each() -> None:
    place = Place(runs=20)
    memory = place.process()
    for number in range(10):
        place.start(memory, f"r{number}", "ann")
    assert place.queries == 1
    for number in range(10, 20):
        place.start(memory, f"r{number}", "ann")
    assert place.queries == 11


def test_a_count_is_believed_for_a_while_and_what_others_start_is_seen_after_it() -> None:
    place = Place(runs=10)
    one, other = place.process(), place.process()
    place.start(one, "r0", "ann")
    for number in range(1, 10):
        place.start(other, f"r{number}", "bob")
    before = place.queries
    place.clock.advance(AGE + 1)
    with pytest.raises(QuotaExceeded):
        place.start(one, "r10", "ann")
    assert place.queries == before + 1


def test_without_quotas_nothing_is_asked() -> None:
    place = Place()
    place.start(place.process(), "r1", "ann")
    assert place.queries == 0


def becoming(steps: int, allowed: int) -> Runner:
    """A run of two steps, of which one becomes `steps` steps, where a run may have `allowed` in all."""
    child = Definition(name="child", steps=tuple(step(f"s{number}") for number in range(steps)))
    document = definitions.encode(child)
    address = definitions.address(document)
    many = msgspec.structs.replace(
        step("many", "one"), kind="map", settings={"items": [1], "item": "x"}, template=child, outputs=()
    )

    def expand(_: Job) -> StepResult:
        return StepResult(expansion=Expansion(definition=address, steps=steps))

    runner = Runner(step("one"), many, scripts={"many": expand})
    runner.memory.settings = EngineSettings(quotas=Quotas(run_steps=allowed))
    runner.world.account.blobs[definition_blob(address)] = document
    runner.start(started_by="ann")
    runner.deliver()
    runner.deliver()
    return runner


def test_a_step_becomes_no_more_than_its_share() -> None:
    runner = becoming(steps=4, allowed=5)
    (one, many) = runner.world.run(steps_view(runner.memory, "run1"))
    assert (one.status, many.status) == (StepStatus.COMPLETED, StepStatus.FAILED)
    assert many.error is not None
    assert many.error.code == "QuotaExceeded"
    assert "would become 4 steps, and may become 3" in many.error.message
    assert "MILLSTREAM_RUN_STEPS" in many.error.message


def test_what_fits_is_started_in_the_same_name_with_what_it_may_have() -> None:
    runner = becoming(steps=4, allowed=6)
    (_, many) = runner.world.run(steps_view(runner.memory, "run1"))
    assert many.child is not None
    info = runner.memory.infos.get(many.child.run)
    assert info is not None
    assert (info.started_by, info.steps_allowed) == ("ann", 4)
