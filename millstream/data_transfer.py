"""v1's DataTransferStep: data is copied from one place to another, without a script."""

from __future__ import annotations

from typing import Any

from millstream.arguments import refuse_unknown
from millstream.data import DataReference, InputPortBinding, PipelineData
from millstream.data_path import DataPath
from millstream.dataset import AbstractDataset
from millstream.dataset_consumption import DatasetConsumptionConfig
from millstream.dataset_factory import FileDatasetFactory
from millstream.file_dataset import input_name
from millstream.output_config import OutputFileDatasetConfig
from millstream.parameter import PipelineParameter
from millstream.path_parts import PathPart, parameters_in
from millstream.pipeline_dataset import PipelineOutputAbstractDataset
from millstream.sql_data_reference import SqlDataReference
from millstream.step_run import PortDataReference
from millstream.steps import PipelineStep
from orchestrator.core.definition import FromParameter, Literal, Output
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy

OUTPUT = "_data_transfer_output"
"""The port of the destination, as v1 has it."""
TYPES = ("file", "directory")
FORMATS = ("csv", "parquet")


class DataTransferStep(PipelineStep):
    """Copies what `source_data_reference` stands for to `destination_data_reference`.

    Source: a DataReference, PipelineData or what another step puts out, a dataset of files, an SqlDataReference, or the
    URL of a file of the web, or a list of URLs. Destination: a DataReference, which is written to directly, or
    PipelineData. `source_reference_type`, `destination_reference_type`: "file" or "directory", needed only where both
    are there under one path.

    Beside v1's arguments: `overwrite`, whether files of others at the destination may be replaced; `output_format` of
    rows, "csv" or "parquet", by default as the destination's name ends; `retry` and `timeout_seconds`, as of
    PythonScriptStep. Each attempt goes on where the one before has ended.
    """

    kind = "data_transfer"

    def __init__(
        self,
        name: str,
        source_data_reference: Any = None,
        destination_data_reference: Any = None,
        compute_target: Any = None,
        source_reference_type: str | None = None,
        destination_reference_type: str | None = None,
        allow_reuse: bool = True,
        *,
        overwrite: bool = True,
        output_format: str | None = None,
        version: str | None = None,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(DataTransferStep.__init__, unknown)
        what = f"Step {shown(name)}"
        self.source_reference_type = _one_of(source_reference_type, TYPES, f"{what}: source_reference_type")
        self.destination_reference_type = _one_of(
            destination_reference_type, TYPES, f"{what}: destination_reference_type"
        )
        self.output_format = _one_of(output_format, FORMATS, f"{what}: output_format")
        self._output = _destination(destination_data_reference, what, overwrite=overwrite)
        super().__init__(
            name,
            inputs=[_source(source_data_reference, what)],
            outputs=[self._output],
            compute_target=compute_target,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
        )
        if isinstance(self._output, TransferredData):
            self.wiring.parameters.extend(parameters_in(self._output.place))

    def get_output(self) -> PipelineData | OutputFileDatasetConfig:
        """The destination, as an input for steps that run after this one and read there."""
        return self._output

    @property
    def settings(self) -> dict[str, Any]:
        given = {
            "source_type": self.source_reference_type,
            "destination_type": self.destination_reference_type,
            "format": self.output_format,
        }
        return {name: value for name, value in given.items() if value is not None}


class TransferredData(PipelineData):
    """A place of a datastore that a transfer writes to directly."""

    def __init__(self, name: str, datastore: Any, place: tuple[PathPart, ...], *, overwrite: bool) -> None:
        super().__init__(name, datastore, output_name=OUTPUT)
        self.place = place
        self.overwrite = overwrite

    def output(self, default_datastore: str) -> Output:
        return Output(
            name=self.output_name,
            datastore=self.datastore_name or default_datastore,
            destination=tuple(
                Literal(value=part) if isinstance(part, str) else FromParameter(name=part.name) for part in self.place
            ),
            overwrite=self.overwrite,
            register=self.registration,
        )


def _source(given: Any, what: str) -> Any:
    """The input that a source is. Raises TypeError, ValueError."""
    match given:
        case None:
            raise ValueError(f"{what}: give a source_data_reference, such as a DataReference.")
        case SqlDataReference():
            return given.dataset().as_named_input(given.name).as_mount()
        case str() | [str(), *_]:
            return FileDatasetFactory.from_files(given).as_named_input("source").as_mount()
        case PortDataReference():
            return given.as_mount()
        case AbstractDataset():
            return given.as_named_input(input_name(given)).as_mount()
        case DatasetConsumptionConfig():
            return given.as_mount()
        case _:
            return given


def _destination(given: Any, what: str, *, overwrite: bool) -> PipelineData | OutputFileDatasetConfig:
    match given:
        case None:
            raise ValueError(f"{what}: give a destination_data_reference, such as a DataReference.")
        case SqlDataReference():
            raise ValueError(f"{what}: rows cannot be written to a database. Write to a file, and load it from there.")
        case InputPortBinding():
            return _destination(given.bind_object, what, overwrite=overwrite)
        case PortDataReference():
            return _destination(given.as_mount(), what, overwrite=overwrite)
        case PipelineOutputAbstractDataset():
            return given.pipeline_data
        case PipelineData() | OutputFileDatasetConfig():
            return given
        case DataReference() | DataPath():
            name = given.name or "destination"
            store, parts = given.datastore, given.parts
        case (store, str() as path):
            return _destination(DataReference(store, None, path), what, overwrite=overwrite)
        case _:
            raise TypeError(
                f"{what}: a destination is a DataReference, a DataPath or PipelineData, not {type(given).__name__}."
            )
    if not parts:
        raise ValueError(f"{what}: the destination needs a path_on_datastore; it cannot be a whole datastore.")
    return TransferredData(name, store, parts, overwrite=overwrite)


def _one_of(value: str | None, known: tuple[str, ...], where: str) -> str | None:
    if value is not None and value not in known:
        raise ValueError(f"{where} is {' or '.join(map(repr, known))}, not {value!r}.")
    return value
