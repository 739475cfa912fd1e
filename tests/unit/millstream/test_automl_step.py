"""AutoMLStep is checked like any step, and refused when a pipeline is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream import AutoMLStep, InvalidDefinition
from millstream.graph import build
from millstream.submission import Draft, check_structure


def test_what_to_use_instead_is_said() -> None:
    graph = build([AutoMLStep("a", automl_config=object())])
    draft = Draft(graph=graph, name="p", description="", default_datastore=None, default_folder=Path("nowhere"))
    with pytest.raises(InvalidDefinition) as caught:
        check_structure(draft)
    (problem,) = caught.value.problems
    assert problem.code == "NoSuchService" and "HyperDriveStep" in problem.fix


def test_it_needs_its_settings() -> None:
    with pytest.raises(ValueError, match="automl_config"):
        AutoMLStep("a", automl_config=None)
