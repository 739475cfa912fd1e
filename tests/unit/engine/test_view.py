"""What people see of a run, at every moment of its life."""

from __future__ import annotations

import pytest

from orchestrator.core.claim import ClaimRow
from orchestrator.core.errors import UnknownThing
from orchestrator.core.head import Head
from orchestrator.core.job import Job
from orchestrator.core.plan import Plan
from orchestrator.core.result import File, Metric, OutputData, StepResult
from orchestrator.core.states import ClaimState, RunStatus, StepStatus
from orchestrator.engine.cancel import cancel
from orchestrator.engine.outputview import Signing, Wish, outputs_page
from orchestrator.engine.resultview import metrics_view
from orchestrator.engine.stepview import status_of, step_view, steps_view
from orchestrator.engine.tags import change_tags
from orchestrator.engine.view import run_view
from tests.unit.engine.running import FAILURE, Runner, step

SIGNING = Signing(datastores={"workspaceblobstore": "data"}, seconds=60)


def statuses(runner: Runner) -> dict[str, str]:
    return {view.id: view.status.value for view in runner.world.run(steps_view(runner.memory, "run1"))}


def test_a_run_from_start_to_end() -> None:
    runner = Runner(step("a"), step("b", "a"), step("c", "a"))
    info = runner.start()
    view = runner.world.run(run_view(runner.memory, "run1"))
    assert (view.status, view.steps_total, view.steps_done, view.ended_at) == (RunStatus.RUNNING, 3, 0, None)
    assert (view.experiment, view.tags, view.submitted_at) == ("e", {"k": "v"}, info.submitted_at)
    assert statuses(runner) == {"a": "Queued", "b": "NotStarted", "c": "NotStarted"}
    runner.deliver()
    assert statuses(runner) == {"a": "Completed", "b": "Queued", "c": "Queued"}
    runner.finish()
    view = runner.world.run(run_view(runner.memory, "run1"))
    assert (view.status, view.steps_done) == (RunStatus.COMPLETED, 3)
    assert view.ended_at is not None
    assert view.ended_at > info.submitted_at


def test_a_step_that_runs_is_seen_running() -> None:
    seen: list[dict[str, str]] = []

    def look(job: Job) -> StepResult:
        seen.append(statuses(runner))
        return StepResult()

    runner = Runner(step("a"), step("b", "a"), scripts={"a": look})
    runner.start()
    runner.deliver()
    assert seen == [{"a": "Running", "b": "NotStarted"}]


def test_a_failure_skips_what_follows() -> None:
    runner = Runner(step("a"), step("b", "a"), step("c"), scripts={"a": lambda _: FAILURE}, keep_going=True)
    runner.start()
    runner.finish()
    assert statuses(runner) == {"a": "Failed", "b": "Skipped", "c": "Completed"}
    view = runner.world.run(run_view(runner.memory, "run1"))
    assert (view.status, view.steps_done, view.steps_failed, view.steps_skipped) == (RunStatus.FAILED, 1, 1, 1)
    failed = runner.world.run(step_view(runner.memory, "run1", "a"))
    assert failed.error is not None
    assert (failed.error.code, failed.error.log_tail, failed.exit_code) == ("ScriptFailed", "tail", 3)


def test_a_step_between_two_tries_waits_and_says_why() -> None:
    runner = Runner(step("a", retries=1), scripts={"a": lambda _: FAILURE})
    runner.start()
    runner.deliver()
    view = runner.world.run(step_view(runner.memory, "run1", "a"))
    assert (view.status, view.attempt) == (StepStatus.QUEUED, 1)
    assert view.error is not None
    assert view.error.message == "exit code 3"


def test_a_cancelled_run_leaves_no_step_waiting() -> None:
    def cancel_it(job: Job) -> StepResult | None:
        runner.world.run(cancel(runner.memory, job.run))
        return None

    runner = Runner(step("a"), step("b", "a"), step("c", "b"), scripts={"b": cancel_it})
    runner.start()
    runner.finish()
    assert statuses(runner) == {"a": "Completed", "b": "Canceled", "c": "Canceled"}
    assert runner.world.run(run_view(runner.memory, "run1")).status is RunStatus.CANCELED


CLAIMS = [None, *ClaimState]


@pytest.mark.parametrize(
    ("head", "states"),
    [
        (Head(done=0b001), ["Queued", *["Running"] * 3, "Queued", "Completed", "Failed", "Skipped", "Running"]),
        (Head(), ["NotStarted", *["Running"] * 3, "Queued", "Completed", "Failed", "Skipped", "Running"]),
        (Head(done=0b010), ["Completed"] * 9),
        (Head(failed=0b010), [*["Failed"] * 5, "Completed", "Failed", "Failed", "Failed"]),
        (
            Head(skipped=0b010, status=RunStatus.FAILED),
            ["Skipped", *["Canceled"] * 3, "Skipped", "Completed", "Failed", "Skipped", "Canceled"],
        ),
        (
            Head(done=0b001, status=RunStatus.CANCELED),
            [*["Canceled"] * 5, "Completed", "Failed", "Skipped", "Canceled"],
        ),
    ],
)
def test_status_by_head_and_claim(head: Head, states: list[str]) -> None:
    """The middle step of a chain of three, under each state that its claim can have."""
    runner = Runner(step("a"), step("b", "a"), step("c", "b"))
    plan = Plan(address="x", definition=runner.definition)
    for state, expected in zip(CLAIMS, states, strict=True):
        claim = ClaimRow(state=state, attempt=1, owner="o", message_id="m", dequeue_count=1) if state else None
        assert status_of(plan, head, 1, claim).value == expected, state


def test_a_step_view_names_what_it_waits_for() -> None:
    runner = Runner(step("a"), step("b"), step("c", "a", "b"))
    runner.start()
    view = runner.world.run(step_view(runner.memory, "run1", "c"))
    assert (view.parents, view.run_after, view.outputs, view.name) == (("a", "b"), ("a", "b"), ("out",), "C it")
    assert view == runner.world.run(steps_view(runner.memory, "run1"))[2]
    assert view.step_run_id == "run1_c"


def test_an_unknown_step_is_answered_with_a_near_miss() -> None:
    runner = Runner(step("prepare"))
    runner.start()
    with pytest.raises(UnknownThing, match='Did you mean "prepare"'):
        runner.world.run(step_view(runner.memory, "run1", "prepar"))


@pytest.mark.parametrize("run", ["none", "", "a/b", "#", "x" * 200, "\x00", "../run1"])
def test_an_unknown_run_is_said_to_be_unknown(run: str) -> None:
    runner = Runner(step("a"))
    for task in (
        run_view(runner.memory, run),
        steps_view(runner.memory, run),
        step_view(runner.memory, run, "a"),
        metrics_view(runner.memory, run),
        outputs_page(runner.memory, run, SIGNING, Wish()),
        change_tags(runner.memory, run, {}, most_bytes=100),
    ):
        with pytest.raises(UnknownThing) as caught:
            runner.world.run(task)
        assert caught.value.field == "run_id"


def test_metrics_and_outputs_are_those_of_committed_steps() -> None:
    def train(job: Job) -> StepResult:
        return StepResult(
            metrics=(Metric(name="auc", kind="scalar", value=0.9, at=1.0),),
            outputs={
                "out": OutputData(
                    datastore="workspaceblobstore",
                    prefix=f"{job.prefix}/out",
                    files=(File(path="m", size=1, sha256="s"),),
                ),
                "one": OutputData(
                    datastore="workspaceblobstore",
                    prefix="one",
                    is_file=True,
                    files=(File(path="", size=2, sha256="t"),),
                ),
                "gone": OutputData(datastore="gone", prefix="p", files=(File(path="m", size=1, sha256="s"),)),
            },
            artifacts=(File(path="outputs/x.png", size=3, sha256="u"),),
            artifact_prefix=f"{job.prefix}/artifacts",
        )

    runner = Runner(step("a"), step("b", "a"), scripts={"a": train})
    runner.start()
    assert runner.world.run(metrics_view(runner.memory, "run1")).steps == {}
    runner.deliver()
    metrics = runner.world.run(metrics_view(runner.memory, "run1")).steps
    assert [(metric.name, metric.value) for metric in metrics["a"]] == [("auc", 0.9)]
    views = runner.world.run(outputs_page(runner.memory, "run1", SIGNING, Wish())).steps
    assert list(views) == ["a"]
    outputs = views["a"].outputs
    assert outputs["out"].files[0].url == f"memory://data/{outputs['out'].prefix}/m"
    assert outputs["one"].files[0].url == "memory://data/one"
    assert outputs["gone"].files == ()
    assert views["a"].artifacts[0].url.startswith("memory://millstream/runs/run1/a/1-")
    assert runner.world.run(outputs_page(runner.memory, "run1", SIGNING, Wish(step="b"))).steps == {}
    assert runner.world.run(outputs_page(runner.memory, "run1", SIGNING, Wish(step="a"))).steps == views


def test_a_large_result_is_read_from_its_blob() -> None:
    many = tuple(Metric(name=f"m{n}", kind="scalar", value=n, at=1.0) for n in range(2000))
    runner = Runner(step("a"), scripts={"a": lambda _: StepResult(metrics=many)})
    runner.start()
    runner.finish()
    assert len(runner.world.run(metrics_view(runner.memory, "run1")).steps["a"]) == 2000
