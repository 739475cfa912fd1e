"""Waiting for a run, and showing what happens in it while it happens.

One question a round (the run); its steps only when something may have changed; logs only of steps that run or have just
ended. A round comes 0.1 s after the one before while things move, and up to 1 s after it while they do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from millstream.api import Api, LogPart
from millstream.console import duration, say, styled
from millstream.errors import RunCanceled, RunFailed, StepFailure, Unavailable, WaitTimeout
from millstream.service_run import FINISHED
from millstream.views import RunView, StepView

if TYPE_CHECKING:
    from millstream.pipeline_run import PipelineRun
    from millstream.step_run import StepRun

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
STEPS_AT_LEAST_EVERY = 3.0
WIDEST_NAME = 24
AT_ONCE = 8
MOST_REASONS = 2
"""Told of one step; `millstream runs show` has all of them."""
MOST_FOLLOWED = 16
"""Logs read in a round: with more steps running than that, each has its turn."""

COLOURS = {"Completed": "green", "Failed": "red", "Running": "cyan", "Canceled": "yellow", "Skipped": "yellow"}


class Pace:
    """When to look next. Time is handed in, so that nothing here needs to be waited for in a test."""

    def __init__(
        self,
        timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._started = clock()
        self._timeout = timeout
        self._pause = FIRST_PAUSE

    @property
    def elapsed(self) -> float:
        return self._clock() - self._started

    def rest(self, what: str, *, moved: bool) -> None:
        """Pause: shortly if something moved, else half again as long as the last time. Raises WaitTimeout."""
        left = self._timeout - self.elapsed
        if left <= 0:
            raise WaitTimeout(f"{what} has not ended after {duration(self._timeout)}. It goes on.")
        self._pause = FIRST_PAUSE if moved else min(self._pause * 1.5, LONGEST_PAUSE)
        self._sleep(min(self._pause, left))


class Log:
    """A step's log, as far as it has been read. Lines wait in it until they are shown."""

    def __init__(self) -> None:
        self.offset = 0
        self.attempt = 0
        self._rest = b""
        self._lines: list[bytes] = []

    def read(self, api: Api, run_id: str, step_id: str, *, to_end: bool = False) -> None:
        """Read what is new; with `to_end`, until nothing more comes."""
        part = api.log(run_id, step_id, self.offset)
        if part.attempt > self.attempt > 0:
            # A retry begins a new log.
            self.offset, self._rest = 0, b""
            part = api.log(run_id, step_id, 0)
        self._enter(part)
        while to_end and part.data and not part.complete:
            part = api.log(run_id, step_id, self.offset)
            self._enter(part)

    def take(self, *, whole: bool) -> list[str]:
        """The lines that have come since the last time; a last line without an end only if not `whole`."""
        lines, self._lines = self._lines, []
        if self._rest and not whole:
            lines, self._rest = [*lines, self._rest], b""
        return [_last_of_overwritten(line.decode("utf-8", "replace")) for line in lines]

    def _enter(self, part: LogPart) -> None:
        self.attempt, self.offset = part.attempt, part.next
        *lines, self._rest = (self._rest + part.data).split(b"\n")
        self._lines += lines


class Narrator:
    """Tells what is new in a run since the last look. A look that fails is made good by the next one."""

    def __init__(self, api: Api, run_id: str, pace: Pace) -> None:
        self._api = api
        self._run_id = run_id
        self._pace = pace
        self._seen: tuple[Any, ...] = ()
        self._asked = 0.0
        self._steps: dict[str, StepView] = {}
        self._logs: dict[str, Log] = {}
        self._explained: set[str] = set()
        self._turn = 0
        self._width = 0
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="millstream-logs")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self, run: RunView) -> bool:
        """Show what is new. Whether anything was."""
        counts = (run.status, run.steps_done, run.steps_failed, run.steps_skipped)
        changed = self._changed() if self._may_have_changed(counts) else []
        ended = [step for step in changed if step.ended and self._has_more(step)]
        running = self._running(changed)
        grown = self._read(ended, to_end=True) | self._read(running, to_end=False)
        moved = bool(changed) or grown or counts != self._seen
        self._seen = counts
        for step in changed:
            self._steps[step.id] = step
            if step.ended:
                self._show_lines(step)
            self._tell(step)
        for step in running:
            self._show_lines(step)
        return moved

    def _may_have_changed(self, counts: tuple[Any, ...]) -> bool:
        queued = any(step.status == "Queued" for step in self._steps.values())
        return counts != self._seen or queued or self._pace.elapsed - self._asked > STEPS_AT_LEAST_EVERY

    def _changed(self) -> list[StepView]:
        """The steps whose status is another than at the last look."""
        steps = self._api.steps(self._run_id)
        self._asked = self._pace.elapsed
        self._width = min(max((len(step.name) for step in steps), default=0), WIDEST_NAME)
        known = {key: step.status for key, step in self._steps.items()}
        return [step for step in steps if step.status != known.get(step.id, "NotStarted")]

    def _running(self, changed: list[StepView]) -> list[StepView]:
        """The running steps whose logs are read in this look; of very many, some, in turn."""
        now = {**self._steps, **{step.id: step for step in changed}}
        running = [step for step in now.values() if step.status == "Running"]
        if len(running) > MOST_FOLLOWED:
            self._turn = (self._turn + MOST_FOLLOWED) % len(running)
            running = (running + running)[self._turn : self._turn + MOST_FOLLOWED]
        return running

    def _read(self, steps: list[StepView], *, to_end: bool) -> bool:
        """Read the logs of these steps, several at once. Whether there was anything new in them."""
        logs = [self._logs.setdefault(step.id, Log()) for step in steps]
        before = [(log.offset, log.attempt) for log in logs]
        reads = [
            self._pool.submit(log.read, self._api, self._run_id, step.id, to_end=to_end)
            for step, log in zip(steps, logs, strict=True)
        ]
        for read in reads:
            read.result()
        return before != [(log.offset, log.attempt) for log in logs]

    def _has_more(self, step: StepView) -> bool:
        """Whether the log of a step that has ended holds more than was read while it ran."""
        log = self._logs.get(step.id, Log())
        return step.log_bytes > 0 and not step.taken and (step.attempt, step.log_bytes) != (log.attempt, log.offset)

    def _show_lines(self, step: StepView) -> None:
        for line in self._logs[step.id].take(whole=not step.ended) if step.id in self._logs else ():
            say(f"{styled(f'{step.name[:WIDEST_NAME]:<{self._width}} |', 'dim')} {line}")

    def _tell(self, step: StepView) -> None:
        """Say a step's new status. That it waits is not worth a line, unless it does so after a failure."""
        if step.status in ("NotStarted", "Queued") and step.error is None:
            return
        text = "Waiting for another try" if step.status == "Queued" else _taken(step) or step.status
        if step.ended and step.started_at and step.ended_at and not step.taken:
            text += f" after {duration(step.ended_at - step.started_at)}"
        text += self._why(step)
        if step.error is not None:
            text += f": {step.error.message} ({step.error.code})"
        shown = styled(text, *[COLOURS[status] for status in [step.status] if status in COLOURS])
        say(f"{styled(f'[{duration(self._pace.elapsed):>8}]', 'dim')} {styled(step.name, 'bold')}: {shown}")

    def _why(self, step: StepView) -> str:
        """Why it ran, told once; of a step that runs for the first time there is nothing to say."""
        decision = step.decision
        if decision is None or step.id in self._explained or decision.reasons[0].code == "first":
            return ""
        self._explained.add(step.id)
        told = [reason.text for reason in decision.reasons[:MOST_REASONS]]
        rest = len(decision.reasons) - len(told)
        return "" if decision.taken else f", since {'; '.join(told)}" + (f" and {rest} more" if rest else "")


def follow_run(
    run: PipelineRun, *, show_output: bool, timeout: float, raise_on_error: bool, pace: Pace | None = None
) -> str:
    """See PipelineRun.wait_for_completion."""
    pace = pace or Pace(timeout)
    narrator = Narrator(run.api, run.id, pace) if show_output else None
    if show_output:
        say(f"PipelineRunId: {run.id}")
    try:
        view = _wait(run, narrator, pace)
    except KeyboardInterrupt:
        say(f"\nThe run goes on. To stop it: Run.get(workspace, {run.id!r}).cancel()")
        raise
    finally:
        if narrator is not None:
            narrator.close()
    if show_output:
        _sum_up(view, pace)
    if raise_on_error and view.status != "Completed":
        kind = RunCanceled if view.status == "Canceled" else RunFailed
        raise kind(run.id, view.status, _failures(run.api.steps(run.id)))
    return FINISHED.get(view.status, view.status)


def follow_step(
    step: StepRun, *, show_output: bool, timeout: float, raise_on_error: bool, pace: Pace | None = None
) -> str:
    """See StepRun.wait_for_completion."""
    pace, log = pace or Pace(timeout), Log()
    if show_output:
        say(f"StepRunId: {step.id}")
    while True:
        view = step.api.step(step.pipeline_run_id, step.step_id)
        if show_output and view.started_at:
            log.read(step.api, step.pipeline_run_id, step.step_id, to_end=view.ended)
        lines = log.take(whole=not view.ended)
        for line in lines:
            say(line)
        if view.ended:
            break
        pace.rest(f"The step {step.id}", moved=bool(lines))
    if show_output:
        say(f"StepRun({view.name}): {view.status}")
    if raise_on_error and view.status != "Completed":
        kind = RunCanceled if view.status == "Canceled" else RunFailed
        raise kind(step.id, view.status, _failures((view,)))
    return FINISHED.get(view.status, view.status)


def _wait(run: PipelineRun, narrator: Narrator | None, pace: Pace) -> RunView:
    while True:
        moved = False
        try:
            view = run.api.run(run.id)
            moved = narrator.look(view) if narrator else False
            if view.ended:
                return view
        except Unavailable as error:
            # The run lives in storage, not in the service that answers for it: wait for that to come back.
            say(f"{error.message} Still waiting ...")
        pace.rest(f"The run {run.id}", moved=moved)


def _sum_up(view: RunView, pace: Pace) -> None:
    counts = [f"{view.steps_done} of {view.steps_total} steps done"]
    counts += [f"{view.steps_failed} failed"] if view.steps_failed else []
    counts += [f"{view.steps_skipped} skipped"] if view.steps_skipped else []
    took = duration((view.ended_at or 0) - view.submitted_at) if view.ended_at else duration(pace.elapsed)
    say(f"PipelineRun {styled(view.status, COLOURS[view.status], 'bold')} in {took}: {', '.join(counts)}")


def _failures(steps: tuple[StepView, ...]) -> list[StepFailure]:
    failed = sorted((step for step in steps if step.status == "Failed"), key=lambda step: step.ended_at or 0.0)
    return [
        StepFailure(step.name, step.error.code, step.error.message, step.error.log_tail)
        for step in failed
        if step.error is not None
    ]


def _taken(step: StepView) -> str:
    """Of a step that was not executed, whose outputs it has."""
    if step.decision is None or not step.taken:
        return ""
    how = "Reused" if step.decision.action == "reuse" else "Kept"
    return f"{how} from run {step.decision.from_run}"


def _last_of_overwritten(line: str) -> str:
    """A progress bar writes over its line; of what it wrote, the last is shown."""
    return line.rstrip("\r").rpartition("\r")[2]
