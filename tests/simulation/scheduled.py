"""A simulation in which a schedule starts runs, beside those that clients start.

The timer's function runs in the hosts, once a minute, perhaps twice, and meets what everything else meets. When the
world is healed and some minutes have passed, the schedule is disabled. Then it must hold:

I10 an occurrence has exactly one run, whatever fired twice, late, or died between; no other run is there
I14 with the policy "all" every occurrence up to then has its run; with "latest" the latest one has
I7  what is noted of a schedule's occurrences is true: the runs noted are those that are there
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.catalog import firing, firings, pipelines, schedules
from orchestrator.catalog.pipelines import Publication
from orchestrator.catalog.schedules import Wish
from orchestrator.catalog.submissions import Submitter
from orchestrator.core import definition as definitions
from orchestrator.core import schedule as rules
from orchestrator.core.recurrence import Frequency, Recurrence
from orchestrator.core.schedule import CatchUp, Progress, Schedule, ScheduleStatus
from orchestrator.core.webhook import Notify
from orchestrator.engine.memory import ProcessMemory
from tests.simulation.checker import RunRecord, Violation
from tests.simulation.graphs import Graph, chain
from tests.simulation.process import EXPECTED, Call, Process, Steps
from tests.simulation.simulation import SWEEP_EVERY, Failed, Report, Setting, Simulation

UNDECIDED: Final = 130.0
"""An occurrence that is so young when the schedule ends may have a run or none."""
MOST_AT_ONCE: Final = 4
ROUNDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the schedule starts, and how often. `peace`: seconds from the world's healing to the schedule's end, longer
    than hosts may stay frozen.
    """

    graph: Graph
    minutes: int = 1
    catch_up: CatchUp = CatchUp.ALL
    double_fires: float = 0.3
    peace: float = 600.0


class _Runs(dict[str, RunRecord]):
    """Records of runs: those of occurrences come into being when the first row of such a run is written."""

    def __init__(self, simulation: ScheduledSimulation) -> None:
        self._simulation = simulation

    def __missing__(self, run: str) -> RunRecord:
        record = self[run] = self._simulation.started(run)
        return record


class ScheduledSimulation(Simulation):
    """One world from one seed, with a schedule."""

    def __init__(self, seed: int, setting: Setting, plan: Plan) -> None:
        super().__init__(seed, setting)
        self.plan = plan
        self.started_at: dict[str, float] = {}
        self.put_off = 0
        self._dice = Random(f"schedule {seed}")
        self._submitters: dict[str, Submitter] = {}
        self._occurrences: dict[str, float] = {}
        self._peace = False
        self._calm = MemoryWorld(self.storage.account)
        self.storage.checker.runs = _Runs(self)
        self._schedule = self._make()

    def _make(self) -> Schedule:
        """The pipeline and the schedule, made in peace before anything else happens."""
        definition = definitions.decode(self.plan.graph.document)
        pipeline, _ = self._calm.run(pipelines.publish(Publication(definition=definition)))
        wish = Wish(
            name="simulated",
            experiment="simulated",
            pipeline_id=pipeline.id,
            recurrence=Recurrence(frequency=Frequency.MINUTE, interval=self.plan.minutes),
            catch_up=self.plan.catch_up,
        )
        made, _, _ = self._calm.run(schedules.create(ProcessMemory(), wish, datastores=()))
        return made.schedule

    def _play(self) -> None:
        self.loop.after(self._dice.uniform(0, SWEEP_EVERY), self._fire_timer)
        super()._play()

    # The timer

    def _fire_timer(self) -> None:
        self.loop.after(SWEEP_EVERY, self._fire_timer)
        for _ in range(2 if self._dice.random() < self.plan.double_fires else 1):
            if process := self._somebody():
                process.spawn("fire", self._fire(process))

    def _fire(self, process: Process) -> Steps:
        for _ in range(ROUNDS):
            faults = self.around.faults.total()
            try:
                fired = yield Call(firing.fire(self._submitter(process), most=MOST_AT_ONCE))
            except EXPECTED as error:
                self.around.note(process.name, "fire", f"failed: {error}")
                return
            undisturbed = self._peace and self.around.faults.total() == faults
            self.put_off += sum("MILLSTREAM_MOST_RUNS" in reason for _, reason in fired.failed)
            told = self.setting.engine.quotas.of_runs  # that it has to wait is no fault
            if fired.refused or (fired.failed and undisturbed and not told):
                raise Violation("E", f"firing is refused {fired.refused}, fails {fired.failed}")
            if fired.next_due != 0:
                return

    def _submitter(self, process: Process) -> Submitter:
        if process.name not in self._submitters:
            self._submitters[process.name] = Submitter(
                process.memory, computes=(), datastores=(), assignment_bytes=24_000
            )
        return self._submitters[process.name]

    # What came of it

    def started(self, run: str) -> RunRecord:
        """The first row of a run that no client has asked for is being written."""
        now = self.storage.server_now()
        for occurrence in self._due(now):
            self._occurrences.setdefault(rules.run_id(self._schedule.id, rules.moment(occurrence)), occurrence)
        if run not in self._occurrences:
            raise Violation("I10", f"the run {run} belongs to no occurrence up to {now}")
        record = RunRecord(self.plan.graph, acknowledged=True)
        self.started_at[run] = now
        self.records.append(record)
        return record

    def _due(self, now: float) -> Iterable[float]:
        """The occurrences up to `now`, epoch seconds, from the first."""
        found = rules.occurrences(self._schedule, after=self._schedule.phase - 1, until=now)
        return (moment.timestamp() for moment in found)

    def _notify(self, run: str) -> tuple[Notify, ...]:
        """A schedule names no webhook for its runs; those that are registered are told of them."""
        return () if run in self.started_at else super()._notify(run)

    def _work(self) -> float:
        more = self.plan.graph.work * len(self.started_at) / self.setting.hosts
        return super()._work() + self.plan.graph.longest + more

    def _healthy_again(self) -> None:
        self._peace = True
        self.loop.run(self.loop.now + self.plan.peace, lambda: False)
        disable = schedules.change(
            ProcessMemory(),
            self._schedule.id,
            lambda there: msgspec.structs.replace(there, status=ScheduleStatus.DISABLED),
            datastores=(),
        )
        self._calm.run(disable)
        self._ended_at = self.storage.server_now()

    def _all_ended(self) -> bool:
        return super()._all_ended() and not self._progress().pending

    def _quiet(self) -> bool:
        return super()._quiet() and not self._progress().pending

    def _progress(self) -> Progress:
        return self._calm.run(schedules.get(self._schedule.id)).progress

    def _judge(self) -> None:
        super()._judge()
        certain = list(self._due(self._ended_at - UNDECIDED))
        wanted = certain if self.plan.catch_up is CatchUp.ALL else []
        missing = [at for at in wanted if rules.run_id(self._schedule.id, rules.moment(at)) not in self.started_at]
        if missing:
            raise Violation("I14", f"{len(missing)} of {len(wanted)} occurrences have no run: {missing[:5]}")
        latest = max((self._occurrences[run] for run in self.started_at), default=0.0)
        if certain and latest < certain[-1]:
            raise Violation(
                "I14", f"the latest occurrence, {certain[-1]}, has no run; the last one that has is {latest}"
            )
        page = self._calm.run(firings.listing(self._schedule.id, started_only=False, limit=1000, continuation=None))
        noted = {firing.run for firing in page.items if firing.failure is None}
        heads = {run for run in self.started_at if self.storage.checker.runs[run].head is not None}
        if noted != heads or len(page.items) != len(noted):
            raise Violation("I7", f"noted are {sorted(noted ^ heads)} that are not there, or the other way round")


def simulate_schedule(seed: int, setting: Setting, plan: Plan | None = None) -> tuple[Report, int]:
    """Run one world; its report, and how many runs the schedule has started. Raises Failed."""
    simulation = ScheduledSimulation(seed, setting, plan or Plan(graph=chain(2)))
    report = simulation.run()
    return report, len(simulation.started_at)


__all__ = ["Failed", "Plan", "ScheduledSimulation", "simulate_schedule"]
