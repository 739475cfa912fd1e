"""A whole world: an account, hosts, clients that start and cancel runs, the timer of the sweep; then the verdict.

A simulation has two parts. In the first, `faults` decide what goes wrong. Then the world is healed, and everything must
come to its end: every run terminal, within `settle` and the time of its own work; every queue empty; no row left over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

import msgspec

from orchestrator.adapters.memory_tables import ROWS_A_PAGE
from orchestrator.core.errors import QuotaExceeded, UnknownThing
from orchestrator.core.notice import NoticeState
from orchestrator.core.plan import bits
from orchestrator.core.run import RunInfo
from orchestrator.core.states import ClaimState, RunStatus
from orchestrator.core.webhook import Notify, Webhook
from orchestrator.engine import outbox
from orchestrator.engine.cancel import cancel
from orchestrator.engine.index import ACTIVE, INDEX
from orchestrator.engine.memory import EngineSettings
from orchestrator.engine.outbox import OUTBOX, REGISTERED, WEBHOOKS
from orchestrator.engine.quota import admit
from orchestrator.engine.rows import INBOX, RUNS, step_of
from orchestrator.engine.start import start
from orchestrator.engine.sweep import sweep
from orchestrator.ports import Commit, Insert, Query
from tests.simulation.checker import EXPERIMENT, LISTS, RunRecord, Violation
from tests.simulation.faults import Calm, Faults
from tests.simulation.graphs import Graph, shown
from tests.simulation.host import Dispatcher, Host, send_all
from tests.simulation.loop import Loop
from tests.simulation.process import EXPECTED, Call, Process, Steps, Surroundings
from tests.simulation.storage import Storage
from tests.simulation.telling import told

SWEEP_EVERY: Final = 60.0
SHOWN_EVENTS: Final = 40


class Failed(AssertionError):
    """A violation with the world it happened in: seed, rule, and the last events before it."""

    def __init__(self, seed: int, violation: Violation, story: str) -> None:
        super().__init__(f"seed {seed}: {violation}\n{story}")
        self.seed = seed
        self.violation = violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The world to be simulated. Times in seconds. `storm`: how long `faults` reign at most.

    `start_at`: when each run is asked for; else at random within `start_spread`. `reruns`: run -> the one it reruns.
    `webhooks` are registered, and each run names one more; there are none unless the engine has a queue for them.
    `refusals`: see Receivers. `evictions`: how likely a worker is asked to end while it runs a step.
    """

    graphs: Sequence[Graph]
    hosts: int = 1
    faults: Faults = field(default_factory=Calm)
    skews: Sequence[float] = (0.0,)
    storm: float = 0.0
    start_spread: float = 0.0
    double_starts: float = 0.0
    cancel_at: Sequence[float | None] = (None,)
    double_sweeps: float = 0.0
    polling: float = 1.0
    preempted: float = 0.0
    batch: int = 16
    rows_a_page: int = ROWS_A_PAGE
    retry_after: float = 5.0
    restart_after: tuple[float, float] = (1.0, 60.0)
    latency: tuple[float, float] = (0.002, 0.010)
    settle: float = 600.0
    drain: float = 4 * 3600.0
    engine: EngineSettings = field(default_factory=EngineSettings)
    start_at: Sequence[float] | None = None
    reruns: Mapping[int, int] = field(default_factory=dict)
    webhooks: int = 0
    refusals: int = 0
    evictions: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`ended_at`: when each run became terminal; `seconds`: when the world was quiet. `operations` asked for, `faults`
    among them, `counts` of those applied, by kind. `fenced`: results refused to those who had lost their claim.
    `calls` of receivers, by message id.
    """

    seed: int
    statuses: tuple[RunStatus, ...]
    verdicts: tuple[tuple[int, int, int], ...]
    ended_at: tuple[float, ...]
    seconds: float
    operations: int
    counts: Counter[str]
    commits: int
    takeovers: int
    executions: int
    fenced: int
    duplicated: int
    poisoned: int
    calls: Counter[str]
    faults: Counter[str]


class Simulation:
    """One world from one seed. `run()` gives the report or raises Failed."""

    def __init__(self, seed: int, setting: Setting) -> None:
        self.seed = seed
        self.setting = setting
        self.loop = Loop()
        random = self.random = Random(seed)
        storage = Storage(self.loop, setting.engine, setting.faults, random, rows_a_page=setting.rows_a_page)
        self.storage = storage
        self.around = Surroundings(
            loop=self.loop,
            storage=storage,
            random=random,
            settings=setting.engine,
            latency=setting.latency,
            preempted=setting.preempted,
        )
        self.hosts = [
            Host(
                self.around,
                n,
                skew=setting.skews[n % len(setting.skews)],
                batch=setting.batch,
                retry_after=setting.retry_after,
                restart_after=setting.restart_after,
                evictions=setting.evictions,
            )
            for n in range(setting.hosts)
        ]
        self.dispatcher = Dispatcher(self.around, self.hosts, polling=setting.polling)
        self.records: list[RunRecord] = []
        self.refused = 0
        self.most_at_once = 0
        self._register_webhooks()

    def _register_webhooks(self) -> None:
        self.storage.receivers.refusals = self.setting.refusals
        for number in range(self.setting.webhooks):
            hook = Webhook(name=f"hook{number}", url=f"https://hook{number}.test", nonce="n")
            props = {"webhook": msgspec.json.encode(hook).decode()}
            self.storage.account.tables.commit(
                Commit(table=WEBHOOKS, pk=REGISTERED, writes=(Insert(rk=hook.name, props=props),))
            )
            self.storage.receivers.hooks[hook.id] = hook

    def _notify(self, run: str) -> tuple[Notify, ...]:
        if not self.setting.engine.webhook_queue:
            return ()
        hook = Notify(url=f"https://{run}.test")
        self.storage.receivers.hooks[hook.id] = hook
        return (hook,)

    def run(self) -> Report:
        try:
            self._play()
        except Violation as violation:
            raise Failed(self.seed, violation, self.story()) from violation
        return self._report()

    def story(self, *, whole: bool = False) -> str:
        """The last events that are remembered, or all of them, for people."""
        lines = [f"  {when:9.3f} {who:9} {doing:24} {told(what)}" for when, who, doing, what in self.around.trace]
        return "\n".join(lines if whole else lines[-SHOWN_EVENTS:])

    def _play(self) -> None:
        for number, graph in enumerate(self.setting.graphs):
            self._client(f"run{number}", graph)
        self.loop.after(self.random.uniform(0, SWEEP_EVERY), self._timer)
        if self.setting.storm and self.loop.run(self.setting.storm, lambda: False):
            raise AssertionError
        self._heal()
        self._healthy_again()
        self._require("I6", self.setting.settle + self._work(), self._all_ended, self._unfinished)
        self._require("I6", self.setting.drain, self._quiet, self._leftovers)
        self._judge()

    # Those outside

    def _client(self, run: str, graph: Graph) -> None:
        """Somebody who starts a run, and insists until it is acknowledged."""
        self.storage.checker.expect(run, graph)
        record = self.storage.checker.runs[run]
        self.records.append(record)
        first = self.random.uniform(0, self.setting.start_spread)
        if self.setting.start_at is not None:
            first = self.setting.start_at[len(self.records) - 1]
        self.loop.after(first, partial(self._ask_to_start, run, record))
        if self.random.random() < self.setting.double_starts:
            self.loop.after(
                first + self.random.choice((0.0, 0.01, 20.0)), partial(self._ask_to_start, run, record, False)
            )
        number = len(self.records) - 1
        cancel_at = self.setting.cancel_at[number % len(self.setting.cancel_at)]
        if cancel_at is not None:
            self.loop.after(first + cancel_at, partial(self._ask_to_cancel, run, record))

    def _ask_to_start(self, run: str, record: RunRecord, insist: bool = True) -> None:
        if record.acknowledged:
            return
        if process := self._somebody():
            process.spawn(f"start {run}", self._start(process, run, record))
        if insist:
            self.loop.after(self.random.uniform(5, 40), partial(self._ask_to_start, run, record))

    def _start(self, process: Process, run: str, record: RunRecord) -> Steps:
        graph = record.graph
        info = RunInfo(
            id=run,
            experiment=EXPERIMENT,
            definition=graph.plan.address,
            keep_going=graph.keep_going,
            window=graph.window,
            priority=graph.priority,
            submitted_at=process.wall_clock(),
            rerun_of=self._rerun_of(run),
            notify=self._notify(run),
            started_by=f"who asks for {run}",
        )
        try:
            known = record.head is not None
            yield Call(admit(process.memory, run, info.started_by))
            started = yield Call(start(process.memory, info, graph.plan, graph.document))
            yield from send_all(started.messages)
        except QuotaExceeded:
            self.refused += 1
            if known:
                raise Violation("Q1", f"{run} is refused by a quota, and is there already") from None
            return
        except EXPECTED as error:
            self.around.note(process.name, f"start {run}", f"answered with {error}")
            return
        if not record.acknowledged:
            self.around.note(process.name, f"start {run}", "acknowledged")
        record.acknowledged = True
        if record.head is None:
            raise Violation("I7", f"{run} is acknowledged, but is not there")
        under_way = sum(one.head is not None and one.ended_at is None for one in self.records)
        self.most_at_once = max(self.most_at_once, under_way)

    def _rerun_of(self, run: str) -> str:
        earlier = self.setting.reruns.get(int(run.removeprefix("run")))
        return "" if earlier is None else f"run{earlier}"

    def _ask_to_cancel(self, run: str, record: RunRecord) -> None:
        record.cancel_wanted = True
        if record.ended_at is not None:
            return
        if process := self._somebody():
            process.spawn(f"cancel {run}", self._cancel(process, run))
        self.loop.after(self.random.uniform(5, 40), partial(self._ask_to_cancel, run, record))

    def _cancel(self, process: Process, run: str) -> Steps:
        try:
            status = yield Call(cancel(process.memory, run))
        except (*EXPECTED, UnknownThing) as error:
            self.around.note(process.name, f"cancel {run}", f"answered with {error}")
            return
        head = self.storage.checker.runs[run].head
        if head is None or head.status is not status:
            raise Violation("I7", f"a cancel of {run} is answered with {status}, its head is {head}")

    def _timer(self) -> None:
        self.loop.after(SWEEP_EVERY, self._timer)
        times = 2 if self.random.random() < self.setting.double_sweeps else 1
        for _ in range(times):
            if process := self._somebody():
                process.spawn("sweep", self._sweep(process))

    def _sweep(self, process: Process) -> Steps:
        began_healthy = self.healed
        try:
            swept = yield Call(sweep(process.memory))
            yield from send_all(swept.messages)
            yield Call(outbox.sweep(process.memory))
        except EXPECTED as error:
            self.around.note(process.name, "sweep", f"failed: {error}")
            return
        if swept.failed and began_healthy:
            raise Violation("E", f"the sweep fails in a healthy world: {swept.failed}")

    def _somebody(self) -> Process | None:
        up = [host.process for host in self.hosts if host.up]
        return self.random.choice(up) if up else None

    # The end

    @property
    def healed(self) -> bool:
        return isinstance(self.storage.faults, Calm)

    def _work(self) -> float:
        """Seconds that the runs need at most in a healthy world, were each process to run one step at a time.

        It may: steps that have died with their process more than once share it with no other such step.
        """
        graphs = self.setting.graphs
        return max(graph.longest for graph in graphs) + sum(graph.work for graph in graphs) / self.setting.hosts

    def _heal(self) -> None:
        self.storage.checker.healthy_since = self.loop.now
        if not self.healed:
            self.storage.faults = Calm()
            for host in self.hosts:
                host.restart()

    def _healthy_again(self) -> None:
        """What a simulation of more than runs waits for before everything must come to its end."""

    def _require(self, invariant: str, within: float, done: object, what_is_wrong: object) -> None:
        assert callable(done)
        assert callable(what_is_wrong)
        if not self.loop.run(self.loop.now + within, done):
            raise Violation(invariant, f"not within {within:.0f} s of peace: {what_is_wrong()}")

    def _all_ended(self) -> bool:
        return all(record.ended_at or record.stillborn for record in self.storage.checker.runs.values())

    def _unfinished(self) -> str:
        return "; ".join(
            f"{run} is {record.head.status if record.head else 'not there'}, "
            f"{shown(record.head.done if record.head else 0)} done, acknowledged: {record.acknowledged}"
            for run, record in self.storage.checker.runs.items()
            if record.ended_at is None
        )

    def _queues(self) -> list[str]:
        return list(self.hosts[0].running)

    def _quiet(self) -> bool:
        tables, queues = self.storage.account.tables, self.storage.account.queues
        return (
            not any(queues.messages(queue) for queue in self._queues())
            and not any(host.running[queue] for host in self.hosts for queue in self._queues())
            and not tables.partition(INDEX, ACTIVE)
            and not tables.partition(WEBHOOKS, OUTBOX)
            and all(record.acknowledged for record in self.records)
        )

    def _leftovers(self) -> str:
        queues = self.storage.account.queues
        return ", ".join(
            [
                *(f"{queue}: {message}" for queue in self._queues() for message in queues.messages(queue)),
                *(f"active: {run}" for run in self.storage.account.tables.partition(INDEX, ACTIVE)),
                *(f"outbox: {notice}" for notice in self.storage.account.tables.partition(WEBHOOKS, OUTBOX)),
            ]
        )

    def _judge(self) -> None:
        if working := self.storage.services.working():
            raise Violation("R2", f"a service still works for what has ended: {working}")
        for run, record in self.storage.checker.runs.items():
            if record.stillborn and record.ended_at is None:
                continue
            inbox = self.storage.account.tables.query(Query(table=RUNS, pk=run, first=INBOX[0], last=INBOX[1]))
            left = [row.rk for row in inbox if step_of(row.rk) not in record.too_late]
            if left:
                raise Violation("I6", f"{run} has the inbox rows {left} left")
            _judge_run(run, record, self.storage.checker.runs)
            if self.setting.engine.webhook_queue and record.parent is None:
                self._judge_notices(run)

    def _judge_notices(self, run: str) -> None:
        """Every webhook is told, unless it has been called as often as is promised."""
        rows = self.storage.account.tables.query(Query(table=WEBHOOKS, pk=outbox.settled(run), first="", last="~"))
        notices = {row.rk: outbox.read(row) for row in rows}
        receivers = self.storage.receivers
        hooks = {f"hook{number}" for number in range(self.setting.webhooks)} | {hook.id for hook in self._notify(run)}
        if notices.keys() != hooks:
            raise Violation(
                "W4", f"the end of {run} is settled for {sorted(notices)}, and {sorted(hooks)} asked for it"
            )
        for hook, notice in notices.items():
            told = receivers.accepted[run, hook]
            if notice.state is NoticeState.DELIVERED and not told:
                raise Violation("W4", f"{hook} is said to have been told of {run}, and was not")
            if notice.state is NoticeState.GIVEN_UP and notice.attempt < self.setting.engine.webhook_attempts:
                raise Violation("W4", f"{hook} is given up after {notice.attempt} calls for {run}")
            if notice.state not in (NoticeState.DELIVERED, NoticeState.GIVEN_UP):
                raise Violation("W4", f"the notice of {run} for {hook} is {notice.state}")

    def _report(self) -> Report:
        records = self.records
        heads = [record.head for record in records]
        everyone = list(self.storage.checker.runs.values())
        return Report(
            seed=self.seed,
            statuses=tuple(head.status for head in heads if head),
            verdicts=tuple((head.done, head.failed, head.skipped) for head in heads if head),
            ended_at=tuple(record.ended_at or 0.0 for record in records),
            seconds=self.loop.now,
            operations=self.around.operations,
            counts=self.storage.counts,
            commits=sum(sum(record.commits.values()) for record in everyone),
            takeovers=sum(record.takeovers for record in everyone),
            executions=sum(sum(record.executions.values()) for record in everyone),
            fenced=self.storage.fenced,
            duplicated=self.storage.duplicated,
            poisoned=sum(len(record.poisoned) for record in everyone),
            calls=self.storage.receivers.calls,
            faults=self.around.faults,
        )


def _judge_run(run: str, record: RunRecord, runs: Mapping[str, RunRecord]) -> None:
    """The verdict must be the one that the scripts ask for, unless deaths or a cancel account for another."""
    head, graph = record.head, record.graph
    assert head is not None
    done, failed, _ = graph.verdicts
    excused = {step for step in bits(head.failed) if record.claims[step].crashes >= 4 or step in record.poisoned}
    excused |= {step for step in bits(head.failed) if _has_failed(runs.get(record.claims[step].child))}
    for step in bits(head.failed & ~failed):
        if step not in excused:
            raise Violation("I5", f"{run}: step {step} failed though its script succeeds: {record.claims[step]}")
    if head.done & ~done:
        raise Violation("I5", f"{run}: {shown(head.done & ~done)} are done though their scripts do not allow it")
    wanted = record.cancel_wanted if record.parent is None else _is_to_end(record.parent, runs)
    if head.status is RunStatus.CANCELED and not wanted:
        raise Violation("I4", f"{run} is canceled, and nobody asked for it")
    if head.status is RunStatus.FAILED and not head.failed:
        raise Violation("I4", f"{run} failed without a failed step")
    if (
        head.status is RunStatus.FAILED
        and graph.keep_going
        and not excused
        and (head.done, head.failed) != (done, failed)
    ):
        raise Violation("I4", f"{run}: {shown(head.done)} done, {shown(head.failed)} failed: not what the scripts say")
    if record.listed != dict.fromkeys(LISTS, head.status):
        raise Violation("I4", f"{run} is {head.status}, but listed as {record.listed}")
    for step, claim in record.claims.items():
        if claim.state is ClaimState.DONE and record.commits.get(step) != 1:
            raise Violation("I5", f"{run}: step {step} was committed {record.commits.get(step)} times")


def _has_failed(child: RunRecord | None) -> bool:
    """A child's failure, for which it is judged itself, is its parent's."""
    return child is not None and child.head is not None and child.head.status is RunStatus.FAILED


def _is_to_end(above: tuple[str, int], runs: Mapping[str, RunRecord]) -> bool:
    """Whether the run ended without waiting for what its steps have become, or the step has had its time."""
    run, step = above
    parent = runs[run]
    if step in parent.graph.limits:
        return True
    return parent.head is not None and parent.head.status in (RunStatus.CANCELED, RunStatus.FAILED)


def simulate(seed: int, setting: Setting) -> Report:
    return Simulation(seed, setting).run()
