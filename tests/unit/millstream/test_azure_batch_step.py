"""v1's AzureBatchStep as it is written, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millstream import AzureBatchStep, PipelineData
from millstream.compiler import compile_pipeline
from millstream.graph import build
from orchestrator.core.definition import Definition, FromOutput, Literal
from orchestrator.core.validation import validate


def compiled(step: AzureBatchStep, snapshots: dict[Path, str] | None = None) -> Definition:
    return compile_pipeline(
        build([step]),
        name="p",
        description="",
        default_datastore="default",
        snapshots=snapshots or {},
        default_folder=Path("nowhere"),
    )


def test_it_is_written_as_in_v1() -> None:
    out = PipelineData("out")
    made = AzureBatchStep(
        "b", pool_id="p", executable="run.exe", arguments=["-o", out], outputs=[out], compute_target="batch"
    )
    (step,) = compiled(made).steps
    assert step.arguments == (Literal(value="-o"), FromOutput(name="out"))
    assert step.snapshot is None
    assert step.settings == {
        "executable": "run.exe",
        "pool": "p",
        "create_pool": False,
        "nodes": 1,
        "vm_size": "standard_d1_v2",
        "image": "urn:MicrosoftWindowsServer:WindowsServer:2012-R2-Datacenter",
        "as_admin": False,
        "delete_job": True,
        "delete_pool": False,
        "fails_above_zero": True,
    }


def test_a_text_of_arguments_and_a_source_folder(tmp_path: Path) -> None:
    made = AzureBatchStep(
        "b", pool_id="p", executable="run.sh", arguments="-a 1", source_directory=tmp_path, compute_target="batch"
    )
    (step,) = compiled(made, {tmp_path: "0" * 64}).steps
    assert step.arguments == (Literal(value="-a"), Literal(value="1")) and step.snapshot == "0" * 64


@pytest.mark.parametrize(
    ("attached", "words"),
    [({}, "not attached to any service"), ({"batch": "Kusto"}, "attached to Kusto"), ({"batch": "Batch"}, "")],
)
def test_its_compute_must_be_attached(attached: dict[str, str], words: str) -> None:
    step = AzureBatchStep("b", pool_id="p", executable="a", compute_target="batch")
    found = validate(compiled(step), computes=["batch"], datastores=["default"], attached=attached)
    assert [problem.code for problem in found] == (["NoSuchService"] if words else [])
    assert all(words in problem.message and "BatchCompute" in problem.fix for problem in found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pool_id": "p"}, "needs an executable"),
        ({"executable": "a", "create_pool": True}, "needs a pool_id"),
        ({"executable": "a", "pool_id": "p", "target_compute_nodes": 0}, "1 or more"),
    ],
)
def test_arguments_are_checked(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AzureBatchStep("b", **given)


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(TypeError, match="no argument 'exe'"):
        AzureBatchStep("b", pool_id="p", executable="a", exe="x")
