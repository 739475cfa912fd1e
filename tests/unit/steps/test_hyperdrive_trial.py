"""Trials: real scripts in real processes, which are ended by what other trials have reported."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.definition import Definition, FromOutput, Literal, Output, Step
from orchestrator.core.early_termination import Bandit, Goal, MedianStopping, Policy, Trial
from orchestrator.core.job import Job
from orchestrator.core.kinds.hyperdrive import HyperDrive, trial_step
from orchestrator.core.result import Metric, StepResult
from orchestrator.core.sampling import Choice, Uniform
from orchestrator.core.trials import STOPPED, Outcome, logged, ranked, score_of, values_of
from steps.hyperdrive_trial import Watch
from steps.memory_store import MemoryStore
from steps.trial_reports import TrialReports
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working

SCRIPT = """
import sys, time
from pathlib import Path
from millstream import Run
run = Run.get_context()
Path("outputs/model.txt").write_text("half trained")
Path(sys.argv[1]).write_text("whole")
for epoch in range(int(sys.argv[2])):
    run.log("accuracy", 0.1)
    time.sleep(0.05)
print("trained to the end")
"""


def trial(store: MemoryStore, policy: Policy | None, *, epochs: int) -> Job:
    made = job(
        put_snapshot(store, {"script.py": SCRIPT}),
        kind="hyperdrive_trial",
        step_id="trial-0001",
        outputs=(Output(name="model"),),
        arguments=(FromOutput(name="model"), Literal(value=str(epochs))),
    )
    given = {"primary_metric": "accuracy", "goal": "maximize", "policy": msgspec.to_builtins(policy)}
    step = msgspec.structs.replace(made.step, settings={"script": "script.py", **given})
    return msgspec.structs.replace(made, step=step)


def report(store: MemoryStore, it: Job, step_id: str, *values: float, attempt: int = 1, ended: bool = False) -> None:
    step = msgspec.structs.replace(it.step, id=step_id)
    other = msgspec.structs.replace(it, step=step, attempt=attempt)
    TrialReports(store, SYSTEM, other).publish(Trial(values=values, ended=ended))


def performed(store: MemoryStore, folder: Path, it: Job) -> StepResult:
    with working(store, settings(folder)) as worker:
        return perform(worker, it)


class TestTrial:
    def test_one_that_is_far_from_the_best_is_ended(self, tmp_path: Path) -> None:
        store = MemoryStore(SYSTEM, DATA)
        it = trial(store, Bandit(slack_factor=0.2), epochs=2000)
        report(store, it, "trial-0000", 0.9)
        result = performed(store, tmp_path, it)
        assert result.error is not None
        assert (result.error.code, result.retryable) == (STOPPED, False)
        assert "Bandit policy: at interval 1, its best, 0.1," in result.error.message
        assert result.outputs == {} and values_of(result.metrics, "accuracy")[0] == 0.1
        assert [file.path for file in result.artifacts if file.path.startswith("outputs/")] == ["outputs/model.txt"]
        (own,) = [text for name, text in store.blobs[SYSTEM].items() if name.startswith("trials/run1/trial-0001/")]
        assert json.loads(own)["ended"] is True

    def test_one_that_keeps_up_comes_to_its_end(self, tmp_path: Path) -> None:
        store = MemoryStore(SYSTEM, DATA)
        it = trial(store, Bandit(slack_factor=0.2), epochs=30)
        report(store, it, "trial-0000", 0.1)
        result = performed(store, tmp_path, it)
        assert result.error is None and result.outputs["model"].is_file
        (own,) = [text for name, text in store.blobs[SYSTEM].items() if name.startswith("trials/run1/trial-0001/")]
        assert json.loads(own) == {"values": [0.1] * 30, "ended": True}

    def test_without_a_policy_nothing_is_reported(self, tmp_path: Path) -> None:
        store = MemoryStore(SYSTEM, DATA)
        assert performed(store, tmp_path, trial(store, None, epochs=1)).error is None
        assert not [name for name in store.blobs[SYSTEM] if name.startswith("trials/")]


class TestReports:
    def test_of_each_other_trial_the_latest_attempt_counts(self) -> None:
        store = MemoryStore(SYSTEM)
        it = job(None, step_id="trial-0001")
        own = TrialReports(store, SYSTEM, it)
        own.publish(Trial(values=(1.0,)))
        assert own.others() == []
        report(store, it, "trial-0000", 0.5, 0.6, attempt=9)
        report(store, it, "trial-0000", 0.1, attempt=10, ended=True)
        report(store, it, "trial-0002", 0.7, math.nan)
        first, second = own.others()
        assert first == Trial(values=(0.1,), ended=True)
        assert second.values[0] == 0.7 and math.isnan(second.values[1])

    def test_other_runs_are_others(self) -> None:
        store = MemoryStore(SYSTEM)
        TrialReports(store, SYSTEM, job(None, run="run10", step_id="a")).publish(Trial(values=(1.0,)))
        assert TrialReports(store, SYSTEM, job(None, run="run1", step_id="b")).others() == []


class TestWatch:
    def watch(self, store: MemoryStore, policy: Policy) -> Watch:
        it = job(None, step_id="trial-0001")
        report(store, it, "trial-0000", *([0.9] * 10))
        return Watch(policy, Goal.MAXIMIZE, "accuracy", TrialReports(store, SYSTEM, it))

    def test_several_intervals_at_once_are_all_judged(self) -> None:
        watch = self.watch(MemoryStore(SYSTEM), MedianStopping(evaluation_interval=3))
        watch.saw(metrics(0.1, 0.1))
        assert not watch.why
        watch.saw([*metrics(0.1, 0.1), Metric(name="other", kind="scalar", value=1, at=0.0)])
        assert str(watch.why).startswith("at interval 3, ")
        assert watch.stop.reason is not None

    def test_without_storage_it_goes_on(self) -> None:
        store = MemoryStore(SYSTEM)
        watch = self.watch(store, Bandit(slack_factor=0.1))
        store.blobs.clear()
        watch.saw(metrics(0.1))
        watch.end()
        assert watch.why is None


def metrics(*values: Any) -> list[Metric]:
    return [Metric(name="accuracy", kind="scalar", value=value, at=0.0) for value in values]


class TestScores:
    def test_the_best_value_is_the_score(self) -> None:
        found = metrics(0.1, 0.9, 0.5, "high", True)
        assert values_of(found, "accuracy") == (0.1, 0.9, 0.5)
        assert score_of(found, "accuracy", Goal.MAXIMIZE) == 0.9
        assert score_of(found, "accuracy", Goal.MINIMIZE) == 0.1
        assert score_of(found, "loss", Goal.MINIMIZE) is None
        assert logged(metrics(1, 2)) == {"accuracy": [1, 2]}

    def test_the_best_comes_first_and_of_equals_the_earlier(self) -> None:
        scores = {"a": 0.5, "b": 0.9, "c": None, "d": 0.9}
        outcomes = [Outcome(id=name, score=score, completed=True) for name, score in scores.items()]
        assert [it.id for it in ranked(outcomes, Goal.MAXIMIZE)] == ["b", "d", "a"]
        assert [it.id for it in ranked(outcomes, Goal.MINIMIZE)] == ["a", "b", "d"]


class TestSearch:
    SEARCH = HyperDrive(
        space={"rate": Uniform(low=0, high=1), "--size": Choice(values=(1, 2))},
        primary_metric="accuracy",
        goal=Goal.MAXIMIZE,
        max_total_runs=5,
        policy=Bandit(slack_factor=0.1),
    )

    def test_a_trial_has_its_values_as_arguments(self) -> None:
        template = Step(id="train", name="Train", kind="python_script", settings={"script": "a.py"})
        values = self.SEARCH.trials()[3]
        made = trial_step(template, self.SEARCH, 3, values)
        texts = [argument.value for argument in made.arguments if hasattr(argument, "value")]
        assert texts == ["--rate", str(values["rate"]), "--size", str(values["--size"])]
        assert (made.id, made.name, made.kind) == ("trial-0003", "Train", "hyperdrive_trial")
        assert made.settings["policy"]["kind"] == "bandit"
        assert not list(self.SEARCH.problems("settings"))

    def test_a_grid_goes_no_further_than_it_may(self) -> None:
        grid = HyperDrive(
            space={"a": Choice(values=(1, 2)), "b": Choice(values=(3, 4))},
            primary_metric="m",
            goal=Goal.MINIMIZE,
            max_total_runs=3,
            sampling="grid",
        )
        assert [tuple(values.values()) for values in grid.trials()] == [(1, 3), (1, 4), (2, 3)]

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"space": {}}, "s.space"),
            ({"space": {"a b": Choice(values=(1,))}}, "s.space.a b"),
            ({"space": {"a": Choice(values=())}}, "s.space.a"),
            ({"sampling": "grid"}, "s.space.rate"),
            ({"primary_metric": ""}, "s.primary_metric"),
            ({"policy": Bandit()}, "s.policy"),
            ({"model_files": {"out": "../x"}}, "s.model_files.out"),
        ],
    )
    def test_what_cannot_be_searched_is_told(self, changes: dict[str, Any], field: str) -> None:
        wrong = msgspec.structs.replace(self.SEARCH, **changes)
        assert [problem.field for problem in wrong.problems("s")] == [field]


class TestWhole:
    """What does not fit together of a step that searches, which is told before anything runs."""

    TRIAL = Step(
        id="trial", name="t", kind="python_script", settings={"script": "a.py"}, outputs=(Output(name="weights"),)
    )
    SETTINGS = HyperDrive(
        space={"a": Choice(values=(1, 2))},
        primary_metric="m",
        goal=Goal.MINIMIZE,
        max_total_runs=1,
        metrics_output="metrics",
        model_files={"model": "outputs/m"},
    )

    def problems(self, *ports: str, template: tuple[Step, ...] = (TRIAL,), **changes: Any) -> list[tuple[str, str]]:
        step = Step(
            id="s",
            name="s",
            kind="hyperdrive",
            outputs=tuple(Output(name=name) for name in ports),
            template=Definition(name="s", steps=template),
        )
        found = msgspec.structs.replace(self.SETTINGS, **changes).step_problems(step, "steps[0]")
        return [(problem.code, problem.field) for problem in found]

    def test_every_output_is_made_by_something(self) -> None:
        assert self.problems("weights", "metrics", "model") == []
        assert self.problems("weights", "metrics", "model", "other") == [("UnknownOutput", "steps[0].outputs")]

    def test_what_is_named_is_an_output(self) -> None:
        assert self.problems("weights", "metrics") == [("UnknownOutput", "steps[0].outputs")]

    def test_a_trial_is_one_script(self) -> None:
        wrong = [("WrongTemplate", "steps[0].template.steps")]
        assert self.problems("metrics", "model", template=()) == wrong
        assert self.problems("metrics", "model", template=(msgspec.structs.replace(self.TRIAL, kind="sql"),)) == wrong

    def test_parameters_are_the_templates(self) -> None:
        told = self.problems("metrics", "model", parameters={"x": 1})
        assert told == [("UnknownParameter", "steps[0].settings.parameters")]
