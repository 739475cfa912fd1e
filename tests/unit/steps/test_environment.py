from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from orchestrator.core.definition import FromInput, FromOutput, FromParameter, Literal
from orchestrator.core.result import ReadData
from steps import environment
from steps.brought import Brought
from steps.failures import InvalidStep
from steps.settings import WorkspaceIdentity
from steps.workdir import Folders
from tests.unit.steps.jobs import job, settings

FOLDERS = Folders(Path("/job/x"))
PATHS = {"data": Brought(value=Path("/job/x/inputs/data"), read=ReadData(files=0, size=0, fingerprint=""))}
OUT = {"model": Path("/job/x/outputs/model")}


def test_the_allow_list_lets_nothing_else_through() -> None:
    given = {
        "PATH": "/bin",
        "AzureWebJobsStorage": "secret",
        "HTTPS_PROXY": "http://user:pw@x",
        "TZ": "UTC",
        "X_KEY": "k",
    }
    assert environment.inherited(given) == {"PATH": "/bin", "TZ": "UTC"}


def test_the_common_part(tmp_path: Path) -> None:
    own = settings(
        tmp_path, environment={"PATH": "/bin"}, python="/opt/py/bin/python", python_path=("/sp",), threads_per_step=2
    )
    common = environment.base(own, Path("/runtime"))
    assert common["PATH"] == "/opt/py/bin:/bin"
    assert common["PYTHONPATH"] == "/runtime:/sp"
    assert common["OMP_NUM_THREADS"] == "2"
    assert common["LANG"] == "C.UTF-8"


def test_the_variables_of_a_v1_step() -> None:
    it = job(
        None,
        arguments=(FromParameter(name="reg rate"), FromParameter(name="flag")),
        environment={
            "MINE": Literal(value="x"),
            "FROM": FromParameter(name="n"),
            "AZUREML_RUN_ID": Literal(value="no"),
        },
        parameters={"reg rate": 0.1, "flag": True, "n": 3, "unused": "u"},
    )
    own = environment.of_step(
        it, WorkspaceIdentity(name="ws", subscription_id="sub", resource_group="rg"), FOLDERS, PATHS, OUT
    )
    assert own["AZUREML_RUN_ID"] == "run1_train"
    assert own["AZUREML_ARM_SUBSCRIPTION"] == "sub"
    assert own["AZUREML_ARM_RESOURCEGROUP"] == "rg"
    assert own["AZUREML_ARM_WORKSPACE_NAME"] == "ws"
    assert own["AZUREML_ARM_PROJECT_NAME"] == "exp"
    assert own["AZUREML_OUTPUT_DIRECTORY"] == "./outputs"
    assert own["AZUREML_DATAREFERENCE_data"] == "/job/x/inputs/data"
    assert own["AZUREML_DATAREFERENCE_model"] == "/job/x/outputs/model"
    assert {name: value for name, value in own.items() if name.startswith("AML_PARAMETER_")} == {
        "AML_PARAMETER_reg_rate": "0.1",
        "AML_PARAMETER_flag": "True",
        "AML_PARAMETER_n": "3",
    }
    assert (own["MINE"], own["FROM"]) == ("x", "3")
    assert (own["HOME"], own["TMPDIR"]) == ("/job/x", "/job/x/tmp")


def test_ids_are_stable() -> None:
    def ids(experiment: str, workspace: WorkspaceIdentity) -> tuple[str, str]:
        own = environment.of_step(msgspec.structs.replace(job(None), experiment=experiment), workspace, FOLDERS, {}, {})
        return own["AZUREML_EXPERIMENT_ID"], own["AZUREML_WORKSPACE_ID"]

    here, there = WorkspaceIdentity(name="a"), WorkspaceIdentity(name="b")
    assert ids("e", here) == ids("e", here)
    assert ids("e", here)[0] != ids("f", here)[0]
    assert ids("e", here)[1] == ids("f", here)[1]
    assert ids("e", here) != ids("e", there)


def test_a_python_path_of_the_steps_own_comes_first() -> None:
    assert environment.combined({"PYTHONPATH": "/rt", "A": "1"}, {"PYTHONPATH": "lib", "A": "2"}) == {
        "PYTHONPATH": "lib:/rt",
        "A": "2",
    }


def test_arguments_are_resolved_and_never_parsed() -> None:
    it = job(
        None,
        arguments=(
            Literal(value="--x"),
            Literal(value="$(rm -rf /); 'a b'"),
            Literal(value=""),
            FromParameter(name="p"),
            FromInput(name="data"),
            FromOutput(name="model"),
        ),
        parameters={"p": 1e-05},
    )
    assert environment.arguments(it, PATHS, OUT) == (
        "--x",
        "$(rm -rf /); 'a b'",
        "",
        "1e-05",
        "/job/x/inputs/data",
        "/job/x/outputs/model",
    )


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        (FromParameter(name="none"), "parameter 'none'"),
        (FromInput(name="model"), "port 'model'"),
        (FromOutput(name="data"), "port 'data'"),
        (Literal(value="a\0b"), "NUL"),
    ],
)
def test_arguments_that_cannot_be(argument: Literal, reason: str) -> None:
    with pytest.raises(InvalidStep, match=reason):
        environment.arguments(job(None, arguments=(argument,)), PATHS, OUT)


@pytest.mark.parametrize("name", ["", "A=B", "A\0"])
def test_variable_names_that_cannot_be(name: str) -> None:
    it = job(None, environment={name: Literal(value="x")})
    with pytest.raises(InvalidStep, match="name of an environment variable"):
        environment.of_step(it, WorkspaceIdentity(), FOLDERS, {}, {})


def test_the_step_info() -> None:
    """Of the parameters those that the step refers to: it may be reused when another one changes."""
    used = (FromParameter(name="p"), FromParameter(name="b"))
    it = job(None, arguments=used, parameters={"p": 1.5, "b": True, "other": 1})
    assert msgspec.json.decode(environment.step_info(it, PATHS, OUT)) == {
        "run_id": "run1",
        "step_run_id": "run1_train",
        "experiment": "exp",
        "step_id": "train",
        "step_name": "Train",
        "attempt": 1,
        "parameters": {"p": 1.5, "b": True},
        "inputs": {"data": "/job/x/inputs/data"},
        "links": [],
        "datasets": {},
        "outputs": {"model": "/job/x/outputs/model"},
        "tags": {},
    }
