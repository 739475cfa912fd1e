"""Steps that become runs of their own, through the whole service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream import (
    MapStep,
    Pipeline,
    PipelineData,
    PipelineInput,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    StepMetric,
    StepText,
    SubPipelineStep,
    Workspace,
)
from tests.azurite import Azurite
from tests.service import QUICK, TOKEN, Service, arguments, fetch, from_step, running_service, script_step

pytestmark = pytest.mark.azurite

SCRIPTS = {
    "make.py": "import sys\nopen(sys.argv[1], 'w').write('5 6')\n",
    "add.py": (
        "import sys\n"
        "total = sum(map(int, open(sys.argv[1]).read().split())) * int(sys.argv[3])\n"
        "print('adding', total)\n"
        "open(sys.argv[2], 'w').write(str(total))\n"
    ),
    "fail.py": "raise ValueError('no luck')\n",
    "items.py": (
        "import os, sys\n"
        "open(sys.argv[1], 'w').write('[1, 2, 3]')\n"
        "os.makedirs(sys.argv[2] + '/deep')\n"
        "open(sys.argv[2] + '/a.txt', 'w').write('abc')\n"
        "open(sys.argv[2] + '/deep/b.txt', 'w').write('abcde')\n"
    ),
    "power.py": (
        "import sys\n"
        "from azureml.core import Run\n"
        "made = int(sys.argv[1]) ** int(sys.argv[2])\n"
        "Run.get_context().log('power', made)\n"
        "open(sys.argv[3], 'w').write(str(made))\n"
    ),
    "count.py": (
        "import os, sys\n"
        "found = os.listdir(sys.argv[1]) if os.path.isdir(sys.argv[1]) else [sys.argv[1]]\n"
        "open(sys.argv[2], 'w').write(str(len(found)))\n"
    ),
    "size.py": "import sys\nopen(sys.argv[2], 'w').write(str(len(open(sys.argv[1]).read())))\n",
}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("composite"), QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def snapshot(service: Service) -> str:
    return service.upload(SCRIPTS)


def nested(name: str, template: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A step of kind "pipeline"."""
    return {"id": name, "name": name, "kind": "pipeline", "template": {"name": f"{name}-body", **template}, **more}


def adding(snapshot: str) -> dict[str, Any]:
    """A template that adds the numbers of the input `numbers`, times the parameter `times`."""
    add = script_step(
        "add",
        snapshot,
        "add.py",
        inputs=[{"name": "in", "source": {"kind": "parent", "input": "numbers"}}],
        outputs=[{"name": "sum"}],
        arguments=arguments(("input", "in"), ("output", "sum"), ("parameter", "times")),
    )
    return {"steps": [add], "parameters": [{"name": "times", "type": "int", "default": 1}]}


def text_of(service: Service, run: str, step: str, output: str) -> str:
    page = service.ask("GET", f"runs/{run}/outputs")["steps"][step]["outputs"][output]
    (file,) = page["files"]
    return fetch(file["url"], "GET", None, {}).body.decode()


def test_a_pipeline_is_a_step_of_another(service: Service, snapshot: str) -> None:
    make = script_step("make", snapshot, "make.py", outputs=[{"name": "n"}], arguments=arguments(("output", "n")))
    inner = nested(
        "inner",
        adding(snapshot),
        inputs=[from_step("numbers", "make", "n")],
        outputs=[{"name": "total"}],
        settings={"parameters": {"times": 3}, "outputs": {"total": {"step": "add", "output": "sum"}}},
    )
    twice = nested(
        "twice",
        adding(snapshot),
        inputs=[from_step("numbers", "inner", "total")],
        outputs=[{"name": "total"}],
        settings={
            "parameters": {"times": {"kind": "parameter", "name": "factor"}},
            "outputs": {"total": {"step": "add", "output": "sum"}},
        },
    )
    run = service.submit(
        [make, inner, twice], parameters=[{"name": "factor", "type": "int", "default": 2}], values={"factor": 10}
    )
    ended = service.wait(run)
    steps = service.steps(run)
    assert ended["status"] == "Completed", (steps, service.host.log()[-3000:])
    assert text_of(service, run, "inner", "total") == "33"
    assert text_of(service, run, "twice", "total") == "330"
    child = steps["inner"]["child"]
    assert (child["status"], child["steps_total"], child["steps_ended"]) == ("Completed", 1, 1)
    assert service.ask("GET", f"runs/{child['run']}")["parent_run"] == run
    assert "adding 33" in service.log(child["run"], "add")


def test_what_fails_within_fails_the_step(service: Service, snapshot: str) -> None:
    inner = nested("inner", {"steps": [script_step("bad", snapshot, "fail.py")]})
    run = service.submit([inner])
    assert service.wait(run)["status"] == "Failed"
    error = service.steps(run)["inner"]["error"]
    assert error["code"] == "ChildFailed"
    assert "step bad failed" in error["message"]


def written(folder: Path) -> dict[str, str]:
    """Path below the folder -> text."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def downloaded(run: PipelineRun, step: str, output: str, folder: Path) -> dict[str, str]:
    run.find_step_run(step)[0].get_output_data(output).download(folder)
    return written(folder)


def test_each_item_and_each_file_gets_a_run_of_a_step(workspace: Workspace, sources: Path, tmp_path: Path) -> None:
    items, squares, results, parts = (PipelineData(name) for name in ("list", "squares", "results", "parts"))
    make = PythonScriptStep("items.py", outputs=[items, parts], arguments=[items, parts])
    number, power = PipelineParameter("number", 0), PipelineParameter("power", 2)
    square = PipelineData("square")
    raised = PythonScriptStep("power.py", outputs=[square], arguments=[number, power, square])
    powers = MapStep(
        raised, over=items, item=number, name="powers", outputs={square: squares}, results=results, max_concurrency=2
    )
    part, size, sizes = PipelineInput("part"), PipelineData("size"), PipelineData("sizes")
    measure = PythonScriptStep("size.py", inputs=[part], outputs=[size], arguments=[part, size])
    measured = MapStep(measure, over=parts, item=part, name="sizes", outputs={size: sizes})
    pipeline = Pipeline(workspace, [make, powers, measured], default_source_directory=sources)
    run = pipeline.submit("map", {"power": 3})
    run.wait_for_completion(show_output=False)
    made = downloaded(run, "powers", "squares", tmp_path / "squares")
    assert sorted(made.values()) == ["1", "27", "8"]
    assert {name.split("/")[-2] for name in made} == {"00000", "00001", "00002"}
    (told,) = downloaded(run, "powers", "results", tmp_path / "results").values()
    assert [(it["item"], it["status"], it["metrics"]) for it in json.loads(told)] == [
        (n, "Completed", {"power": n**3}) for n in (1, 2, 3)
    ]
    assert sorted(downloaded(run, "sizes", "sizes", tmp_path / "sizes").values()) == ["3", "5"]
    step = run.find_step_run("powers")[0]
    assert [child.name for child in step.get_children()] == ["power.py"] * 3
    assert run.id in {line.id for line in workspace.api.runs(experiment="map")}
    assert step.nested_run is not None
    assert step.nested_run.id not in {line.id for line in workspace.api.runs(experiment="map")}
    assert [line.id for line in workspace.api.runs(parent_run=run.id)] != []


def test_items_that_have_not_changed_are_reused(workspace: Workspace, sources: Path) -> None:
    number, power, square, out = (
        PipelineParameter("number", 0),
        PipelineParameter("power", 2),
        PipelineData("square"),
        PipelineData("all"),
    )
    taken = []
    for values in ([5, 6], [5, 6, 7]):
        raised = PythonScriptStep("power.py", outputs=[square], arguments=[number, power, square])
        step = MapStep(raised, over=values, item=number, name="again", outputs={square: out})
        run = Pipeline(workspace, [step], default_source_directory=sources).submit("again")
        run.wait_for_completion(show_output=False)
        children = sorted(run.find_step_run("again")[0].get_children(), key=lambda child: child.number)
        taken.append([child.details.taken for child in children])
    assert taken == [[False, False], [True, True, False]]


def test_some_items_may_fail(workspace: Workspace, sources: Path, tmp_path: Path) -> None:
    number, power, square, out, results = (
        PipelineParameter("number", "0"),
        PipelineParameter("power", 2),
        PipelineData("square"),
        PipelineData("all"),
        PipelineData("results"),
    )

    def run(allowed: int) -> PipelineRun:
        raised = PythonScriptStep("power.py", outputs=[square], arguments=[number, power, square])
        step = MapStep(
            raised,
            over=["2", "two", "3"],
            item=number,
            name="some",
            outputs={square: out},
            results=results,
            allowed_failures=allowed,
        )
        run = Pipeline(workspace, [step], default_source_directory=sources).submit("some")
        run.wait_for_completion(show_output=False, raise_on_error=False)
        return run

    assert run(0).get_status() == "Failed"
    fine = run(1)
    assert fine.get_status() == "Finished"
    assert sorted(downloaded(fine, "some", "all", tmp_path / "all").values()) == ["4", "9"]
    (told,) = downloaded(fine, "some", "results", tmp_path / "told").values()
    assert [it["status"] for it in json.loads(told)] == ["Completed", "Failed", "Completed"]


def test_pipelines_within_a_map_within_a_pipeline(workspace: Workspace, sources: Path, tmp_path: Path) -> None:
    number, power = PipelineParameter("number", 0), PipelineParameter("power", 2)
    first, second, each, everything = (PipelineData(name) for name in ("first", "second", "each", "everything"))
    once = PythonScriptStep("power.py", outputs=[first], arguments=[number, power, first])
    size = PythonScriptStep("size.py", name="size", inputs=[first], outputs=[second], arguments=[first, second])
    over = MapStep([once, size], over=[3, 50], item=number, name="map", outputs={second: each})
    whole = SubPipelineStep([over], "whole", outputs={each: everything}, parameters={power: 4})
    run = Pipeline(workspace, [whole], default_source_directory=sources).submit("deep")
    run.wait_for_completion(show_output=False)
    assert sorted(downloaded(run, "whole", "everything", tmp_path / "out").values()) == ["2", "7"]
    assert len(list(run.get_children(recursive=True))) == 1 + 1 + 2 + 4


def test_without_items_there_is_nothing_to_do(workspace: Workspace, sources: Path) -> None:
    number, square, out = PipelineParameter("number", 0), PipelineData("square"), PipelineData("all")
    power = PipelineParameter("power", 2)
    raised = PythonScriptStep("power.py", outputs=[square], arguments=[number, power, square])
    step = MapStep(raised, over=[], item=number, name="none", outputs={square: out})
    run = Pipeline(workspace, [step], default_source_directory=sources).submit("none")
    run.wait_for_completion(show_output=False)
    assert run.find_step_run("none")[0].nested_run is None


def test_steps_run_if_what_came_before_says_so(workspace: Workspace, sources: Path, tmp_path: Path) -> None:
    least, first, second, joined = (
        PipelineParameter("least", 10),
        PipelineData("first"),
        PipelineData("second"),
        PipelineData("joined"),
    )
    train = PythonScriptStep("power.py", name="train", outputs=[first], arguments=[3, 2, first])
    large = PythonScriptStep("size.py", name="large", inputs=[first], outputs=[second], arguments=[first, second])
    large.run_if(StepMetric(train, "power") >= least)
    below = PythonScriptStep("fail.py", name="below")
    below.run_after(large)
    nine = PythonScriptStep("count.py", name="nine", inputs=[second], outputs=[joined], arguments=[second, joined])
    nine.run_if(StepText(first) == "9", even_after_skipped=True)
    pipeline = Pipeline(workspace, [below, nine], default_source_directory=sources)
    run = pipeline.submit("conditions")
    run.wait_for_completion(show_output=False)
    steps = {step.name: step.details for step in run.get_steps()}
    assert {name: step.status for name, step in steps.items()} == {
        "train": "Completed",
        "large": "Skipped",
        "below": "Skipped",
        "nine": "Completed",
    }
    assert steps["large"].decision is not None
    assert steps["large"].decision.text == "metric power of step train is 9, not >= 10"
    assert list(downloaded(run, "nine", "joined", tmp_path / "joined").values()) == ["0"]
    again = pipeline.submit("conditions", {"least": 9}, continue_on_step_failure=True)
    again.wait_for_completion(show_output=False, raise_on_error=False)
    assert {step.name: step.details.status for step in again.get_steps()} == {
        "train": "Completed",
        "large": "Completed",
        "below": "Failed",
        "nine": "Completed",
    }


def test_a_condition_about_nothing_fails_its_step(workspace: Workspace, sources: Path) -> None:
    first = PipelineData("first")
    train = PythonScriptStep("power.py", name="train", outputs=[first], arguments=[3, 2, first])
    after = PythonScriptStep("fail.py", name="after")
    after.run_if(StepMetric(train, "accuracy") > 0.5)
    run = Pipeline(workspace, [after], default_source_directory=sources).submit("conditions")
    run.wait_for_completion(show_output=False, raise_on_error=False)
    error = run.find_step_run("after")[0].details.error
    assert error is not None
    assert error.code == "ConditionUnknown"
    assert "'accuracy'" in error.message
