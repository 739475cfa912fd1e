"""What a DataTransferStep takes, and what becomes of it in the definition."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from millstream import (
    DataPath,
    DataReference,
    Dataset,
    DataTransferStep,
    InputPortBinding,
    OutputFileDatasetConfig,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    SqlDataReference,
)
from orchestrator.core.definition import FromParameter, Literal

RAW = DataReference("lake", "raw", "in")
OUT = DataReference("store", "out", "out/here")
SALES: Any = SimpleNamespace(name="sales", workspace=None)


def step(source: Any = RAW, destination: Any = OUT, **more: Any) -> DataTransferStep:
    return DataTransferStep("copy", source, destination, **more)


def test_a_reference_goes_to_a_reference() -> None:
    made = step(source_reference_type="directory", destination_reference_type="directory", compute_target="adf")
    (port,) = made.wiring.inputs
    assert (port.name, port.source, made.compute) == ("raw", RAW, "adf")
    (handle,) = made.wiring.outputs
    out = handle.output("default")
    assert (out.name, out.datastore, out.destination, out.overwrite) == (
        "_data_transfer_output",
        "store",
        (Literal(value="out/here"),),
        True,
    )
    assert made.settings == {"source_type": "directory", "destination_type": "directory"}
    assert not made.needs_snapshot


def test_other_steps_take_its_output() -> None:
    made = step()
    after = PythonScriptStep("train.py", arguments=[made.get_output()], inputs=[made.get_output()])
    (port,) = after.wiring.inputs
    assert port.name == "out"
    again = step(made.get_output(), PipelineData("kept"))
    assert again.get_output().port.output_name == "kept"
    assert again.wiring.inputs[0].source == port.source


@pytest.mark.parametrize(
    "destination",
    [
        DataPath("store", "out/here"),
        ("store", "out/here"),
        InputPortBinding("x", OUT),
        OutputFileDatasetConfig("out", destination=("store", "out/here")),
    ],
)
def test_a_destination_in_any_form(destination: Any) -> None:
    if isinstance(destination, tuple):
        destination = (SimpleNamespace(name="store"), destination[1])
    out = step(RAW, destination).wiring.outputs[0].output("default")
    assert (out.datastore, out.destination) == ("store", (Literal(value="out/here"),))


def test_the_files_of_a_run_may_become_a_dataset() -> None:
    kept = PipelineData("kept", "store").as_dataset().register("copies")
    out = step(RAW, kept).wiring.outputs[0].output("default")
    assert (out.name, out.destination) == ("kept", ())
    assert out.register is not None
    assert out.register.name == "copies"


def test_parameters_in_paths() -> None:
    day = PipelineParameter("weekday", "monday")
    made = step(DataReference("lake", "raw", f"in/{day}"), DataReference("store", "out", f"out/{day}"))
    wanted = (Literal(value="out/"), FromParameter(name="weekday"))
    assert made.wiring.outputs[0].output("default").destination == wanted
    assert {parameter.name for parameter in made.wiring.parameters} == {"weekday"}


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("https://host/a.csv", "source", "WebFile"),
        (["https://host/a.csv", "http://host/b.csv"], "source", "WebFile"),
        (SqlDataReference(SALES, "orders", sql_table="shop.orders"), "orders", "SqlQuery"),
        (SqlDataReference(SALES, sql_query="select 1"), "sales", "SqlQuery"),
        (Dataset.File.from_files("https://host/a.csv").as_named_input("files"), "files", "WebFile"),
    ],
)
def test_what_is_no_file_of_a_datastore_is_a_dataset(source: Any, name: str, kind: str) -> None:
    (port,) = step(source).wiring.inputs
    assert (port.name, port.mode) == (name, "mount")
    dataset: Any = port.source
    assert {type(found).__name__ for found in dataset.document.sources} == {kind}


def test_a_table_is_queried_whole() -> None:
    assert SqlDataReference(SALES, sql_table="shop.orders").query == "SELECT * FROM shop.orders"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: step(None), "give a source_data_reference"),
        (lambda: step(RAW, None), "give a destination_data_reference"),
        (lambda: step(RAW, DataReference("store", "whole")), "needs a path_on_datastore"),
        (lambda: step(RAW, 5), "not int"),
        (lambda: step(RAW, SqlDataReference(SALES, sql_table="a")), "cannot be written to a database"),
        (lambda: step(source_reference_type="folder"), "'file' or 'directory', not 'folder'"),
        (lambda: step(output_format="xml"), "'csv' or 'parquet'"),
        (lambda: step(surprise=1), "surprise"),
        (lambda: SqlDataReference(SALES), "either a sql_table or a sql_query"),
        (lambda: SqlDataReference(SALES, sql_table="a; drop table b"), "is no name of a table"),
        (lambda: SqlDataReference(SALES, sql_stored_procedure="p"), "in the words of its database"),
    ],
)
def test_mistakes(make: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        make()
