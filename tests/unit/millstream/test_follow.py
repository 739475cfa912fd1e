"""Waiting for a run: what is asked of the service, what is shown, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from millstream.api import LogPart
from millstream.errors import RunCanceled, RunFailed, Unavailable, WaitTimeout
from millstream.follow import Log, Pace, follow_run, follow_step
from millstream.pipeline_run import PipelineRun
from millstream.step_run import StepRun
from millstream.views import RunView, StepErrorView, StepView

START = 1000.0


class History:
    """An Api whose run goes through `moments`; each sleep leads to the next one, each thing asked is counted."""

    def __init__(self, *moments: Moment) -> None:
        self.moments = list(moments)
        self.now = 0.0
        self.asked: list[str] = []
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        if len(self.moments) > 1:
            del self.moments[0]

    def clock(self) -> float:
        return self.now

    def run(self, _: str) -> RunView:
        self.asked.append("run")
        if self.moments[0].error:
            raise self.moments[0].error
        return self.moments[0].run

    def steps(self, _: str) -> tuple[StepView, ...]:
        self.asked.append("steps")
        return self.moments[0].steps

    def step(self, _: str, step_id: str) -> StepView:
        return next(step for step in self.moments[0].steps if step.id == step_id)

    def log(self, _: str, step_id: str, offset: int = 0) -> LogPart:
        self.asked.append(f"log {step_id}")
        if step_id in self.moments[0].dumb:
            raise Unavailable("The service does not answer.")
        text, attempt = self.moments[0].logs.get(step_id, (b"", 1))
        ended = self.step("", step_id).ended
        return LogPart(data=text[offset:], next=len(text), complete=ended, attempt=attempt)


class Moment:
    def __init__(
        self,
        *steps: StepView,
        status: str = "Running",
        logs: dict[str, bytes | tuple[bytes, int]] | None = None,
        error: Exception | None = None,
        dumb: tuple[str, ...] = (),
    ) -> None:
        self.steps = steps
        self.dumb = dumb
        self.logs = {k: v if isinstance(v, tuple) else (v, 1) for k, v in (logs or {}).items()}
        self.error = error
        states = [step.status for step in steps]
        self.run = RunView(
            id="r",
            experiment="e",
            status=status,
            submitted_at=START,
            ended_at=None if status == "Running" else START + 5,
            steps_total=len(steps),
            steps_done=states.count("Completed"),
            steps_failed=states.count("Failed"),
            steps_skipped=states.count("Skipped"),
        )


def step(key: str, status: str, *, log: int = 0, error: StepErrorView | None = None) -> StepView:
    started = None if status in ("NotStarted", "Queued", "Skipped") else START
    ended = START + 2 if status in ("Completed", "Failed") else None
    return StepView(
        id=key,
        name=key.title(),
        position=0,
        kind="python_script",
        status=status,
        attempt=1 if started else 0,
        started_at=started,
        ended_at=ended,
        log_bytes=log,
        error=error,
    )


def pace(history: History, timeout: float = 1e9) -> Pace:
    return Pace(timeout, clock=history.clock, sleep=history.sleep)


def follow(history: History, **options: Any) -> str:
    run = cast(PipelineRun, SimpleNamespace(api=history, id="r"))
    wanted = {"show_output": True, "timeout": 1e9, "raise_on_error": True, **options}
    return follow_run(run, pace=pace(history, wanted["timeout"]), **wanted)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: capsys.readouterr().out.splitlines()


def test_steps_and_what_they_print_are_shown_as_it_happens(shown: Callable[[], list[str]]) -> None:
    history = History(
        Moment(step("a", "Queued"), step("bb", "NotStarted")),
        Moment(step("a", "Running"), step("bb", "NotStarted"), logs={"a": b"one\ntw"}),
        Moment(step("a", "Running"), step("bb", "NotStarted"), logs={"a": b"one\ntwo\nthr"}),
        Moment(step("a", "Completed", log=13), step("bb", "Running"), logs={"a": b"one\ntwo\nthree", "bb": b"hi\n"}),
        Moment(step("a", "Completed"), step("bb", "Completed", log=3), status="Completed", logs={"bb": b"hi\n"}),
    )
    assert follow(history) == "Finished"
    lines = [line.partition("] ")[2] or line for line in shown()]
    assert lines == [
        "PipelineRunId: r",
        "A: Running",
        "A  | one",
        "A  | two",
        "A  | three",
        "A: Completed after 2.0 s",
        "Bb: Running",
        "Bb | hi",
        "Bb: Completed after 2.0 s",
        "PipelineRun Completed in 5.0 s: 2 of 2 steps done",
    ]


def test_without_output_only_the_run_is_asked_for(shown: Callable[[], list[str]]) -> None:
    history = History(*[Moment(step("a", "Running"))] * 3, Moment(step("a", "Completed"), status="Completed"))
    assert follow(history, show_output=False) == "Finished"
    assert set(history.asked) == {"run"}
    assert shown() == []


def test_steps_are_asked_for_when_something_has_moved(shown: Callable[[], list[str]]) -> None:
    running = Moment(step("a", "Running"), step("b", "NotStarted"))
    after = Moment(step("a", "Completed"), step("b", "Running"))
    history = History(*[running] * 6, after, Moment(step("a", "Completed"), step("b", "Completed"), status="Completed"))
    follow(history)
    assert history.asked.count("steps") == 3
    assert history.asked.count("log a") == 6


def test_looks_come_ever_more_slowly_while_nothing_moves() -> None:
    history = History(*[Moment(step("a", "Running"))] * 30, Moment(status="Completed"))
    follow(history, show_output=False)
    assert history.slept[0] < 0.2
    assert history.slept == sorted(history.slept)
    assert history.slept[-1] == 1.0


def test_a_failure_names_the_step_the_reason_and_the_end_of_its_log(shown: Callable[[], list[str]]) -> None:
    error = StepErrorView(code="ScriptFailed", message="The script ended with exit code 3.", log_tail="Traceback\nboom")
    history = History(
        Moment(
            step("train", "Failed", log=5, error=error),
            step("b", "Skipped"),
            status="Failed",
            logs={"train": b"boom\n"},
        )
    )
    with pytest.raises(RunFailed) as caught:
        follow(history)
    assert [(f.step, f.code) for f in caught.value.failures] == [("Train", "ScriptFailed")]
    assert "The run r is Failed." in str(caught.value)
    assert "Step 'Train': The script ended with exit code 3. (ScriptFailed)" in str(caught.value)
    assert "    boom" in str(caught.value)
    lines = shown()
    assert lines[1] == "Train | boom"
    assert lines[2].endswith("Train: Failed after 2.0 s: The script ended with exit code 3. (ScriptFailed)")
    assert lines[3].endswith("B: Skipped")
    assert lines[4] == "PipelineRun Failed in 5.0 s: 0 of 2 steps done, 1 failed, 1 skipped"


def test_a_failure_can_be_returned_instead() -> None:
    assert follow(History(Moment(status="Failed")), raise_on_error=False) == "Failed"
    assert follow(History(Moment(status="Canceled")), raise_on_error=False) == "Canceled"


def test_a_cancelled_run_is_told_apart() -> None:
    with pytest.raises(RunCanceled, match="is Canceled"):
        follow(History(Moment(step("a", "Canceled"), status="Canceled")))


@pytest.mark.parametrize("show_output", [True, False])
def test_waiting_ends_in_time_and_says_that_the_run_does_not(show_output: bool) -> None:
    history = History(Moment(step("a", "Running")))
    with pytest.raises(WaitTimeout, match=r"run r has not ended after 5\.0 s\. It goes on") as caught:
        follow(history, timeout=5.0, show_output=show_output)
    assert isinstance(caught.value, TimeoutError)
    assert history.now == pytest.approx(5.0)


def test_a_service_that_is_away_for_a_while_is_waited_for(shown: Callable[[], list[str]]) -> None:
    away = Moment(error=Unavailable("The service does not answer."))
    history = History(Moment(step("a", "Running")), away, away, Moment(step("a", "Completed"), status="Completed"))
    assert follow(history) == "Finished"
    assert "The service does not answer. Still waiting ..." in shown()


def test_a_look_that_fails_is_made_good_by_the_next_one(shown: Callable[[], list[str]]) -> None:
    steps = (step("a", "Completed", log=2), step("b", "Failed", log=2))
    logs: dict[str, bytes | tuple[bytes, int]] = {"a": b"x\n", "b": b"y\n"}
    history = History(
        Moment(step("a", "Running"), step("b", "Running")),
        Moment(*steps, status="Failed", logs=logs, dumb=("b",)),
        Moment(*steps, status="Failed", logs=logs),
    )
    assert follow(history, raise_on_error=False) == "Failed"
    lines = [line.partition("] ")[2] or line for line in shown()]
    assert lines[3:8] == [
        "The service does not answer. Still waiting ...",
        "A | x",
        "A: Completed after 2.0 s",
        "B | y",
        "B: Failed after 2.0 s",
    ]


def test_an_interrupt_leaves_the_run_going_and_says_how_to_stop_it(shown: Callable[[], list[str]]) -> None:
    with pytest.raises(KeyboardInterrupt):
        follow(History(Moment(error=cast(Exception, KeyboardInterrupt()))))
    assert shown()[-1] == "The run goes on. To stop it: Run.get(workspace, 'r').cancel()"


def test_with_many_steps_running_every_log_has_its_turn() -> None:
    crowd = Moment(*(step(f"s{number:02d}", "Running") for number in range(40)))
    done = Moment(*(step(f"s{number:02d}", "Completed") for number in range(40)), status="Completed")
    history = History(*[crowd] * 5, done)
    follow(history)
    logs = [asked for asked in history.asked if asked.startswith("log")]
    assert len(logs) == 5 * 16
    assert len(set(logs)) == 40


def test_a_retry_begins_a_new_log() -> None:
    history = History(
        Moment(step("a", "Running"), logs={"a": b"first try\n"}),
        Moment(step("a", "Running"), logs={"a": (b"again\n", 2)}),
    )
    log = Log()
    for line in ("first try", "again"):
        log.read(cast(Any, history), "r", "a")
        assert log.take(whole=False) == [line]
        history.sleep(1)


def test_of_a_line_that_was_written_over_the_last_state_is_shown() -> None:
    history = History(Moment(step("a", "Completed"), logs={"a": b"10%\r50%\r100%\r\nend\xff"}))
    log = Log()
    log.read(cast(Any, history), "r", "a")
    assert log.take(whole=False) == ["100%", "end�"]


def test_one_step_can_be_waited_for(shown: Callable[[], list[str]]) -> None:
    history = History(
        Moment(step("a", "Queued")),
        Moment(step("a", "Running"), logs={"a": b"x\n"}),
        Moment(step("a", "Completed", log=4), logs={"a": b"x\ny\n"}),
    )
    run = cast(StepRun, SimpleNamespace(api=history, id="r_a", pipeline_run_id="r", step_id="a"))
    assert follow_step(run, show_output=True, timeout=1e9, raise_on_error=True, pace=pace(history)) == "Finished"
    assert shown() == ["StepRunId: r_a", "x", "y", "StepRun(A): Completed"]
    failed = History(Moment(step("a", "Failed", error=StepErrorView(code="C", message="m"))))
    run = cast(StepRun, SimpleNamespace(api=failed, id="r_a", pipeline_run_id="r", step_id="a"))
    with pytest.raises(RunFailed, match="Step 'A': m"):
        follow_step(run, show_output=False, timeout=1e9, raise_on_error=True, pace=pace(failed))
