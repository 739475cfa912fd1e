"""The invariants of the run protocol, checked at every write, every message sent and every execution started.

I1  a step starts only when all its parents are committed; its message is sent only then
I2  a committed result row never changes
I3  verdicts entered in the head never go back
I4  a terminal run is never left, and its head is never written again
I5  each step is committed once, by the execution that holds the claim; a result is in the head or on its way there
I7  an acknowledged start is never lost; without a head nothing runs
I8  what a result refers to exists, and belongs to the attempt that is committed
I9  after the end of a run no step starts, beyond the age of a remembered head
I10 a run is created once
I12 limits: checked by the memory world's own code before each write
I13 a live claim is not taken over
C1  a step becomes one run at a time, which its claim names before the run is there
C2  its results are joined when that run has ended
C3  it does not outlive the run of its step
R   of what services do for steps: `tests.simulation.services`
P1  a step goes by the queue of its priority: its own, or its run's, which is that of the step that became the run
I6 and I11 are about progress: `Simulation` asks for them at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.adapters.memory import MemoryAccount
from orchestrator.core import decision as decisions
from orchestrator.core import result as results
from orchestrator.core import run as run_infos
from orchestrator.core.claim import ClaimRow
from orchestrator.core.compute import urgent_of
from orchestrator.core.head import Head, lacks
from orchestrator.core.message import StepMessage
from orchestrator.core.plan import bits
from orchestrator.core.result import StepResult
from orchestrator.core.states import ClaimState, RunStatus
from orchestrator.engine.identify import Absent
from orchestrator.engine.index import ACTIVE, ALL_RUNS, INDEX, of_experiment
from orchestrator.engine.lease import Perform
from orchestrator.engine.memory import EngineSettings
from orchestrator.engine.poison import MAX_DEQUEUE_COUNT
from orchestrator.engine.rows import HEAD, INFO, RUNS, read_claim, read_head, step_of
from orchestrator.ports import Commit, Delete, Get, Insert, Merge, Write
from tests.simulation.graphs import Graph, shown

if TYPE_CHECKING:
    from tests.simulation.services import Services


def _origin(claim: ClaimRow) -> tuple[str, str] | None:
    """The run and step whose outputs the claim has; None: its own."""
    if not claim.decision:
        return None
    decision = decisions.decode(claim.decision)
    return (decision.from_run, decision.from_step) if decision.from_run else None


class Violation(AssertionError):
    """A rule that does not hold. `invariant` is its name, "I5" for one."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant


EXPERIMENT = "simulated"
LATE = 240.0
"""Seconds after the end of a run, or of a storm, within which the sweep has ended what the run's steps had become."""
LISTS = (ALL_RUNS, of_experiment(EXPERIMENT))


@dataclass(slots=True)
class RunRecord:
    """What the checker knows of one run, from the writes it has seen."""

    graph: Graph
    head: Head | None = None
    ended_at: float | None = None
    claims: dict[int, ClaimRow] = field(default_factory=dict)
    touched: dict[int, float] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    inbox: set[int] = field(default_factory=set)
    too_late: set[int] = field(default_factory=set)
    listed: dict[str, RunStatus] = field(default_factory=dict)
    acknowledged: bool = False
    cancel_wanted: bool = False
    executions: dict[int, int] = field(default_factory=dict)
    commits: dict[int, int] = field(default_factory=dict)
    takeovers: int = 0
    poisoned: set[int] = field(default_factory=set)
    seen_alive: dict[str, float] = field(default_factory=dict)
    parent: tuple[str, int] | None = None
    stillborn: bool = False
    in_flight: set[int] = field(default_factory=set)
    most_in_flight: int = 0


class Checker:
    """Watches one account. Times are the server's."""

    def __init__(self, account: MemoryAccount, settings: EngineSettings) -> None:
        self._account = account
        self._settings = settings
        self.runs: dict[str, RunRecord] = {}
        self.uploaded: set[str] = set()
        self.services: Services | None = None
        self.healthy_since: float | None = None

    def expect(self, run: str, graph: Graph) -> None:
        self.runs[run] = RunRecord(graph)

    # Writes

    def committed(self, commit: Commit, now: float, *, late: bool) -> None:
        """A commit has just been applied; `late`: after its sender gave up waiting for the answer."""
        if commit.table == INDEX:
            for write in commit.writes:
                self._index_written(commit.pk, write)
            return
        if commit.table != RUNS:
            return
        record = self._record(commit, late=late)
        steps: list[int] = []
        of_head: Write | None = None
        for write in commit.writes:
            if write.rk == HEAD:
                of_head = write
            elif write.rk.startswith("c|"):
                steps.append(step_of(write.rk))
                self._claim_written(commit.pk, record, write, now)
            elif write.rk.startswith("i|"):
                steps.append(step_of(write.rk))
                self._inbox_written(record, write, late=late)
            elif write.rk != INFO or isinstance(write, Delete):
                raise Violation("I5", f"nobody should write {write}")
        if of_head is not None:
            self._head_written(commit.pk, record, of_head, now)
        for step in steps:
            self._check_step(record, step)
            self._check_adopted(record, step)

    def _record(self, commit: Commit, *, late: bool) -> RunRecord:
        """A run that no client has asked for is what a step has become, while its claim says so."""
        if commit.pk not in self.runs:
            info = self._info(commit.pk)
            if info is None or not info.is_part:
                return self.runs[commit.pk]
            above = self.runs[info.parent_run]
            claim = above.claims.get(info.parent_step)
            if claim is None or claim.child != commit.pk or info.parent_step not in above.graph.composites:
                raise Violation("C1", f"run {commit.pk} is started by step {info.parent_step}, whose claim is {claim}")
            over = self._info(info.parent_run)
            if over is None or info.started_by != over.started_by:
                raise Violation("C1", f"run {commit.pk} is of {info.started_by!r}, and not of whose run made it")
            self.runs[commit.pk] = RunRecord(
                above.graph.composites[info.parent_step],
                parent=(info.parent_run, info.parent_step),
                acknowledged=True,
                # Nobody knows of it, and nobody will: neither a list nor a message names it.
                stillborn=late and above.ended_at is not None,
            )
        return self.runs[commit.pk]

    def _info(self, run: str) -> run_infos.RunInfo | None:
        row = self._account.tables.get(Get(table=RUNS, pk=run, rk=INFO))
        return None if row is None else run_infos.decode(str(row.props["info"]))

    def is_of_a_zombie(self, commit: Commit) -> bool:
        """Whether a commit that was refused would have ended a step in the name of one who has lost its claim."""
        if commit.table != RUNS:
            return False
        claims = self.runs[commit.pk].claims
        ends = [write for write in commit.writes if isinstance(write, Merge) and write.rk.startswith("c|")]
        return any(
            write.props.get("state") in (ClaimState.DONE, ClaimState.FAILED)
            and claims[step_of(write.rk)].owner != write.props["owner"]
            for write in ends
        )

    def _claim_written(self, run: str, record: RunRecord, write: Write, now: float) -> None:
        step = step_of(write.rk)
        old = record.claims.get(step)
        if record.head is None:
            raise Violation("I7", f"step {step} is claimed in a run without a head")
        if isinstance(write, Delete):
            raise Violation("I2", f"the claim of step {step} is deleted")
        row = self._account.tables.get(Get(table=RUNS, pk=run, rk=write.rk))
        assert row is not None
        new = read_claim(row)
        if old is None:
            self._first_claim(record, step, new)
        elif old.state.final:
            raise Violation("I2", f"the committed result of step {step} changes from {old} to {new}")
        elif ClaimState.WAITING in (old.state, new.state):
            self._check_nested(record, step, old, new)
        elif ClaimState.DEFERRED in (old.state, new.state):
            self._check_deferred(record, step, old, new, now - record.touched[step])
        elif new.state is ClaimState.CALLED_OFF:
            self._check_called_off(run, record, step, old, new)
        elif new.owner != old.owner:
            self._check_takeover(record, step, old, new, now - record.touched[step])
        elif new.attempt != old.attempt or (old.state is not ClaimState.RUNNING):
            raise Violation("I5", f"step {step}: {old} becomes {new} without a new owner")
        if new.state is ClaimState.SKIPPED:
            record.commits[step] = record.commits.get(step, 0) + 1
        elif new.state is ClaimState.CALLED_OFF:
            record.in_flight.discard(step)
        elif new.state.final:
            record.commits[step] = record.commits.get(step, 0) + 1
            record.in_flight.discard(step)
            self._check_result(record, step, new)
            if new.state is ClaimState.DONE and not _origin(new) and record.graph.scripts[step].remote:
                self._check_served(run, step)
        record.claims[step] = new
        record.touched[step] = now

    def _first_claim(self, record: RunRecord, step: int, new: ClaimRow) -> None:
        begins = ClaimState.DONE if _origin(new) else ClaimState.RUNNING
        if new.state is ClaimState.SKIPPED and self._is_to_be_skipped(record, step):
            self._check_parents(record, step, "is skipped")
        elif new.attempt != 1 or new.state is not begins:
            raise Violation("I5", f"step {step} begins with {new}")
        if new.state is ClaimState.RUNNING:
            self._check_parents(record, step, "is claimed")
        record.owners.add(new.owner)

    def _is_to_be_skipped(self, record: RunRecord, step: int) -> bool:
        """Its condition does not hold, or what that is about was skipped itself."""
        graph, head = record.graph, record.head or Head()
        above = graph.parents[step][0] if step in graph.skips else 0
        return step in graph.skips and (graph.skips[step] or bool(head.skipped >> above & 1))

    def _check_nested(self, record: RunRecord, step: int, old: ClaimRow, new: ClaimRow) -> None:
        """A claim waits for one run, and is taken when that has ended."""
        if step not in record.graph.composites:
            raise Violation("C1", f"step {step}, which does not become many, has the claim {new}")
        if new.state is ClaimState.WAITING:
            if old.state is not ClaimState.RUNNING or new.owner != old.owner or not new.child:
                raise Violation("C1", f"step {step}: {old} becomes {new}")
            return
        child = self.runs.get(old.child)
        if child is None or child.head is None or not child.head.status.terminal:
            raise Violation("C2", f"step {step}: {old} is taken as {new}, and its child is {child and child.head}")
        if new.state is not ClaimState.RUNNING or new.owner in record.owners or new.attempt != old.attempt:
            raise Violation("C2", f"step {step}: {old} is taken as {new}")
        record.owners.add(new.owner)

    def _check_deferred(self, record: RunRecord, step: int, old: ClaimRow, new: ClaimRow, age: float) -> None:
        """A claim is given back by its holder, and taken by the next when a look is due, or its run has ended."""
        if new.state is ClaimState.DEFERRED:
            if old.state is not ClaimState.RUNNING or new.owner != old.owner or new.looks != old.looks + 1:
                raise Violation("R1", f"step {step}: {old} becomes {new}")
            return
        if new.state is not ClaimState.RUNNING or new.owner in record.owners or new.attempt != old.attempt:
            raise Violation("R1", f"step {step}: {old} is taken as {new}")
        if record.ended_at is None and age < old.delay - 1.0:
            raise Violation("I13", f"step {step} is looked at after {age:.1f} s, not {old.delay} s")
        record.owners.add(new.owner)

    def _check_called_off(self, run: str, record: RunRecord, step: int, old: ClaimRow, new: ClaimRow) -> None:
        if record.ended_at is None or old.state is not ClaimState.RUNNING or new.owner != old.owner:
            raise Violation("R2", f"step {step}: {old} becomes {new}")
        assert self.services is not None
        if any(not job.over(self.services.now()) for job in self.services.of(run, step)):
            raise Violation("R2", f"step {step} is said to be called off, and is worked for")

    def _check_served(self, run: str, step: int) -> None:
        assert self.services is not None
        jobs = self.services.of(run, step)
        if not jobs or not jobs[-1].over(self.services.now()) or jobs[-1].cancelled_at is not None:
            raise Violation("R3", f"step {step} of {run} is done, and its jobs are {jobs}")

    def _check_takeover(self, record: RunRecord, step: int, old: ClaimRow, new: ClaimRow, age: float) -> None:
        if new.owner in record.owners:
            raise Violation("I5", f"step {step}: {old.owner} loses its claim to the stale owner {new.owner}")
        if new.attempt != old.attempt + 1 or new.state is not ClaimState.RUNNING:
            raise Violation("I5", f"step {step}: {old} is taken over as {new}")
        record.owners.add(new.owner)
        record.takeovers += 1
        if old.state is ClaimState.RETRYING:
            if age < old.delay - 1.0:
                raise Violation("I13", f"step {step} is retried {age:.1f} s after its failure, not {old.delay} s")
            return
        came_back = new.message_id == old.message_id and new.dequeue_count > old.dequeue_count
        given_up = old.dequeue_count >= MAX_DEQUEUE_COUNT
        if not came_back and not given_up and age <= self._settings.claim_ttl:
            raise Violation("I13", f"step {step}: the claim of {old} is taken over after {age:.1f} s by {new}")

    def _check_result(self, record: RunRecord, step: int, claim: ClaimRow) -> None:
        document: bytes | None = claim.result.encode()
        if claim.result_blob:
            document = self._account.blobs.get(claim.result_blob)
            if document is None:
                raise Violation("I8", f"step {step} is committed with the missing blob {claim.result_blob}")
        result = results.decode(document or b"")
        if (result.error is None) != (claim.state is ClaimState.DONE):
            raise Violation("I5", f"step {step} is {claim.state} with the error {result.error}")
        if _origin(claim):
            self._check_origin(step, claim, result)
            return
        for output in result.outputs.values():
            if f"/{claim.attempt}-{claim.owner}/" not in output.prefix or output.prefix not in self.uploaded:
                raise Violation("I8", f"step {step}, {claim.attempt}-{claim.owner}, is committed with {output.prefix}")

    def _check_origin(self, step: int, claim: ClaimRow, result: StepResult) -> None:
        """What a step has not made itself must have been committed by the step that it says, and be there."""
        origin = _origin(claim)
        assert origin is not None
        run, name = origin
        source = self.runs[run]
        made = source.claims.get(source.graph.plan.index[name])
        if (
            made is None
            or made.state is not ClaimState.DONE
            or (made.result, made.result_blob)
            != (
                claim.result,
                claim.result_blob,
            )
        ):
            raise Violation("I8", f"step {step} has the outputs of {run}/{name}, which committed {made}")
        for output in result.outputs.values():
            if output.prefix not in self.uploaded:
                raise Violation("I8", f"step {step} takes {output.prefix}, which is gone")

    def _check_adopted(self, record: RunRecord, step: int) -> None:
        claim = record.claims.get(step)
        if claim is None or not _origin(claim):
            return
        for parent in bits(record.graph.plan.parents[step]):
            above = record.claims.get(parent)
            if above is None or above.state is not ClaimState.DONE:
                raise Violation("I1", f"step {step} takes an earlier result, but its parent {parent} has {above}")

    def _prefixes(self, claim: ClaimRow) -> set[str]:
        document = self._account.blobs[claim.result_blob] if claim.result_blob else claim.result.encode()
        return {output.prefix for output in results.decode(document).outputs.values()}

    def absent(self, effect: Absent) -> tuple[str, ...]:
        """The answer of a worker: which of these outputs are gone."""
        return tuple(
            next((output.prefix for output in made.outputs.values() if output.prefix not in self.uploaded), "")
            for made in effect.made
        )

    def _inbox_written(self, record: RunRecord, write: Write, *, late: bool) -> None:
        step = step_of(write.rk)
        if isinstance(write, Delete):
            record.inbox.discard(step)
        elif not isinstance(write, Insert):
            raise Violation("I5", f"the inbox row of step {step} is overwritten")
        else:
            record.inbox.add(step)
            if late and record.ended_at is not None:
                record.too_late.add(step)  # nobody knows of it, nobody will read it: it may stay

    def _check_step(self, record: RunRecord, step: int) -> None:
        """The state after a commit: a final claim is in the head, or in the inbox, or its run is over."""
        claim, head = record.claims.get(step), record.head
        final = claim is not None and claim.state.final
        if step in record.inbox and not final:
            raise Violation("I5", f"step {step} is in the inbox, but has no result")
        if head is None or head.status.terminal:
            return
        if final and step not in record.inbox and not head.ended >> step & 1:
            raise Violation("I5", f"the result of step {step} is neither in the head nor in the inbox")

    def _head_written(self, run: str, record: RunRecord, write: Write, now: float) -> None:
        old = record.head
        if isinstance(write, Delete):
            raise Violation("I4", "a head is deleted")
        if isinstance(write, Insert) != (old is None):
            raise Violation("I10", f"the head of {run} is created twice, or changed before it is there")
        row = self._account.tables.get(Get(table=RUNS, pk=run, rk=HEAD))
        assert row is not None
        new = record.head = read_head(row)
        if old is None:
            if new.ended or new.status is not RunStatus.RUNNING:
                raise Violation("I10", f"run {run} begins as {new}")
            return
        if old.status.terminal:
            raise Violation("I4", f"run {run} ended as {old.status}, and its head is written again: {new.status}")
        self._check_head(record, old, new)
        if new.status.terminal:
            record.ended_at = now

    def _check_head(self, record: RunRecord, old: Head, new: Head) -> None:
        lost = (old.done & ~new.done) | (old.failed & ~new.failed) | (old.skipped & ~new.skipped)
        if lost:
            raise Violation("I3", f"the head forgets what it knew of {shown(lost)}")
        if new.done & new.failed or new.done & new.skipped or new.failed & new.skipped:
            raise Violation("I3", f"two verdicts on one step: {new}")
        everything = record.graph.plan.everything
        if new.ended & ~everything:
            raise Violation("I3", f"verdicts on steps that do not exist: {shown(new.ended & ~everything)}")
        if new.status is not RunStatus.CANCELED and (new.ended == everything) != new.status.terminal:
            raise Violation("I4", f"the status is {new.status} with {shown(new.ended)} of {shown(everything)} ended")
        passed_over = record.graph.verdicts[2] if record.graph.skips else 0
        if new.status is RunStatus.COMPLETED and new.done | passed_over != everything:
            raise Violation("I4", f"completed with {shown(everything & ~new.done)} not done")
        for step in bits(new.done & ~old.done):
            self._check_verdict(record, step, new, ClaimState.DONE)
            self._check_parents(record, step, "is done")
        for step in bits(new.failed & ~old.failed):
            self._check_verdict(record, step, new, ClaimState.FAILED)

    def _check_verdict(self, record: RunRecord, step: int, head: Head, state: ClaimState) -> None:
        claim = record.claims.get(step)
        if claim is None or claim.state is not state:
            raise Violation("I5", f"the head says that step {step} is {state}, its claim: {claim}")
        if head.attempt_of(step) != claim.attempt:
            raise Violation("I5", f"the head says attempt {head.attempt_of(step)} of step {step}, its claim: {claim}")

    def _index_written(self, pk: str, write: Write) -> None:
        if pk == ACTIVE and isinstance(write, Delete):
            head = self.runs[write.rk].head
            if head is not None and not head.status.terminal:
                raise Violation("I6", f"the unfinished run {write.rk} is taken off the sweep's list")
        elif pk in LISTS and not isinstance(write, Delete):
            record = self.runs[write.rk.partition("|")[2]]
            status = RunStatus(str(write.props["status"]))
            actual = record.head.status if record.head else None
            if status.terminal and status is not actual:
                raise Violation("I4", f"{write.rk} is listed as {status}, its head says {actual}")
            before = record.listed.get(pk)
            if before and before.terminal and status is not before:
                raise Violation("I4", f"{write.rk} is listed as {status} after {before}")
            record.listed[pk] = status

    # Messages and executions

    def sent(self, message: StepMessage, queue: str) -> None:
        """A step message has just been put on a queue."""
        if self.runs[message.run].stillborn:
            raise Violation("C1", f"a step of {message.run} is sent, which was started when nobody wanted it any more")
        wanted = self._settings.queue
        if self._priority(self.runs[message.run], message.position) > 0:
            wanted = urgent_of(wanted)
        if queue not in (wanted, f"{wanted}-poison"):
            raise Violation("P1", f"step {message.position} of {message.run} is sent to {queue}")
        if queue != message.queue:
            self.runs[message.run].poisoned.add(message.position)
        self._check_parents(self.runs[message.run], message.position, "is sent a message")

    def _priority(self, record: RunRecord, step: int) -> int:
        usual = record.graph.priority
        if record.parent is not None:
            usual = self._priority(self.runs[record.parent[0]], record.parent[1])
        return record.graph.priorities.get(step, usual)

    def _check_parents(self, record: RunRecord, step: int, what: str) -> None:
        head = record.head or Head()
        missing = lacks(record.graph.plan, head, step)
        if missing:
            raise Violation("I1", f"step {step} {what} before its parents {shown(missing)} are done")

    def saw_head(self, run: str, process: str, now: float, applied_at: float) -> None:
        """A process got an answer that shows the head as it was at `applied_at`."""
        record = self.runs.get(run)
        if record is not None and (record.ended_at is None or applied_at < record.ended_at):
            record.seen_alive[process] = now

    def _check_wanted(self, run: str, step: int, now: float) -> None:
        """In peace, nothing starts in a run whose parent's run has ended two sweeps ago."""
        record = self.runs[run]
        while record.parent is not None and self.healthy_since is not None:
            record = self.runs[record.parent[0]]
            if record.ended_at is not None and now > max(record.ended_at, self.healthy_since) + LATE:
                raise Violation("C3", f"step {step} of {run} starts though its parent's run ended at {record.ended_at}")

    def executes(self, perform: Perform, process: str, delivered_at: float) -> None:
        """User code is about to be started by a delivery that began at `delivered_at`."""
        job, record = perform.job, self.runs[perform.job.run]
        if not job.called_off:
            self._check_wanted(job.run, job.position, delivered_at)
        step = job.position
        self._check_parents(record, step, "is executed")
        if job.called_off:
            return
        record.executions[step] = record.executions.get(step, 0) + (job.deferred is None)
        record.in_flight.add(step)
        record.most_in_flight = max(record.most_in_flight, len(record.in_flight))
        if record.ended_at is not None:
            seen = record.seen_alive.get(process, -1.0)
            if seen < delivered_at - self._settings.head_age - 0.001:
                age = delivered_at - seen
                raise Violation(
                    "I9", f"step {step} starts in a run that has ended, {age:.1f} s after the head was seen"
                )
        for name, data in job.inputs.items():
            parent = record.graph.plan.index[name.removeprefix("in_")]
            if record.head is not None and record.head.skipped >> parent & 1:
                if data.files or step not in record.graph.tolerant:
                    raise Violation("I8", f"step {step} is given {data} of the skipped step {parent}")
                continue
            claim = record.claims[parent]
            own = f"/{claim.attempt}-{claim.owner}/" in data.path
            if not own and not (_origin(claim) and data.path in self._prefixes(claim)):
                raise Violation("I8", f"step {step} is given {data.path}, but {claim} is committed")
