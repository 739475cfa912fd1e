"""Searches on the client: what a HyperDriveStep compiles to, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millstream import (
    BanditPolicy,
    BayesianParameterSampling,
    Estimator,
    GridParameterSampling,
    HyperDriveConfig,
    HyperDriveStep,
    MedianStoppingPolicy,
    NoTerminationPolicy,
    PipelineData,
    PipelineParameter,
    PrimaryMetricGoal,
    RandomParameterSampling,
    ScriptRunConfig,
    TrainingOutput,
    TruncationSelectionPolicy,
    choice,
    lognormal,
    loguniform,
    normal,
    qlognormal,
    qloguniform,
    qnormal,
    quniform,
    randint,
    uniform,
)
from millstream.graph import build
from millstream.submission import Draft, check_structure
from orchestrator.core.definition import FromInput, FromOutput, FromParameter, Literal, ParentSource
from orchestrator.core.sampling import Choice

SPACE = {"rate": uniform(0, 1)}
GOAL = PrimaryMetricGoal.MINIMIZE


def config(folder: Path = Path(), **more: Any) -> HyperDriveConfig:
    given = {
        "hyperparameter_sampling": RandomParameterSampling(SPACE),
        "primary_metric_name": "loss",
        "primary_metric_goal": GOAL,
        "max_total_runs": 5,
        "run_config": ScriptRunConfig(folder, "train.py", arguments=["-v"]),
    }
    return HyperDriveConfig(**{**given, **more})


def test_it_compiles_to_a_search_with_a_template(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    data, out, rate = PipelineData("data"), PipelineData("out"), PipelineParameter("epochs", 3)
    model = PipelineData("model", training_output=TrainingOutput("Model", model_file="outputs/m"))
    metrics = PipelineData("metrics")
    step = HyperDriveStep(
        "search",
        config(tmp_path, max_concurrent_runs=2, policy=MedianStoppingPolicy(2, 4)),
        estimator_entry_script_arguments=["--data", data, out, "--epochs", rate],
        inputs=[data],
        outputs=[out, model],
        metrics_output=metrics,
    )
    assert [port.name for port in step.wiring.inputs] == ["data"]
    assert [port.output_name for port in step.wiring.outputs] == ["out", "model", "metrics"]
    assert step.wiring.arguments == [] and out.producer is step and step.needs_snapshot
    assert step.settings["model_files"] == {"model": "outputs/m"}
    assert step.settings["metrics_output"] == "metrics"
    assert step.settings["parameters"] == {"epochs": {"kind": "parameter", "name": "epochs"}}
    assert step.settings["policy"] == {"kind": "median_stopping", "evaluation_interval": 2, "delay_evaluation": 4}
    template = step.template("store", "a" * 64)
    (trial,) = template.steps
    assert trial.arguments == (
        Literal(value="--data"),
        FromInput(name="data"),
        FromOutput(name="out"),
        Literal(value="--epochs"),
        FromParameter(name="epochs"),
    )
    assert trial.inputs[0].source == ParentSource(input="data")
    assert [port.name for port in trial.outputs] == ["out"]
    assert [parameter.name for parameter in template.parameters] == ["epochs"]


def test_the_whole_is_in_order(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    steps = [HyperDriveStep("search", config(tmp_path))]
    draft = Draft(graph=build(steps), name="p", description="", default_datastore=None, default_folder=Path())
    check_structure(draft)
    assert steps[0].template("s", None).steps[0].arguments == (Literal(value="-v"),)


@pytest.mark.parametrize(
    ("made", "fields"),
    [
        (choice(1, 2), {"kind": "choice", "values": [1, 2]}),
        (choice(["a", "b"]), {"kind": "choice", "values": ["a", "b"]}),
        (choice(range(2)), {"kind": "choice", "values": [0, 1]}),
        (randint(3), {"kind": "randint", "upper": 3}),
        (uniform(0, 1), {"kind": "uniform", "low": 0.0, "high": 1.0}),
        (quniform(0, 9, 3), {"kind": "quniform", "low": 0.0, "high": 9.0, "q": 3}),
        (loguniform(-3, 0), {"kind": "loguniform", "low": -3.0, "high": 0.0}),
        (qloguniform(0, 3, 2), {"kind": "qloguniform", "low": 0.0, "high": 3.0, "q": 2}),
        (normal(0, 1), {"kind": "normal", "mu": 0.0, "sigma": 1.0}),
        (qnormal(0, 1, 0.5), {"kind": "qnormal", "mu": 0.0, "sigma": 1.0, "q": 0.5}),
        (lognormal(0, 1), {"kind": "lognormal", "mu": 0.0, "sigma": 1.0}),
        (qlognormal(0, 1, 1), {"kind": "qlognormal", "mu": 0.0, "sigma": 1.0, "q": 1}),
    ],
)
def test_expressions(made: Any, fields: dict[str, Any]) -> None:
    assert json.loads(msgspec.json.encode(made)) == fields


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: uniform(1, 0), "uniform: 1 is not below 0"),
        (lambda: choice(), "choice: There is nothing"),
        (lambda: GridParameterSampling(SPACE), "'rate' has no list of values"),
        (lambda: RandomParameterSampling({}), "empty"),
        (lambda: BayesianParameterSampling({"a": normal(0, 1)}), "choice, uniform or quniform"),
        (lambda: BanditPolicy(), "Give either"),
        (lambda: BanditPolicy(slack_factor=0.1, evaluation_interval=0), "1 or more"),
        (lambda: TruncationSelectionPolicy(100), "1 to 99"),
        (lambda: TrainingOutput("Plot"), "'Metrics' or 'Model'"),
        (lambda: TrainingOutput("Metrics", model_file="a"), "only a Model"),
        (lambda: config(run_config=None), "give an estimator, or a run_config"),
        (lambda: config(max_total_runs=0), "max_total_runs is 1 to 1,000"),
        (lambda: config(resume_from=[1]), "are reused by themselves"),
        (
            lambda: config(
                hyperparameter_sampling=BayesianParameterSampling(SPACE), policy=BanditPolicy(slack_factor=0.1)
            ),
            "takes no policy",
        ),
        (
            lambda: HyperDriveStep("s", config(run_config=None, estimator=Estimator(".", entry_script="a.py"))),
            "pass \\[\\] if there are none",
        ),
        (
            lambda: HyperDriveStep("s", config(), outputs=PipelineData("m", training_output=TrainingOutput("Model"))),
            "needs a model_file",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("space", [{"a": 1}, {"a": [1, 2]}])
def test_a_space_is_made_of_expressions(space: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="use choice"):
        RandomParameterSampling(space)


def test_bayesian_sampling_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert BayesianParameterSampling({"a": choice(1, 2)}).kind == "random"
    assert "at random" in capsys.readouterr().out


def test_names_of_v1_mean_what_they_mean_there() -> None:
    assert PrimaryMetricGoal.from_str("Maximize") is PrimaryMetricGoal.MAXIMIZE
    assert NoTerminationPolicy().policy is None
    grid = GridParameterSampling({"a": choice(1, 2)})
    assert grid.parameter_space == {"a": Choice(values=(1, 2))}
    assert config(hyperparameter_sampling=grid).settings().trials() == [{"a": 1}, {"a": 2}]
