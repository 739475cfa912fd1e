"""PipelineData taken as datasets: v1's PipelineOutputFileDataset and PipelineOutputTabularDataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, TypeVar

from millstream.dataset_types import DataType, header_of
from millstream.output_config import names_of, split_of, table_view
from millstream.tokens import Token, data_token
from orchestrator.core.dataset import DatasetView, DelimitedFormat, DropColumns, KeepColumns, ParquetFormat
from orchestrator.core.definition import Registration
from orchestrator.core.names import DATASET, PATH, PORT

if TYPE_CHECKING:
    from millstream.data import PipelineData

D = TypeVar("D", bound="PipelineOutputAbstractDataset")


class PipelineOutputAbstractDataset(Token):
    """What a step writes as PipelineData, as a dataset. It may stand among the outputs of that step, and need not."""

    mode = "direct"
    path_on_compute: str | None = None

    def __init__(self, pipeline_data: PipelineData, view: DatasetView) -> None:
        self.pipeline_data = pipeline_data
        self.view = view
        self.input_name = pipeline_data.name

    @property
    def name(self) -> str:
        return self.pipeline_data.name

    def as_named_input(self: D, name: str) -> D:
        """This data as an input of another name."""
        made = copy(self)
        made.input_name = PORT.check(name, "name")
        return made

    def register(
        self: D,
        name: str,
        create_new_version: bool = True,
        description: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> D:
        """Make the data the next version of the dataset `name` when its step succeeds."""
        del create_new_version
        labels = {str(key): str(value) for key, value in (tags or {}).items()}
        self.pipeline_data.registration = Registration(
            name=DATASET.check(name, "name"), description=description or "", tags=labels, view=self.view
        )
        return self

    def _viewed(self: D, view: DatasetView) -> D:
        made = copy(self)
        made.view = view
        return made

    def __str__(self) -> str:
        return data_token(self.input_name, self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.input_name!r})"


class PipelineOutputFileDataset(PipelineOutputAbstractDataset):
    """Files. Made by `PipelineData.as_dataset()`. `as_mount()`, as long as nothing else is asked for."""

    mode = "mount"

    def __init__(self, pipeline_data: PipelineData) -> None:
        super().__init__(pipeline_data, DatasetView(type="file"))

    def as_mount(self, path_on_compute: str | None = None) -> PipelineOutputFileDataset:
        return self._in("mount", path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> PipelineOutputFileDataset:
        return self._in("download", path_on_compute)

    def as_direct(self) -> PipelineOutputFileDataset:
        """The script gets a dataset object by `Run.get_context().input_datasets[name]`."""
        return self._in("direct", None)

    def parse_delimited_files(
        self,
        include_path: bool = False,
        separator: str = ",",
        header: bool | int = True,
        partition_format: str | None = None,
        file_extension: str = "",
        set_column_types: Mapping[str, DataType] | None = None,
        quoted_line_breaks: bool = False,
    ) -> PipelineOutputTabularDataset:
        """The files (those of the extension, if one is given), read as text with a separator between values."""
        form = DelimitedFormat(separator=separator, header=header_of(header), support_multi_line=quoted_line_breaks)
        view = table_view(form, include_path, partition_format, _ending(file_extension), set_column_types)
        return PipelineOutputTabularDataset(self, view)

    def parse_parquet_files(
        self,
        include_path: bool = False,
        partition_format: str | None = None,
        file_extension: str = ".parquet",
        set_column_types: Mapping[str, DataType] | None = None,
    ) -> PipelineOutputTabularDataset:
        """The files of the extension, read as Parquet."""
        view = table_view(ParquetFormat(), include_path, partition_format, _ending(file_extension), set_column_types)
        return PipelineOutputTabularDataset(self, view)

    def _in(self, mode: str, path_on_compute: str | None) -> PipelineOutputFileDataset:
        made = copy(self)
        made.mode = mode
        made.path_on_compute = None if path_on_compute is None else PATH.check(path_on_compute, "path_on_compute")
        return made


class PipelineOutputTabularDataset(PipelineOutputAbstractDataset):
    """Rows. Made by `parse_delimited_files()` and `parse_parquet_files()`; the script reads them as a dataset."""

    def __init__(self, files: PipelineOutputFileDataset, view: DatasetView) -> None:
        super().__init__(files.pipeline_data, view)
        self.input_name = files.input_name

    def keep_columns(self, columns: str | Sequence[str]) -> PipelineOutputTabularDataset:
        return self._viewed(self.view.then(KeepColumns(columns=names_of(columns))))

    def drop_columns(self, columns: str | Sequence[str]) -> PipelineOutputTabularDataset:
        return self._viewed(self.view.then(DropColumns(columns=names_of(columns))))

    def random_split(
        self, percentage: float, seed: int | None = None
    ) -> tuple[PipelineOutputTabularDataset, PipelineOutputTabularDataset]:
        first, second = split_of(self.view, percentage, seed)
        return self._viewed(first), self._viewed(second)


def _ending(extension: str) -> str | None:
    return f"**/*{extension}" if extension else None
