"""v1's KustoStep as it is written, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from millstream import KustoStep, PipelineData, PipelineParameter
from millstream.compiler import compile_pipeline
from millstream.graph import build
from orchestrator.core.definition import Definition
from orchestrator.core.validation import validate


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    (tmp_path / "rows.kql").write_text("\ufeffRows | take 10", encoding="utf-8")
    return tmp_path


def kusto(queries: Path, **more: Any) -> KustoStep:
    rows = PipelineData("rows")
    given = {"compute_target": "adx", "database_name": "db", "query_directory": queries, "output": rows}
    return KustoStep("rows", **{**given, **more})


def compiled(step: KustoStep) -> Definition:
    return compile_pipeline(
        build([step]),
        name="p",
        description="",
        default_datastore="default",
        snapshots={},
        default_folder=Path("nowhere"),
    )


def test_the_query_is_part_of_the_step(queries: Path) -> None:
    least = PipelineParameter("least", 3)
    (step,) = compiled(kusto(queries, parameter_dict={"least": least, "name": "x"})).steps
    assert step.settings == {
        "query": "Rows | take 10",
        "database": "db",
        "parameters": {"least": {"kind": "parameter", "name": "least"}, "name": "x"},
        "format": "csv",
    }
    assert step.snapshot is None and step.allow_reuse is False


@pytest.mark.parametrize(
    ("attached", "words"),
    [({}, "not attached to any service"), ({"adx": "Databricks"}, "attached to Databricks"), ({"adx": "Kusto"}, "")],
)
def test_its_compute_must_be_attached(queries: Path, attached: dict[str, str], words: str) -> None:
    found = validate(compiled(kusto(queries)), computes=["adx"], datastores=["default"], attached=attached)
    assert [problem.code for problem in found] == (["NoSuchService"] if words else [])
    assert all(words in problem.message and "KustoCompute" in problem.fix for problem in found)


def test_arguments_are_checked(queries: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert kusto(queries).query_file.name == "rows.kql"
    with pytest.raises(TypeError, match="must be a name"):
        kusto(queries, compute_target=object())
    with pytest.raises(ValueError, match="needs a database_name"):
        kusto(queries, database_name="")
    with pytest.raises(ValueError, match="output_format is one of"):
        kusto(queries, output_format="xlsx")
    with pytest.raises(ValueError, match=r"one \.kql file; there is: none"):
        kusto(queries, query_directory=tmp_path_factory.mktemp("empty"))
    with pytest.raises(TypeError, match="no argument 'databse'"):
        kusto(queries, databse="db")
