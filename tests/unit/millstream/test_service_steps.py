"""Steps of v1 that need a service which is not there: checked like any step, and refused when a pipeline is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millstream import AutoMLStep, AzureBatchStep, InvalidDefinition
from millstream.graph import build
from millstream.steps import PipelineStep
from millstream.submission import Draft, check_structure


def refusal(step: PipelineStep) -> str:
    draft = Draft(graph=build([step]), name="p", description="", default_datastore=None, default_folder=Path("nowhere"))
    with pytest.raises(InvalidDefinition) as caught:
        check_structure(draft)
    (problem,) = caught.value.problems
    assert problem.code == "NoSuchService"
    return str(problem)


def test_what_is_missing_is_said_and_what_to_use_instead() -> None:
    batch = AzureBatchStep("b", pool_id="p", executable="run.cmd", arguments="-a 1", compute_target="batch")
    assert "Azure Batch" in refusal(batch) and "PythonScriptStep" in refusal(batch)
    assert "HyperDriveStep" in refusal(AutoMLStep("a", automl_config=object()))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pool_id": "p"}, "needs an executable"),
        ({"executable": "a"}, "pool_id, or create_pool"),
        ({"executable": "a", "create_pool": True, "target_compute_nodes": 0}, "1 or more"),
    ],
)
def test_batch_is_checked(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        AzureBatchStep("b", **given)


def test_automl_needs_its_settings() -> None:
    with pytest.raises(ValueError, match="automl_config"):
        AutoMLStep("a", automl_config=None)
