"""Steps that query, end to end: SQL over files of every kind, and a U-SQL script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream import (
    AdlaStep,
    DataReference,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    SqlStep,
    Workspace,
)
from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

USQL = """
DECLARE @least int = @@least@@;
@people = EXTRACT id int, name string, age int? FROM "@@people@@" USING Extractors.Csv(skipFirstNRows: 1);
@old = SELECT name, age ?? 0 AS age FROM @people WHERE age >= @least && !string.IsNullOrEmpty(name);
OUTPUT @old TO "@@old@@" ORDER BY age DESC USING Outputters.Csv(outputHeader: true);
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(url=service.url, token=TOKEN)
    folder = tmp_path_factory.mktemp("data")
    (folder / "people.csv").write_text("id,name,age\n1,Ann,31\n2,Bob,\n3,Cid,19\n4,,70\n5,Dan,44\n")
    workspace.get_default_datastore().upload(folder, "sql-people", show_progress=False)
    return workspace


def downloaded(run: PipelineRun, step: str, output: str, folder: Path) -> list[Path]:
    run.find_step_run(step)[0].get_output_data(output).download(folder, flatten=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def finished(workspace: Workspace, steps: list[AdlaStep | SqlStep], folder: Path) -> PipelineRun:
    run = Pipeline(workspace, steps=steps, default_source_directory=folder).submit("sql")
    run.wait_for_completion(show_output=False)
    return run


def test_usql_and_sql_hand_data_on(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "old.usql").write_text(USQL)
    people = DataReference(workspace.get_default_datastore(), "people", "sql-people/people.csv")
    old, mean = PipelineData("old"), PipelineData("mean")
    least = PipelineParameter("least", 20)
    first = AdlaStep("old.usql", inputs=[people], outputs=[old], params={"least": least})
    rows = PipelineData("rows")
    second = SqlStep("SELECT * FROM people WHERE age < 40", name="sql", inputs=[people], outputs=[rows])
    third = SqlStep(
        "CREATE TEMP TABLE t AS SELECT avg(age) AS mean, count(*) AS n FROM rows; SELECT * FROM t",
        name="mean",
        inputs=[rows],
        outputs=[mean],
        output_format="json",
    )
    run = finished(workspace, [first, second, third], source)
    (file,) = downloaded(run, "old.usql", "old", tmp_path / "old")
    assert file.read_bytes() == b'"name","age"\r\n"Dan",44\r\n"Ann",31\r\n'
    (file,) = downloaded(run, "mean", "mean", tmp_path / "mean")
    assert file.name == "mean.json"
    assert file.read_text().replace(" ", "") == '{"mean":25.0,"n":2}\n'


def test_what_cannot_be_done_is_said(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bad.usql").write_text('@a = EXTRACT x int FROM "@@people@@" USING Extractors.Csv();\n@b = PROCESS @a;')
    (tmp_path / "outside.usql").write_text('@a = EXTRACT x int FROM "/etc/passwd" USING Extractors.Csv();')
    people = DataReference(workspace.get_default_datastore(), "people", "people")
    steps = [
        AdlaStep("bad.usql", inputs=[people]),
        AdlaStep("outside.usql", inputs=[people]),
        SqlStep("SELECT nothing FROM people", name="column", inputs=[people], outputs=[PipelineData("column_out")]),
    ]
    pipeline = Pipeline(workspace, steps=steps, default_source_directory=tmp_path)
    run = pipeline.submit("bad", continue_on_step_failure=True)
    run.wait_for_completion(show_output=False, raise_on_error=False)
    bad, outside, column = (run.find_step_run(name)[0].details.error for name in ("bad.usql", "outside.usql", "column"))
    assert bad is not None and bad.code == "InvalidStep"
    assert "line 2, column 6: PROCESS is not in the subset" in bad.message
    assert outside is not None and "is an input of the step" in outside.log_tail
    assert column is not None and "nothing" in column.log_tail
