"""Outputs that are datasets: v1's OutputFileDatasetConfig and what comes of it.

As in v1 every method returns a changed copy. All copies are one output: what one step writes under any of them, other
steps take in by any other. A copy that asks for something and is not given to the step has no effect, which is said
when the pipeline is submitted.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from millstream.data import compute_path
from millstream.data_path import DataPath
from millstream.dataset_consumption import UNNAMED, DatasetConsumptionConfig
from millstream.dataset_types import DataType, column_types, header_of
from millstream.parameter import PipelineParameter
from millstream.path_parts import path_parts, tidy
from millstream.tokens import Token, data_token
from orchestrator.core.dataset import (
    DatasetView,
    DelimitedFormat,
    DropColumns,
    Format,
    KeepColumns,
    ParquetFormat,
    Split,
)
from orchestrator.core.definition import FromParameter, Literal, Output, Registration
from orchestrator.core.names import DATASET, PORT, shown

if TYPE_CHECKING:
    from millstream.steps import PipelineStep

C = TypeVar("C", bound="OutputDatasetConfig")


@dataclass(eq=False, slots=True)
class OutputPort:
    """What all copies have in common. `asked`: what any of them asked for. The name may come with the step."""

    name: str | None
    producer: PipelineStep | None = None
    asked: set[str] = field(default_factory=set)

    @property
    def output_name(self) -> str:
        return self.name or "output"


class OutputDatasetConfig(Token, ABC):
    """An output of a step that is a dataset."""

    mode = "mount"
    view = DatasetView(type="file")

    def __init__(self, name: str | None = None) -> None:
        self.port = OutputPort(None if name is None else PORT.check(name, "name"))
        self.registration: Registration | None = None
        self._asked: frozenset[str] = frozenset()

    @property
    def name(self) -> str | None:
        """None, as long as it has none and is not yet given to a step, which names it after its place there."""
        return self.port.name

    @name.setter
    def name(self, name: str) -> None:
        self.port.name = PORT.check(name, "name")

    @property
    def output_name(self) -> str:
        return self.port.output_name

    def as_input(self, name: str | None = None) -> DatasetConsumptionConfig:
        """The output as an input of another step; without a name, it is named after its place there."""
        mode = "direct" if self.view.type == "tabular" else "mount"
        return DatasetConsumptionConfig(UNNAMED if name is None else name, self, mode)

    def register_on_complete(
        self: C, name: str, description: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> C:
        """A copy that becomes a new version of the dataset `name` when its step succeeds."""
        made = self._copied(f"register_on_complete({name!r})")
        labels = {str(key): str(value) for key, value in (tags or {}).items()}
        made.registration = Registration(
            name=DATASET.check(name, "name"), description=description or "", tags=labels, view=self.view
        )
        return made

    @abstractmethod
    def output(self, default_datastore: str) -> Output:
        """The port, as in the definition."""

    @property
    def parameters(self) -> list[PipelineParameter]:
        """Those that are part of its destination."""
        return []

    def warn_of_lost_copies(self) -> None:
        """Say it when something was asked for on a copy, and another copy was given to the step."""
        for lost in sorted(self.port.asked - self._asked):
            warnings.warn(
                f"The output {shown(self.output_name)}: {lost} returned a copy that no step writes, and has no effect. "
                "Give the step what it returned.",
                stacklevel=2,
            )

    def _copied(self: C, asked: str) -> C:
        made = copy(self)
        made._asked = self._asked | {asked}
        self.port.asked.add(asked)
        return made

    def __str__(self) -> str:
        return data_token(self.port.name or f"output_{id(self.port)}", self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.port.name!r})"


class OutputFileDatasetConfig(OutputDatasetConfig):
    """A folder that is there when the script starts, and is kept when the step has succeeded; it may stay empty.

    `destination`: a Datastore, a DataPath, or (datastore, path), where copies of the files are put; in the path,
    {run-id} and {output-name} are replaced, and PipelineParameters may be part of it. Without one, the files lie at a
    path of their own. `source`: where in its working folder the script writes.
    """

    def __init__(
        self,
        name: str | None = None,
        destination: Any = None,
        source: str | None = None,
        partition_format: str | None = None,
    ) -> None:
        super().__init__(name)
        self._datastore, self._path = _destination(destination)
        self.destination = destination
        self.source = compute_path(source)
        self._globs: tuple[str, ...] = ()
        self._overwrite = True
        if partition_format is not None:
            self.view = msgspec.structs.replace(self.view, partition_format=partition_format)

    def as_mount(self, disable_metadata_cache: bool = False) -> OutputFileDatasetConfig:
        """A copy; mounting and uploading are the same here but for what `as_upload` can say."""
        del disable_metadata_cache
        made = copy(self)
        made.mode, made._globs, made._overwrite = "mount", (), True
        return made

    def as_upload(
        self, overwrite: bool = False, source_globs: str | Sequence[str] | None = None
    ) -> OutputFileDatasetConfig:
        """A copy of which only the files that fit one of the patterns are kept. Without `overwrite`, files of others
        at the destination are not replaced: the step fails.
        """
        globs = (source_globs,) if isinstance(source_globs, str) else tuple(source_globs or ())
        made = self._copied("as_upload()") if globs else copy(self)
        made.mode, made._globs, made._overwrite = "upload", tuple(map(_pattern, globs)), overwrite
        return made

    def read_delimited_files(
        self,
        include_path: bool = False,
        separator: str = ",",
        header: bool | int = True,
        partition_format: str | None = None,
        path_glob: str | None = None,
        set_column_types: Mapping[str, DataType] | None = None,
    ) -> OutputTabularDatasetConfig:
        """The files, read as text with a separator between values."""
        form = DelimitedFormat(separator=separator, header=header_of(header))
        return self._table(form, include_path, partition_format, path_glob, set_column_types)

    def read_parquet_files(
        self,
        include_path: bool = False,
        partition_format: str | None = None,
        path_glob: str | None = None,
        set_column_types: Mapping[str, DataType] | None = None,
    ) -> OutputTabularDatasetConfig:
        """The files, read as Parquet."""
        return self._table(ParquetFormat(), include_path, partition_format, path_glob, set_column_types)

    def output(self, default_datastore: str) -> Output:
        return Output(
            name=self.output_name,
            datastore=self._datastore or default_datastore,
            mode="upload" if self.source is not None else self.mode,
            path_on_compute=self.source,
            is_directory=True,
            create=True,
            globs=self._globs,
            destination=tuple(_part(part) for part in self._path),
            overwrite=self._overwrite,
            register=self.registration,
        )

    @property
    def parameters(self) -> list[PipelineParameter]:
        """Those in the destination."""
        return [part for part in self._path if isinstance(part, PipelineParameter)]

    def _table(
        self,
        form: Format,
        include_path: bool,
        partition_format: str | None,
        path_glob: str | None,
        types: Mapping[str, DataType] | None,
    ) -> OutputTabularDatasetConfig:
        return OutputTabularDatasetConfig(
            _of=self,
            _view=table_view(form, include_path, partition_format, path_glob, types),
        )


class OutputTabularDatasetConfig(OutputDatasetConfig):
    """Files that a step writes, read as rows. Made by `OutputFileDatasetConfig.read_delimited_files` and its like."""

    def __init__(self, **kwargs: Any) -> None:
        files, view = kwargs.pop("_of", None), kwargs.pop("_view", None)
        if kwargs or not isinstance(files, OutputFileDatasetConfig) or view is None:
            raise TypeError("Make it by OutputFileDatasetConfig(...).read_delimited_files() or read_parquet_files().")
        self.port = files.port
        self.registration = files.registration
        self._asked = files._asked
        self._files = files
        self.view = view

    def keep_columns(self, columns: str | Sequence[str]) -> OutputTabularDatasetConfig:
        return self._viewed(self.view.then(KeepColumns(columns=names_of(columns))))

    def drop_columns(self, columns: str | Sequence[str]) -> OutputTabularDatasetConfig:
        return self._viewed(self.view.then(DropColumns(columns=names_of(columns))))

    def random_split(
        self, percentage: float, seed: int | None = None
    ) -> tuple[OutputTabularDatasetConfig, OutputTabularDatasetConfig]:
        first, second = split_of(self.view, percentage, seed)
        return self._viewed(first), self._viewed(second)

    def as_mount(self) -> OutputTabularDatasetConfig:
        return self._filed(self._files.as_mount())

    def as_upload(
        self, overwrite: bool = False, source_globs: str | Sequence[str] | None = None
    ) -> OutputTabularDatasetConfig:
        return self._filed(self._files.as_upload(overwrite, source_globs))

    def output(self, default_datastore: str) -> Output:
        return msgspec.structs.replace(self._files.output(default_datastore), register=self.registration)

    @property
    def parameters(self) -> list[PipelineParameter]:
        return self._files.parameters

    def _viewed(self, view: DatasetView) -> OutputTabularDatasetConfig:
        made = copy(self)
        made.view = view
        return made

    def _filed(self, files: OutputFileDatasetConfig) -> OutputTabularDatasetConfig:
        made = copy(self)
        made._files, made._asked = files, self._asked | files._asked
        return made


class LinkFileOutputDatasetConfig(OutputDatasetConfig):
    """An output that is a dataset which the script names: `run.output_datasets[name].link(dataset)`."""

    mode = "link"

    def output(self, default_datastore: str) -> Output:
        return Output(name=self.output_name, datastore=default_datastore, mode="link", register=self.registration)


class LinkTabularOutputDatasetConfig(LinkFileOutputDatasetConfig):
    """As LinkFileOutputDatasetConfig, for a tabular dataset."""

    view = DatasetView(type="tabular", format=DelimitedFormat())


def table_view(
    form: Format,
    include_path: bool,
    partition_format: str | None,
    pattern: str | None,
    types: Mapping[str, DataType] | None,
) -> DatasetView:
    """How files of this format are read."""
    return DatasetView(
        type="tabular",
        pattern=tidy(pattern),
        format=form,
        partition_format=partition_format,
        include_path=include_path,
        column_types=column_types(dict(types or {})),
    )


def split_of(view: DatasetView, percentage: float, seed: int | None) -> tuple[DatasetView, DatasetView]:
    """Both parts of a random split. Without a seed it is 0, so that the pipeline stays the same."""
    first = Split(percentage=percentage, seed=seed or 0, part="first")
    return view.then(first), view.then(msgspec.structs.replace(first, part="second"))


def names_of(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _destination(given: Any) -> tuple[str | None, list[Any]]:
    """The datastore's name, if one is given, and the parts of the path."""
    if given is None:
        return None, []
    if isinstance(given, DataPath):
        store, path = given.datastore, given.path_on_datastore
    elif isinstance(given, tuple) and len(given) == 2:
        store, path = given
    elif hasattr(given, "name") and hasattr(given, "upload_files"):
        store, path = given, ""
    else:
        raise TypeError(f"A destination is a Datastore, a DataPath, or (datastore, 'path'), not {given!r}.")
    name = store if isinstance(store, str) or store is None else store.name
    return name, list(path_parts(path, "OutputFileDatasetConfig, destination"))


def _part(part: str | PipelineParameter) -> Literal | FromParameter:
    return FromParameter(name=part.name) if isinstance(part, PipelineParameter) else Literal(value=part)


def _pattern(text: str) -> str:
    return tidy(text).removeprefix("./")
