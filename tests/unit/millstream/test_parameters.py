"""Pipeline parameters wherever v1's users put them: in texts, paths, settings, time limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millstream import (
    DataPath,
    DataReference,
    Environment,
    OutputFileDatasetConfig,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    RunConfiguration,
)
from millstream.compiler import compile_pipeline
from millstream.graph import build
from millstream.path_parts import plain_path
from millstream.tokens import parts_of
from orchestrator.core.definition import DatastoreSource, Definition, FromParameter, Literal, Text
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.resolving import parameters_used, resolve_settings, resolve_step

DAY = PipelineParameter("day", "2026-11-26")
DAY_X = PipelineParameter("day_x", "other")
RATE = PipelineParameter("reg rate", 0.5)


def compiled(**fields: Any) -> Definition:
    step = PythonScriptStep("a.py", **fields)
    folder = Path(".").absolute()
    return compile_pipeline(
        build([step], closure=True),
        name="p",
        description="",
        default_datastore="blobs",
        snapshots={folder: "0" * 64},
        default_folder=folder,
    )


def text(*parts: str | PipelineParameter) -> Text:
    made = (Literal(value=part) if isinstance(part, str) else FromParameter(name=part.name) for part in parts)
    return Text(parts=tuple(made))


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        (f"--day={DAY}", ["--day=", DAY]),
        ("--day=" + DAY, ["--day=", DAY]),
        (DAY + ".csv", [DAY, ".csv"]),
        (DAY + RATE, [DAY, RATE]),
        ("--day=" + str(DAY), ["--day=", DAY]),
        ("{}/{}".format(DAY, RATE), [DAY, "/", RATE]),  # noqa: UP032 - as users write it
        ("%s" % DAY, [DAY]),  # noqa: UP031
        (f"{DAY}_x and {DAY_X}", [DAY, "_x and ", DAY_X]),
        (f"{DAY}{DAY_X}", [DAY, DAY_X]),
        ("no ${OTHER} of $ours", ["no ${OTHER} of $ours"]),
    ],
)
def test_inside_texts_they_stay_what_they_are(written: str, parts: list[Any]) -> None:
    assert parts_of(written, "here") == parts


def test_the_text_alone_is_v1s() -> None:
    assert str(DAY) == "$AML_PARAMETER_day"
    assert str(RATE) == "$AML_PARAMETER_reg_rate"


def test_a_format_needs_the_value() -> None:
    with pytest.raises(ValueError, match="known when the step runs"):
        f"{RATE:.2f}"
    with pytest.raises(TypeError):
        DAY + 5


def test_an_unknown_token_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing is known by that name"):
        parts_of("--x=${AML_PARAMETER_nobody_made_this}", "here")


def test_data_handles_join_texts_too() -> None:
    clean = PipelineData("clean")
    assert parts_of("--in=" + clean + "/x", "here") == ["--in=", clean, "/x"]


@pytest.mark.parametrize(
    "path", [f"in/{DAY}/x.csv", "in/" + DAY + "/x.csv", "/in/" + str(DAY) + "/x.csv/"], ids=["f", "plus", "str"]
)
def test_in_the_path_of_a_reference_and_of_a_data_path(path: str) -> None:
    source = DatastoreSource(datastore="blobs", path=text("in/", DAY, "/x.csv"))
    for handle in (DataReference("blobs", "raw", path), DataPath("blobs", path, "raw")):
        made = compiled(inputs=[handle])
        assert [port.source for port in made.steps[0].inputs] == [source]
        assert [parameter.name for parameter in made.parameters] == ["day"]
    assert DataReference("blobs", "raw", "in").path(f"{DAY}").parts == ("in/", DAY)


def test_a_parameter_alone_is_a_path() -> None:
    made = compiled(arguments=[DataPath("blobs", DAY, "raw")])  # type: ignore[arg-type]
    assert made.steps[0].inputs[0].source == DatastoreSource(datastore="blobs", path=text(DAY))
    assert made.steps[0].inputs[0].name == "raw"


def test_a_plain_path_is_a_text() -> None:
    assert compiled(inputs=[DataReference("blobs", "raw", "in/x")]).steps[0].inputs[0].source == DatastoreSource(
        datastore="blobs", path="in/x"
    )
    with pytest.raises(InvalidRequest):
        DataPath("blobs", "../x")


def test_where_a_path_must_be_known_a_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="must be known here"):
        PipelineParameter("place", DataPath("blobs", f"in/{DAY}"))
    with pytest.raises(ValueError, match="inside a text"):
        PipelineData("x", output_mode="upload", output_path_on_compute=f"out/{DAY}")
    with pytest.raises(TypeError, match="cannot be part of a path"):
        DataReference("blobs", "raw", f"in/{PipelineData('clean')}")
    with pytest.raises(ValueError, match="inside a text"):
        PythonScriptStep(f"train_{DAY}.py")
    assert plain_path(DataPath("blobs", "in").parts, "here") == "in"


def test_a_destination_has_parts_as_before() -> None:
    out = OutputFileDatasetConfig("out", ("blobs", f"kept/{DAY}/{{run-id}}"))
    (port,) = compiled(outputs=[out]).steps[0].outputs
    assert port.destination == text("kept/", DAY, "/{run-id}").parts


def test_in_the_time_limit() -> None:
    limit = PipelineParameter("limit", 60)
    (step,) = compiled(timeout_seconds=limit).steps
    assert step.timeout_seconds == FromParameter(name="limit")
    config = RunConfiguration()
    config.max_run_duration_seconds = limit  # type: ignore[assignment]
    made = compiled(runconfig=config)
    assert made.steps == (step,)
    assert [parameter.name for parameter in made.parameters] == ["limit"]
    assert resolve_step(step, {"limit": 5}).timeout_seconds == 5.0
    with pytest.raises(TypeError, match="timeout_seconds"):
        PythonScriptStep("a.py", timeout_seconds="60")  # type: ignore[arg-type]


def test_in_v1s_run_settings() -> None:
    nodes = PipelineParameter("nodes", 2)
    made = compiled(runconfig_pipeline_params={"NodeCount": nodes, "MpiProcessCountPerNode": 4})
    assert resolve_settings(made.steps[0], {"nodes": 3}) == {
        "script": "a.py",
        "run_settings": {"NodeCount": 3, "MpiProcessCountPerNode": 4},
    }
    assert [parameter.name for parameter in made.parameters] == ["nodes"]
    with pytest.raises(ValueError, match='Did you mean "NodeCount"'):
        PythonScriptStep("a.py", runconfig_pipeline_params={"nodecount": nodes})


def test_in_what_an_environment_asks_for() -> None:
    environment = Environment("e")
    environment.docker.base_image = f"registry/image:{DAY}"
    environment.environment_variables = {"DAY": f"<{DAY}>", "RATE": RATE}  # type: ignore[dict-item]
    config = RunConfiguration()
    config.environment = environment
    made = compiled(runconfig=config, params={"again": DAY})
    step = made.steps[0]
    assert "registry/image:today" in str(resolve_settings(step, {"day": "today", "reg rate": 1.0}))
    assert step.environment == {
        "DAY": text("<", DAY, ">"),
        "RATE": FromParameter(name="reg rate"),
        "AML_PARAMETER_again": FromParameter(name="day"),
    }
    assert parameters_used(step) == {"day", "reg rate"}
