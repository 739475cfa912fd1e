"""What a step accepts, how its handles become ports and arguments, and what it says to mistakes."""

from __future__ import annotations

from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from millstream import DataReference, InputPortBinding, PipelineData, PipelineParameter, PythonScriptStep, RetryPolicy
from millstream.errors import InvalidRequest
from orchestrator.core.definition import Argument, FromInput, FromOutput, FromParameter, Literal


def step(**fields: Any) -> PythonScriptStep:
    return PythonScriptStep(**{"script_name": "train.py", **fields})


def ports(made: PythonScriptStep) -> list[str]:
    return [port.name for port in made.wiring.inputs]


def test_every_form_of_handle_becomes_a_port() -> None:
    raw = DataReference("workspaceblobstore", "raw", "data/iris.csv")
    clean, model = PipelineData("clean"), PipelineData("model")
    made = step(
        inputs=[
            raw,
            clean.as_download(input_name="training", path_on_compute="here"),
            InputPortBinding("again", clean),
        ],
        outputs=[model],
    )
    assert [(port.name, port.mode, port.path_on_compute) for port in made.wiring.inputs] == [
        ("raw", "mount", None),
        ("training", "download", "here"),
        ("again", "mount", None),
    ]
    assert made.wiring.outputs == [model]
    assert model.producer is made


def test_arguments_are_tagged_and_never_turned_into_text() -> None:
    raw, clean, model = DataReference("store", "raw", "a"), PipelineData("clean"), PipelineData("model")
    rate = PipelineParameter("reg_rate", 0.1)
    made = step(
        arguments=["--in", raw, "--data", clean, "--out", model, "--reg", rate, 5, 0.5, True, PurePosixPath("a/b")],
        inputs=[raw, clean],
        outputs=[model],
    )
    expected: list[Argument] = [
        Literal(value="--in"),
        FromInput(name="raw"),
        Literal(value="--data"),
        FromInput(name="clean"),
        Literal(value="--out"),
        FromOutput(name="model"),
        Literal(value="--reg"),
        FromParameter(name="reg_rate"),
        *(Literal(value=text) for text in ("5", "0.5", "True", "a/b")),
    ]
    assert made.wiring.arguments == expected


def test_a_numpy_number_is_a_number() -> None:
    assert step(arguments=[np.float32(0.5), np.int64(3)]).wiring.arguments == [Literal(value="0.5"), Literal(value="3")]


def test_a_handle_among_the_arguments_alone_is_an_input() -> None:
    raw, clean = DataReference("store", "raw", "a"), PipelineData("clean")
    made = step(arguments=[raw, clean, clean])
    assert ports(made) == ["raw", "clean"]
    assert made.wiring.arguments == [FromInput(name="raw"), FromInput(name="clean"), FromInput(name="clean")]


def test_the_same_handle_twice_is_one_port_also_as_a_copy() -> None:
    raw = DataReference("store", "raw", "a")
    assert ports(step(inputs=[raw, raw.as_download()], arguments=[raw.as_mount()])) == ["raw"]


def test_an_input_named_like_an_output_is_renamed_as_in_v1() -> None:
    before, after = PipelineData("table"), PipelineData("result", output_name="table")
    made = step(arguments=[before, after], outputs=[after])
    assert ports(made) == ["INPUT_table"]
    assert made.wiring.arguments == [FromInput(name="INPUT_table"), FromOutput(name="table")]


def test_a_single_handle_stands_for_a_list_of_one() -> None:
    out = PipelineData("out")
    assert step(outputs=out).wiring.outputs == [out]


def test_params_and_the_runconfigs_variables_become_environment_variables() -> None:
    config = SimpleNamespace(environment=SimpleNamespace(environment_variables={"MODE": "fast"}))
    rate = PipelineParameter("rate", 0.1)
    made = step(params={"reg rate": rate, "n": 3}, runconfig=config)
    assert made.environment == {
        "MODE": Literal(value="fast"),
        "AML_PARAMETER_reg_rate": FromParameter(name="rate"),
        "AML_PARAMETER_n": Literal(value="3"),
    }
    assert made.wiring.parameters == [rate]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "function"),
        ({"compute_target": "cpu"}, "cpu"),
        ({"compute_target": SimpleNamespace(name="cpu-cluster")}, "cpu-cluster"),
        ({"compute_target": ("cpu", "AmlCompute")}, "cpu"),
        ({"runconfig": SimpleNamespace(target="gpu")}, "gpu"),
        ({"runconfig": SimpleNamespace(target="local")}, "function"),
    ],
)
def test_the_compute_is_named_in_any_of_v1s_ways(fields: dict[str, Any], name: str) -> None:
    assert step(**fields).compute == name


def test_names_versions_retries_and_timeouts() -> None:
    assert step().name == "train.py"
    made = step(name="Train it", version="2", allow_reuse=False, retry=3, timeout_seconds=60)
    assert (made.name, made.version, made.allow_reuse, made.timeout_seconds) == ("Train it", "2", False, 60)
    assert made.retry == RetryPolicy(max_retries=3)
    assert step(retry=RetryPolicy(backoff=3.0)).retry == RetryPolicy(backoff=3.0)
    assert step(script_name="sub\\train.py").settings == {"script": "sub/train.py"}


def test_what_means_nothing_here_is_accepted() -> None:
    assert step(hash_paths=["a"]).settings == step().settings


CLEAN = PipelineData("clean")
MISTAKES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "unknown argument": (
        {"input": []},
        TypeError,
        r"PythonScriptStep\(\) has no argument 'input'. Did you mean \"inputs\"\?",
    ),
    "text as inputs": ({"inputs": "data"}, TypeError, "inputs: give a list, not 'data'"),
    "text as an input": ({"inputs": ["data"]}, TypeError, "an input must be PipelineData, a DataReference"),
    "reference as an output": (
        {"outputs": [DataReference("s", "x", "a")]},
        TypeError,
        "an output must be PipelineData",
    ),
    "None as an argument": ({"arguments": [None]}, TypeError, r"None \(NoneType\) cannot be an argument"),
    "list as an argument": ({"arguments": [["a"]]}, TypeError, "one by one"),
    "handle in a text that nobody made": (
        {"arguments": ["--in=$AZUREML_DATAREFERENCE_elsewhere"]},
        ValueError,
        "an argument of its own",
    ),
    "parameter in a text that nobody made": (
        {"arguments": ["--reg=$AML_PARAMETER_elsewhere"]},
        ValueError,
        r"\$AML_PARAMETER_elsewhere inside",
    ),
    "handle in params": ({"params": {"x": CLEAN}}, TypeError, "cannot be an argument"),
    "input and output at once": ({"inputs": [CLEAN], "outputs": [CLEAN]}, ValueError, "both an input and an output"),
    "two inputs of a name": ({"inputs": [PipelineData("a"), PipelineData("a")]}, ValueError, "two inputs are named"),
    "two outputs of a name": ({"outputs": [PipelineData("a"), PipelineData("a")]}, ValueError, "two outputs are named"),
    "script that climbs": ({"script_name": "../x.py"}, InvalidRequest, "script path"),
    "no script": ({"script_name": ""}, InvalidRequest, "Give a path"),
    "name of two lines": ({"name": "a\nb"}, InvalidRequest, "step name"),
    "compute that is none": ({"compute_target": 5}, TypeError, "compute_target must be a name"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_when_the_step_is_made(mistake: str) -> None:
    fields, kind, says = MISTAKES[mistake]
    with pytest.raises(kind, match=says):
        step(**fields)


def test_run_after_takes_a_step_or_several_and_keeps_each_once() -> None:
    first, second, third = step(name="1"), step(name="2"), step(name="3")
    third.run_after(first)
    third.run_after([first, second])
    assert third.predecessors == [first, second]
    with pytest.raises(ValueError, match="after itself"):
        third.run_after(third)
    with pytest.raises(TypeError, match="run_after takes steps"):
        third.run_after(["first"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (lambda: PipelineData("a-b"), InvalidRequest, "port name"),
        (lambda: PipelineData("a", output_mode="direct"), ValueError, "'mount' or 'upload'"),
        (lambda: PipelineData("a", outptu_name="b"), TypeError, 'Did you mean "output_name"'),
        (lambda: PipelineData("a", output_path_on_compute="/tmp/x"), InvalidRequest, "relative"),
        (lambda: PipelineData("a", training_output=object()), TypeError, "no TrainingOutput"),  # type: ignore[arg-type]
        (lambda: DataReference("s", "n", "../x"), InvalidRequest, "path in a datastore"),
        (lambda: DataReference("s", "n", "x", mode="upload"), ValueError, "'mount' or 'download'"),
        (lambda: InputPortBinding("x", "data"), TypeError, "bind PipelineData"),  # type: ignore[arg-type]
        (lambda: PipelineParameter("p", None), ValueError, "NoneType"),
        (lambda: PipelineParameter("p", [1]), ValueError, "list"),
        (lambda: PipelineParameter("p", float("nan")), ValueError, "JSON"),
        (lambda: PipelineParameter("a=b", 1), InvalidRequest, "parameter name"),
    ],
)
def test_a_handle_that_cannot_work_is_refused_when_it_is_made(make: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        make()


@pytest.mark.parametrize(
    ("default", "kind"), [(1, "int"), (0.5, "float"), (True, "bool"), ("x", "string"), (np.float64(1), "float")]
)
def test_the_default_decides_the_type_of_a_parameter(default: Any, kind: str) -> None:
    assert PipelineParameter("p", default).declaration.type == kind


def test_references_have_names_that_are_always_the_same() -> None:
    store = "workspaceblobstore"
    assert DataReference(store).name == store
    assert DataReference(store, path_on_datastore="data/iris 2.csv").name == "data_iris_2_csv"
    assert DataReference(store, path_on_datastore="/data/raw/").path_on_datastore == "data/raw"
    below = DataReference(store, "raw", "data").path("2026/a.csv")
    assert (below.path_on_datastore, below.name) == ("data/2026/a.csv", "data_2026_a_csv")


def test_the_variable_of_pipeline_data_is_that_of_v1() -> None:
    assert PipelineData("model").get_env_variable_name() == "AZUREML_DATAREFERENCE_model"
    assert PipelineData("x", output_path_on_compute="clean_output/").output_path_on_compute == "clean_output"
