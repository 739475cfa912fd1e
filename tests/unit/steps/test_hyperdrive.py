"""The two acts of a search: what it becomes, and what is taken of what the trials have left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.definition import Definition, Output, Step
from orchestrator.core.job import Job
from orchestrator.core.nesting import Child, Children
from orchestrator.core.result import File, Metric, OutputData, StepError, StepResult
from orchestrator.core.states import RunStatus, StepStatus
from steps import hyperdrive
from steps.composite import CompositeContext
from steps.failures import ChildFailed, InvalidStep, OutputNotWritten
from steps.log import StepLog
from steps.memory_store import MemoryStore
from steps.stop import Stop
from steps.transfer import Pool
from tests.unit.steps.jobs import SYSTEM, file_of, settings

TRIAL = Step(id="trial", name="train", kind="python_script", snapshot="a" * 64, settings={"script": "a.py"})
SEARCH = {
    "space": {"rate": {"kind": "choice", "values": [0.1, 0.2, 0.3]}},
    "sampling": "grid",
    "primary_metric": "loss",
    "goal": "minimize",
    "max_total_runs": 10,
    "max_concurrent_runs": 2,
    "max_duration_minutes": 3,
    "metrics_output": "metrics",
    "model_files": {"model": "outputs/m", "one": "outputs/m/w.txt"},
}
OUTPUTS = tuple(Output(name=name) for name in ("weights", "metrics", "model", "one"))


def context(folder: Path, *, outputs: tuple[Output, ...] = OUTPUTS, template: tuple[Step, ...] = (TRIAL,)) -> Any:
    store = MemoryStore(SYSTEM)
    step = Step(
        id="search",
        name="search",
        kind="hyperdrive",
        settings=SEARCH,
        outputs=outputs,
        template=Definition(name="search", steps=template),
    )
    made = Job(run="r", experiment="e", position=0, step=step, attempt=1, owner="o", parameters={}, inputs={})
    return CompositeContext(
        job=made,
        settings=settings(folder / "cache"),
        log=StepLog(store, SYSTEM, "log", limit=1000),
        stop=Stop(),
        store=store,
        pool=Pool(1),
        outputs={port.name: folder / port.name for port in outputs},
        scratch=folder / "scratch",
        kept=folder / "code",
    )


def child(number: int, *losses: float, status: StepStatus = StepStatus.COMPLETED, **result: Any) -> Child:
    metrics = tuple(Metric(name="loss", kind="scalar", value=loss, at=1.0) for loss in losses)
    name = f"trial-{number:04d}"
    made = OutputData(datastore="workspaceblobstore", prefix=f"p/{name}", is_file=True, files=(file_of("", b"x"),))
    found = StepResult(metrics=metrics, **{"outputs": {"weights": made}, **result})
    return Child(id=name, name="train", position=number, status=status, result=found)


def children(*steps: Child, **more: Any) -> Children:
    given: Mapping[str, Any] = {"status": RunStatus.COMPLETED, "timed_out": False, **more}
    return Children(run="c", steps=steps, join={}, expanded=StepResult(), **given)


def failed(number: int, *losses: float, code: str = "ScriptFailed") -> Child:
    error = StepError(code=code, message="no luck")
    return child(number, *losses, status=StepStatus.FAILED, outputs={}, error=error)


def test_it_becomes_a_step_for_each_combination(tmp_path: Path) -> None:
    made = hyperdrive.expand(context(tmp_path))
    assert [step.id for step in made.definition.steps] == ["trial-0000", "trial-0001", "trial-0002"]
    assert [step.settings["hyperparameters"] for step in made.definition.steps] == [
        {"rate": 0.1},
        {"rate": 0.2},
        {"rate": 0.3},
    ]
    assert (made.window, made.seconds, made.keep_going) == (2, 180.0, True)


def test_a_template_has_one_step(tmp_path: Path) -> None:
    two = (TRIAL, msgspec.structs.replace(TRIAL, id="other"))
    with pytest.raises(InvalidStep, match="one step"):
        hyperdrive.expand(context(tmp_path, template=two))


def test_the_best_trials_results_are_taken(tmp_path: Path) -> None:
    it = context(tmp_path)
    files = {"outputs/m/w.txt": b"weights", "outputs/m/deep/v.txt": b"more", "outputs/other": b"-"}
    for name, data in files.items():
        it.store.put(SYSTEM, f"a/{name}", data)
    artifacts: tuple[File, ...] = tuple(file_of(name, data) for name, data in files.items())
    best = child(1, 0.5, 0.2, 0.4, artifacts=artifacts, artifact_prefix="a")
    hyperdrive.join(it, children(child(0, 0.3), best, child(2), failed(3, 0.1)))
    assert it.properties == {"best_child_run_id": "c_trial-0001", "score": "0.2", "hyperdrive_run": "c"}
    assert [(metric.name, metric.value) for metric in it.metrics] == [("loss", 0.2)]
    assert it.replaced["weights"].prefix == "p/trial-0001"
    assert (tmp_path / "model" / "w.txt").read_bytes() == b"weights"
    assert (tmp_path / "model" / "deep" / "v.txt").read_bytes() == b"more"
    assert (tmp_path / "one").read_bytes() == b"weights"
    told = json.loads((tmp_path / "metrics").read_text())
    assert told == {
        "c_trial-0000": {"loss": [0.3]},
        "c_trial-0001": {"loss": [0.5, 0.2, 0.4]},
        "c_trial-0003": {"loss": [0.1]},
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (children(failed(0, 0.1), failed(1), status=RunStatus.FAILED), "No trial .* first one's error: no luck"),
        (children(child(0), child(1)), "None of the 2 trials"),
        (
            children(child(0, status=StepStatus.CANCELED), status=RunStatus.CANCELED, timed_out=True),
            "took longer than it may",
        ),
    ],
)
def test_without_a_trial_to_take_it_fails(tmp_path: Path, given: Children, words: str) -> None:
    with pytest.raises(ChildFailed, match=words):
        hyperdrive.join(context(tmp_path), given)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    only = child(0, 0.1, artifacts=(file_of("outputs/x", b""),), artifact_prefix="a")
    with pytest.raises(OutputNotWritten, match=r"'outputs/m'; its files are: outputs/x"):
        hyperdrive.join(context(tmp_path), children(only))


def test_an_output_that_the_best_did_not_write_is_named(tmp_path: Path) -> None:
    only = child(0, 0.1, outputs={})
    with pytest.raises(OutputNotWritten, match="no output 'weights'"):
        hyperdrive.join(context(tmp_path, outputs=OUTPUTS[:1]), children(only))
