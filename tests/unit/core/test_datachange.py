"""Which blobs a data-change schedule means, what is wrong with one, and when a batch is due."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.datachange import DataChange, batch_due, common_folder, due_in, problems

STORES = ("workspaceblobstore", "raw")


def change(**given: Any) -> DataChange:
    return DataChange(**{"datastore": "raw", "path": "in", **given})


@pytest.mark.parametrize(
    ("given", "name", "meant"),
    [
        ({}, "in/a.csv", True),
        ({}, "in", True),
        ({}, "in/sub/a.csv", False),
        ({}, "inner/a.csv", False),
        ({}, "other/a.csv", False),
        ({}, "IN/a.csv", False),
        ({}, "in/", False),
        ({}, "in//a.csv", False),
        ({}, "in/../a.csv", False),
        ({}, "in/a\\b.csv", False),
        ({"path": ""}, "a.csv", True),
        ({"path": ""}, "in/a.csv", False),
        ({"path": "", "recursive": True}, "in/a.csv", True),
        ({"path": "", "recursive": True}, "runs/r1/s/1-x/out/a.csv", False),
        ({"path": "", "recursive": True}, "azureml/x/stdout.txt", False),
        ({"path": "", "recursive": True}, "running/a.csv", True),
        ({"recursive": True}, "in/sub/deep/a.csv", True),
        ({"pattern": "*.csv"}, "in/a.csv", True),
        ({"pattern": "*.csv"}, "in/a.txt", False),
        ({"pattern": "*.csv", "recursive": True}, "in/sub/a.csv", True),
        ({"pattern": "2024/*.csv", "recursive": True}, "in/2024/a.csv", True),
        ({"pattern": "2024/*.csv", "recursive": True}, "in/2023/2024/a.csv", False),
        ({"pattern": "**/x/*.csv", "recursive": True}, "in/1/2/x/a.csv", True),
        ({"path": "in/one.csv"}, "in/one.csv", True),
        ({"path": "in/one.csv"}, "in/one.csv.bak", False),
    ],
)
def test_which_blobs_are_meant(given: dict[str, Any], name: str, meant: bool) -> None:
    assert change(**given).means(name) is meant


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"datastore": "rwa"}, "change.datastore"),
        ({"path": "/in"}, "change.path"),
        ({"path": "runs"}, "change.path"),
        ({"path": "azureml/x"}, "change.path"),
        ({"pattern": "../*.csv"}, "change.pattern"),
        ({"pattern": "a/*.csv"}, "change.pattern"),
        ({"data_path_parameter_name": "?"}, "change.data_path_parameter_name"),
        ({"per": "hour"}, "change.per"),
        ({"debounce_seconds": -1}, "change.debounce_seconds"),
        ({"debounce_seconds": float("nan")}, "change.debounce_seconds"),
        ({"max_wait_seconds": 10}, "change.max_wait_seconds"),
        ({"polling_interval": 0}, "change.polling_interval"),
    ],
)
def test_what_is_wrong_is_named_with_a_fix(given: dict[str, Any], field: str) -> None:
    found = list(problems(change(**given), "change", datastores=STORES))
    assert field in [problem.field for problem in found]
    assert all(problem.fix for problem in found)


def test_a_right_one_has_no_problems() -> None:
    right = change(recursive=True, pattern="2024/*.csv", per="batch", data_path_parameter_name="where", path="")
    assert list(problems(right, "change", datastores=STORES)) == []


def test_a_batch_is_due_after_a_quiet_time_or_the_longest_wait() -> None:
    batch = change(per="batch", debounce_seconds=60, max_wait_seconds=600)
    assert not batch_due(batch, since_first=59, since_last=59)
    assert batch_due(batch, since_first=60, since_last=60)
    assert not batch_due(batch, since_first=599, since_last=1)
    assert batch_due(batch, since_first=600, since_last=0)
    assert due_in(batch, since_first=0, since_last=0) == 60
    assert due_in(batch, since_first=590, since_last=5) == 10
    assert due_in(batch, since_first=700, since_last=5) == 0
    assert batch_due(change(per="batch", debounce_seconds=0), since_first=0, since_last=0)


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        ([], ""),
        (["a.csv"], ""),
        (["in/a.csv"], "in"),
        (["in/a.csv", "in/b.csv"], "in"),
        (["in/1/a.csv", "in/10/b.csv"], "in"),
        (["in/1/a.csv", "in/1/2/b.csv"], "in/1"),
        (["in/a.csv", "out/b.csv"], ""),
    ],
)
def test_the_common_folder_holds_all(names: list[str], folder: str) -> None:
    assert common_folder(names) == folder
