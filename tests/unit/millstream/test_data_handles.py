"""How datasets, outputs that are datasets, and parameters that stand for data become ports and arguments."""

from __future__ import annotations

from typing import Any

import pytest

from millstream import (
    DataPath,
    DataPathComputeBinding,
    DataReference,
    Dataset,
    DatasetConsumptionConfig,
    LinkFileOutputDatasetConfig,
    OutputFileDatasetConfig,
    OutputTabularDatasetConfig,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
)
from millstream.compiler import compile_pipeline, datasets_of
from millstream.graph import build
from orchestrator.core.dataset import DelimitedFormat, KeepColumns, Split
from orchestrator.core.definition import (
    DataPathValue,
    DatasetSource,
    DatasetValue,
    DatastoreSource,
    Definition,
    FromInput,
    FromOutput,
    FromParameter,
    Literal,
    ParameterSource,
    StepSource,
    Text,
)
from orchestrator.core.validation import check

RAW = Dataset.File.from_files(DataPath("store", "raw/a.csv"))
TABLE = Dataset.Tabular.from_delimited_files(DataPath("store", "raw/a.csv"), validate=False)


def step(name: str = "one", **fields: Any) -> PythonScriptStep:
    return PythonScriptStep("main.py", name=name, **fields)


def compiled(*steps: PythonScriptStep) -> Definition:
    from pathlib import Path

    folder = Path("src")
    made = compile_pipeline(
        build(list(steps)),
        name="p",
        description="",
        default_datastore="store",
        snapshots={folder.absolute(): "0" * 64},
        default_folder=folder,
    )
    check(made, computes=["function"], datastores=["store", "other"])
    return made


def test_a_dataset_in_arguments_or_inputs_or_both() -> None:
    raw = TABLE.as_named_input("raw")
    for fields in (
        {"arguments": ["--raw", raw]},
        {"inputs": [raw]},
        {"arguments": ["--raw", raw], "inputs": [TABLE.as_named_input("raw")]},
    ):
        (one,) = compiled(step(**fields)).steps
        (port,) = one.inputs
        assert (port.name, port.mode, port.source) == ("raw", "direct", DatasetSource(id=TABLE.content_id))
        assert one.arguments in ((), (Literal(value="--raw"), FromInput(name="raw")))


def test_a_bare_dataset_is_named_after_itself() -> None:
    named = f"input_{TABLE.content_id[:8]}"
    assert [port.name for port in compiled(step(inputs=[TABLE])).steps[0].inputs] == [named]
    (port,) = compiled(step(arguments=[RAW])).steps[0].inputs
    assert port.mode == "mount"


def test_two_named_inputs_of_one_split() -> None:
    train, test = TABLE.random_split(0.8, seed=1)
    made = step(arguments=[train.as_named_input("train")], inputs=[test.as_named_input("test").as_download()])
    assert [(port.name, port.mode) for port in compiled(made).steps[0].inputs] == [
        ("test", "download"),
        ("train", "direct"),
    ]
    assert len(datasets_of(build([made]))) == 2


def test_an_output_config_needs_no_list() -> None:
    out = OutputFileDatasetConfig("out")
    first = step("first", arguments=["--out", out])
    second = step("second", arguments=["--in", out.as_input("data"), out.as_input("data")])
    made = compiled(second)
    assert [it.id for it in made.steps] == ["first", "second"]
    assert made.steps[0].arguments == (Literal(value="--out"), FromOutput(name="out"))
    (output,) = made.steps[0].outputs
    assert (output.create, output.datastore, output.destination, output.mode) == (True, "store", (), "mount")
    (port,) = made.steps[1].inputs
    assert isinstance(port.source, StepSource)
    assert (port.source.step, port.source.output, port.mode) == ("first", "out", "mount")
    assert first.wiring.outputs == [out]


def test_what_has_no_name_is_named_after_its_place() -> None:
    def once() -> Definition:
        a, b = OutputFileDatasetConfig(), OutputFileDatasetConfig()
        step("first", arguments=["--a", a, "--b", b])
        return compiled(step("second", arguments=[a.as_input(), "x", b.as_input()], inputs=[b.as_input()]))

    made = once()
    assert made == once(), "the same each time"
    assert [output.name for output in made.steps[0].outputs] == ["output_1", "output_3"]
    assert [(port.name, port.source.output) for port in made.steps[1].inputs] == [  # type: ignore[union-attr]
        ("input_0", "output_3"),
        ("input_0_2", "output_1"),
    ]
    assert made.steps[1].arguments == (
        FromInput(name="input_0_2"),
        Literal(value="x"),
        FromInput(name="input_0"),
    )


@pytest.mark.parametrize("how", ["store", "pair", "path"])
def test_destinations(how: str) -> None:
    place: Any = {"pair": ("other", "/kept/{run-id}/"), "path": DataPath("other", "kept/{run-id}"), "store": None}[how]
    if how == "store":

        class Store:
            name = "other"
            upload_files = None

        place = Store()
    (output,) = compiled(step(arguments=[OutputFileDatasetConfig("out", place)])).steps[0].outputs
    assert output.datastore == "other"
    assert output.destination == (() if how == "store" else (Literal(value="kept/{run-id}"),))


def test_a_parameter_in_a_destination() -> None:
    year = PipelineParameter("year", 2026)
    made = compiled(step(arguments=[OutputFileDatasetConfig("out", ("other", f"kept/{year}/x"))]))
    assert made.steps[0].outputs[0].destination == (
        Literal(value="kept/"),
        FromParameter(name="year"),
        Literal(value="/x"),
    )
    assert [parameter.name for parameter in made.parameters] == ["year"]


def test_copies_of_an_output_are_one_output() -> None:
    out = OutputFileDatasetConfig("out")
    written = out.as_upload(overwrite=False, source_globs=["**/*.csv"]).register_on_complete("clean", tags={"a": 1})
    table = out.read_delimited_files(separator=";").keep_columns(["a"])
    step("first", arguments=[written])
    made = compiled(step("second", inputs=[table.as_input("rows"), out.as_input("files")]))
    (output,) = made.steps[0].outputs
    assert (output.mode, output.globs, output.overwrite) == ("upload", ("**/*.csv",), False)
    assert output.register is not None
    assert (output.register.name, output.register.tags) == ("clean", {"a": "1"})
    rows, files = made.steps[1].inputs
    assert isinstance(rows.source, StepSource) and rows.source.view is not None
    assert (rows.mode, files.mode) == ("direct", "mount")
    assert rows.source.view.format == DelimitedFormat(separator=";")
    assert rows.source.view.operations == (KeepColumns(columns=("a",)),)


def test_a_table_that_a_step_writes_is_registered_as_one() -> None:
    table = OutputFileDatasetConfig("out").read_parquet_files().register_on_complete("rows")
    assert isinstance(table, OutputTabularDatasetConfig)
    (output,) = compiled(step(arguments=[table])).steps[0].outputs
    assert output.register is not None
    assert output.register.view.type == "tabular"
    first, second = table.random_split(0.5, seed=3)
    splits = [it.view.operations[0] for it in (first, second)]
    assert [it.part for it in splits if isinstance(it, Split)] == ["first", "second"]


def test_a_lost_copy_is_told() -> None:
    out = OutputFileDatasetConfig("out")
    out.register_on_complete("clean")
    (handle,) = step(arguments=[out]).wiring.outputs
    with pytest.warns(UserWarning, match=r"register_on_complete\('clean'\) returned a copy"):
        handle.warn_of_lost_copies()  # type: ignore[union-attr]


def test_links() -> None:
    link = LinkFileOutputDatasetConfig("chosen").register_on_complete("chosen")
    step("first", outputs=[link])
    made = compiled(step("second", inputs=[link.as_input("data")]))
    (output,) = made.steps[0].outputs
    assert (output.mode, output.create) == ("link", False)


def test_pipeline_data_as_datasets() -> None:
    clean = PipelineData("clean")
    files = clean.as_dataset()
    files.register("processed", create_new_version=True)
    step("first", arguments=[files], outputs=[files])
    rows = files.parse_delimited_files(file_extension=".csv").as_named_input("rows").drop_columns("b")
    made = compiled(step("second", arguments=[clean, files.as_named_input("mounted").as_download()], inputs=[rows]))
    assert made.steps[0].arguments == (FromOutput(name="clean"),)
    (output,) = made.steps[0].outputs
    assert output.register is not None
    assert (output.register.name, output.create) == ("processed", False)
    by_name = {port.name: port for port in made.steps[1].inputs}
    assert {name: port.mode for name, port in by_name.items()} == {
        "rows": "direct",
        "clean": "mount",
        "mounted": "download",
    }
    source = by_name["rows"].source
    assert isinstance(source, StepSource) and source.view is not None
    assert source.view.pattern == "**/*.csv"


def test_a_data_path_as_equal_tuples() -> None:
    parameter = PipelineParameter("where", DataPath("other", "a/b"))
    made = compiled(
        step(
            arguments=["--in", (parameter, DataPathComputeBinding("download"))],
            inputs=[
                (parameter, DataPathComputeBinding("download")),
                (DataPath("store", "c"), DataPathComputeBinding()),
            ],
        )
    )
    first, second = made.steps[0].inputs
    assert (first.name, first.source, first.mode) == ("where", ParameterSource(name="where"), "download")
    assert (second.name, second.source) == ("c", DatastoreSource(datastore="store", path="c"))
    assert made.steps[0].arguments[1] == FromInput(name="where")
    assert made.parameters[0].default == DataPathValue(datastore="other", path="a/b")


def test_a_parameter_that_stands_for_a_dataset() -> None:
    parameter = PipelineParameter("data", TABLE)
    made = compiled(step(arguments=[DatasetConsumptionConfig("rows", parameter)]))
    assert made.steps[0].inputs[0].source == ParameterSource(name="data")
    assert made.parameters[0].default == DatasetValue(id=TABLE.content_id)
    assert datasets_of(build([step(arguments=[DatasetConsumptionConfig("rows", parameter)])])) == [TABLE]


def test_handles_inside_texts_are_replaced_when_the_step_runs() -> None:
    clean, rate = PipelineData("clean"), PipelineParameter("rate", 0.5)
    out, raw = OutputFileDatasetConfig("out"), DataReference("store", "raw", "raw")
    producer = step("first", outputs=[clean])
    made = compiled(
        producer,
        step(
            "second",
            arguments=[f"--in={clean}/x;{raw}", "--rate=" + str(rate), f"{out}", f"{TABLE.as_named_input('rows')}!"],
            params={"both": f"{rate}-{rate}"},
        ),
    )
    second = made.steps[1]
    assert second.arguments == (
        Text(
            parts=(
                Literal(value="--in="),
                FromInput(name="clean"),
                Literal(value="/x;"),
                FromInput(name="raw"),
            )
        ),
        Text(parts=(Literal(value="--rate="), FromParameter(name="rate"))),
        Text(parts=(FromOutput(name="out"),)),
        Text(parts=(FromInput(name="rows"), Literal(value="!"))),
    )
    assert second.environment == {
        "AML_PARAMETER_both": Text(parts=(FromParameter(name="rate"), Literal(value="-"), FromParameter(name="rate")))
    }


def test_a_reference_that_is_written() -> None:
    out = DataReference("other", "results", "kept/here").as_upload("written")
    (output,) = compiled(step(arguments=[out], outputs=[out])).steps[0].outputs
    assert (output.name, output.path_on_compute, output.datastore) == ("results", "written", "other")
    assert output.destination == (Literal(value="kept/here"),)
    with pytest.raises(ValueError, match="needs a path_on_datastore"):
        DataReference("other", "whole").as_upload()


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"inputs": [TABLE.as_named_input("a"), RAW.as_named_input("a")]}, ValueError, "as_named_input"),
        ({"outputs": [TABLE]}, TypeError, "an output must be"),
        ({"inputs": [("store", "path")]}, TypeError, "an input must be"),
        ({"arguments": [PipelineParameter("n", 1)], "inputs": [PipelineParameter("n", 1)]}, TypeError, "an input must"),
        (
            {"arguments": [OutputFileDatasetConfig("a"), OutputFileDatasetConfig("a")]},
            ValueError,
            "two outputs are named",
        ),
    ],
)
def test_mistakes(fields: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        step(**fields)


def test_a_step_cannot_read_what_it_writes() -> None:
    out = OutputFileDatasetConfig("out")
    with pytest.raises(ValueError, match="both an input and an output"):
        step(arguments=[out, out.as_input()])
