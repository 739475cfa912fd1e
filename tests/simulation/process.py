"""A process of the app: it runs activities, each one generator of effects at a time, and may die or freeze at any."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final

from orchestrator.core.errors import Broken, Unavailable
from orchestrator.core.usage import Usage
from orchestrator.engine.identify import Absent, Identified, Identify
from orchestrator.engine.lease import Perform
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.engine.rows import HEAD, RUNS
from orchestrator.events import Tell
from orchestrator.ports import (
    Acquire,
    Commit,
    Effect,
    Get,
    Monotonic,
    NewId,
    Now,
    Pause,
    Post,
    Posted,
    Query,
    Refused,
    Release,
    Row,
    Send,
    ServerNow,
    Unanswered,
    Used,
    WriteBlob,
)
from tests.simulation.checker import Violation
from tests.simulation.faults import Fault
from tests.simulation.loop import Loop
from tests.simulation.storage import EPOCH, Storage

EXPECTED: Final = (Unavailable, Unanswered)
"""What a use-case may raise when storage does not do as it should. Anything else is a bug."""

Steps = Generator[Effect[Any], Any, Any]


@dataclass(frozen=True, slots=True)
class Call(Effect[Any]):
    """Run an engine's task to its end: its locks are dropped then."""

    task: Steps


@dataclass(frozen=True, slots=True)
class Sleep(Effect[None]):
    """Wait exactly so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Die(Effect[None]):
    """User code takes its process down."""


@dataclass(frozen=True, slots=True)
class HostCall(Effect[Any]):
    """A storage operation of the Functions host itself."""

    what: str
    action: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class ServiceCall(HostCall):
    """A call of the service that does the work of steps: made once or twice, or perhaps not at all."""


@dataclass(slots=True)
class Frame:
    steps: Steps
    held: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Activity:
    """One thing a process is doing: a delivery, a request, a sweep. The innermost frame runs."""

    name: str
    frames: list[Frame]
    began: float


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What all processes share: time, storage, chance, and the record of what happened."""

    loop: Loop
    storage: Storage
    random: Random
    settings: EngineSettings
    latency: tuple[float, float] = (0.002, 0.010)
    preempted: float = 0.0
    trace: deque[tuple[float, str, str, object]] = field(default_factory=lambda: deque(maxlen=200))
    operations: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    nonces: count[int] = field(default_factory=lambda: count(1))

    def note(self, process: str, activity: str, what: object) -> None:
        self.trace.append((self.loop.now, process, activity, what))

    def remember_all(self) -> None:
        """Keep the whole story, not only its end."""
        self.trace = deque(self.trace)

    def delay(self) -> float:
        return self.random.uniform(*self.latency)


class Process:
    """`perform` models user code; `on_death` is told how the process died."""

    def __init__(
        self,
        around: Surroundings,
        name: str,
        *,
        skew: float,
        perform: Callable[[Process, Perform, Activity], Steps],
        on_death: Callable[[str], None],
    ) -> None:
        self.around = around
        self.name = name
        self.memory = ProcessMemory(around.settings)
        self.alive = True
        self.frozen_until = 0.0
        self._loop = around.loop
        self._skew = skew
        self._perform = perform
        self._on_death = on_death
        self._started = around.loop.now
        self._locks: dict[str, deque[Activity]] = {}

    def spawn(self, name: str, steps: Steps) -> None:
        activity = Activity(name, [Frame(steps)], self._loop.now)
        self._loop.after(0.0, partial(self._resume, activity, None, None))

    def die(self, how: str) -> None:
        if self.alive:
            self.around.note(self.name, "", f"dies ({how})")
            self.alive = False
            self._on_death(how)

    def _kill(self) -> None:
        """From outside. The queue learns of it in one of three ways: see `Host._died`."""
        faults = self.around.storage.faults
        self.die(self.around.random.choice(faults.deaths) if len(faults.deaths) > 1 else faults.deaths[0])

    def freeze(self, seconds: float) -> None:
        self.around.note(self.name, "", f"freezes for {seconds:.0f} s")
        self.frozen_until = max(self.frozen_until, self._loop.now + seconds)

    def when_awake(self, action: Callable[[], None]) -> bool:
        """Whether the process is awake; if not, and it lives, `action` is called again when it is."""
        if not self.alive:
            return False
        if self.frozen_until > self._loop.now:
            self._loop.at(self.frozen_until, action)
            return False
        return True

    def _resume(self, activity: Activity, answer: Any, error: Exception | None) -> None:
        """Run the activity up to its next effect that takes time."""
        if not self.when_awake(partial(self._resume, activity, answer, error)):
            return
        frames = activity.frames
        while frames:
            frame = frames[-1]
            try:
                effect = frame.steps.send(answer) if error is None else frame.steps.throw(error)
            except StopIteration as stop:
                self._leave(activity)
                answer, error = stop.value, None
                continue
            except Violation:
                raise
            except Exception as raised:  # noqa: BLE001 - goes on to the frame outside
                self._leave(activity)
                answer, error = None, raised
                continue
            local = _LOCAL.get(type(effect))
            if local is None:
                self._begin(activity, effect)
                return
            answer, error = local(self, effect), None
            if self.around.preempted and self.around.random.random() < self.around.preempted:
                self._loop.after(self.around.delay(), partial(self._resume, activity, answer, None))
                return
        if error is not None:
            raise Violation("E", f"{activity.name} raised {type(error).__name__}: {error}") from error

    def _leave(self, activity: Activity) -> None:
        for key in reversed(activity.frames.pop().held):
            self._release(key)

    def _begin(self, activity: Activity, effect: Effect[Any]) -> None:
        """Start an effect whose answer comes later."""
        kind = type(effect)
        resume = partial(self._resume, activity)
        if isinstance(effect, Pause):
            self._loop.after(self.around.random.uniform(0, effect.at_most), partial(resume, None, None))
        elif isinstance(effect, Tell):
            resume(None, None)
        elif isinstance(effect, Sleep):
            self._loop.after(effect.seconds, partial(resume, None, None))
        elif isinstance(effect, Call):
            activity.frames.append(Frame(effect.task))
            resume(None, None)
        elif isinstance(effect, Perform):
            activity.frames.append(Frame(self._perform(self, effect, activity)))
            resume(None, None)
        elif isinstance(effect, Acquire):
            self._acquire(activity, effect.key)
        elif isinstance(effect, Release):
            activity.frames[-1].held.remove(effect.key)
            self._release(effect.key)
            resume(None, None)
        elif kind is Die:
            self.die("worker")
        else:
            self._request(activity, effect)

    # Locks

    def _acquire(self, activity: Activity, key: str) -> None:
        held = activity.frames[-1].held
        if key in held:
            raise Violation("E", f"{activity.name} waits for the lock {key} that it holds")
        held.append(key)
        line = self._locks.setdefault(key, deque())
        line.append(activity)
        if line[0] is activity:
            self._resume(activity, None, None)

    def _release(self, key: str) -> None:
        line = self._locks[key]
        line.popleft()
        if line:
            self._loop.after(0.0, partial(self._resume, line[0], None, None))
        else:
            del self._locks[key]

    # Storage

    def _request(self, activity: Activity, effect: Effect[Any]) -> None:
        around = self.around
        number, around.operations = around.operations, around.operations + 1
        fault = around.storage.faults.decide(number, effect)
        around.note(self.name, activity.name, (number, effect, fault))
        if fault is None:
            self._loop.after(around.delay(), partial(self._apply, activity, effect, None))
            return
        around.faults[fault.value] += 1
        if fault is Fault.KILL_BEFORE:
            self._kill()
        elif fault is Fault.FREEZE_BEFORE:
            # The request leaves when the process is awake again; the world has gone on meanwhile.
            self.freeze(around.random.uniform(60, 400))
            self._loop.at(self.frozen_until, partial(self._send_on, activity, effect))
        elif fault is Fault.STALL:
            self._loop.after(around.random.uniform(5, 29), partial(self._apply, activity, effect, None))
        elif fault is Fault.UNAVAILABLE and isinstance(effect, Post):
            busy = Posted(status=503)
            self._loop.after(around.delay(), partial(self._arrive, activity, effect, busy, None, 0.0))
        elif fault is Fault.UNAVAILABLE:
            self._refuse_service(activity, effect)
        elif fault is Fault.MESSAGE_LOST:
            self._loop.after(around.delay(), partial(self._arrive, activity, effect, None, None, 0.0))
        elif fault in (Fault.KILL_AFTER, Fault.FREEZE_AFTER):
            self._loop.after(around.delay(), partial(self._apply, activity, effect, fault))
        elif isinstance(effect, Commit):
            self._leave_unanswered(activity, effect, fault)
        elif isinstance(effect, Post):
            self._lose_call(activity, effect, fault)
        else:
            self._repeat(activity, effect, fault)

    def _send_on(self, activity: Activity, effect: Effect[Any]) -> None:
        if self.when_awake(partial(self._send_on, activity, effect)):
            self._loop.after(self.around.delay(), partial(self._apply, activity, effect, None))

    def _apply(self, activity: Activity, effect: Effect[Any], fault: Fault | None) -> None:
        """The service acts on the request, whatever has become of who sent it."""
        if isinstance(effect, Query):
            self._read_page(activity, effect, fault, effect.first, (), self._loop.now)
            return
        answer, error = self._act(effect)
        self._answer(activity, effect, fault, answer, error, self._loop.now)

    def _read_page(
        self, activity: Activity, query: Query, fault: Fault | None, first: str, rows: tuple[Row, ...], began: float
    ) -> None:
        """Page after page, each as it is at its own moment."""
        page, following = self.around.storage.page(query, first, len(rows))
        rows += page
        if following is None:
            self._answer(activity, query, fault, rows, None, began)
        else:
            more = partial(self._read_page, activity, query, fault, following, rows, began)
            self._loop.after(2 * self.around.delay(), more)

    def _answer(
        self,
        activity: Activity,
        effect: Effect[Any],
        fault: Fault | None,
        answer: Any,
        error: Exception | None,
        applied_at: float,
    ) -> None:
        if fault is Fault.KILL_AFTER:
            self._kill()
            return
        if fault is Fault.FREEZE_AFTER:
            self.freeze(self.around.random.uniform(60, 400))
        self._loop.after(self.around.delay(), partial(self._arrive, activity, effect, answer, error, applied_at))

    def _act(self, effect: Effect[Any], *, late: bool = False) -> tuple[Any, Exception | None]:
        try:
            if isinstance(effect, HostCall):
                return effect.action(), None
            return self.around.storage.apply(effect, late=late), None
        except Refused as refused:
            return None, refused
        except Broken as broken:
            raise Violation("I12", str(broken)) from broken

    def _arrive(
        self, activity: Activity, effect: Effect[Any], answer: Any, error: Exception | None, applied_at: float
    ) -> None:
        if not self.when_awake(partial(self._arrive, activity, effect, answer, error, applied_at)):
            return
        if error is not None:
            self.around.note(self.name, activity.name, error)
        elif (run := _shows_head(effect, answer)) is not None:
            self.around.storage.checker.saw_head(run, self.name, self._loop.now, applied_at)
        self._resume(activity, answer, error)

    def _leave_unanswered(self, activity: Activity, commit: Commit, fault: Fault) -> None:
        """The commit is applied now, later or never, and its sender learns nothing."""
        around = self.around
        patience = around.random.choice((0.05, around.random.uniform(0.1, 30)))
        applied_at = {
            Fault.REQUEST_LOST: None,
            Fault.ANSWER_LOST: around.delay(),
            Fault.APPLIED_LATE: patience + around.random.choice((0.02, around.random.uniform(0, 120))),
        }[fault]
        if applied_at is not None:
            self._loop.after(applied_at, partial(self._act_late, activity, commit))
        silence = Unanswered("no answer in time")
        self._loop.after(patience, partial(self._arrive, activity, commit, None, silence, 0.0))

    def _act_late(self, activity: Activity, commit: Commit) -> None:
        _, error = self._act(commit, late=True)
        self.around.note(self.name, activity.name, f"the service acts on an unanswered commit: {error or 'applied'}")

    def _lose_call(self, activity: Activity, post: Post, fault: Fault) -> None:
        """The receiver is called now, later or never, and we hear nothing."""
        wait = {Fault.REQUEST_LOST: None, Fault.ANSWER_LOST: 0.01}.get(fault, self.around.random.uniform(0, 60))
        if wait is not None:
            self._loop.after(wait, partial(self._act, post))
        self._loop.after(15.0, partial(self._arrive, activity, post, Posted(status=0, error="silence"), None, 0.0))

    def _repeat(self, activity: Activity, effect: Effect[Any], fault: Fault) -> None:
        """What the world repeats by itself: a read once, a message or a document perhaps twice."""
        writes = isinstance(effect, Send | WriteBlob | ServiceCall)
        if writes and fault is not Fault.REQUEST_LOST:
            self._loop.after(self.around.delay(), partial(self._act, effect))
        if writes and fault is Fault.APPLIED_LATE:
            self._loop.after(self.around.random.uniform(0, 120), partial(self._act, effect))
        self._loop.after(self.around.random.uniform(0.1, 5), partial(self._apply, activity, effect, None))

    def _refuse_service(self, activity: Activity, effect: Effect[Any]) -> None:
        if isinstance(effect, Send | WriteBlob | ServiceCall) and self.around.random.random() < 0.5:
            self._act(effect)  # applied, but none of the answers came through
        error = Unavailable("storage is not there for us")
        self._loop.after(self.around.random.uniform(0.5, 5), partial(self._arrive, activity, effect, None, error, 0.0))

    # Effects that take no time

    def wall_clock(self) -> float:
        return EPOCH + self._loop.now + self._skew

    def _steady_clock(self) -> float:
        return self._loop.now - self._started


_LOCAL: Final[dict[type[Any], Callable[[Process, Any], Any]]] = {
    Now: lambda process, _: process.wall_clock(),
    Monotonic: lambda process, _: process._steady_clock(),
    Used: lambda *_: Usage(),
    ServerNow: lambda process, _: process.around.storage.server_now(),
    Identify: lambda _, identify: Identified(contents={}, environment="simulated"),
    Absent: lambda process, absent: process.around.storage.checker.absent(absent),
    NewId: lambda process, _: f"{next(process.around.nonces):012x}",
}


def _shows_head(effect: Effect[Any], answer: Any) -> str | None:
    """The run whose head an answer shows, if it does."""
    if isinstance(effect, Get):
        return effect.pk if answer is not None and effect.table == RUNS and effect.rk == HEAD else None
    if isinstance(effect, Query):
        return effect.pk if effect.table == RUNS and effect.first == HEAD else None
    if isinstance(effect, Commit) and effect.table == RUNS:
        return effect.pk if any(write.rk == HEAD for write in effect.writes) else None
    return None
