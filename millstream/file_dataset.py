"""Datasets of files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from millstream.dataset import AbstractDataset
from millstream.dataset_consumption import DatasetConsumptionConfig
from millstream.dataset_filter import ColumnExpression
from orchestrator.core import dataset_filter as core
from orchestrator.datasets.errors import FileMissing, NotSupported
from orchestrator.datasets.files import bring, files

_PROPERTIES = {"size": "Size", "path": "Path", "modifiedtime": "ModifiedTime", "lastmodified": "ModifiedTime"}


class FileDataset(AbstractDataset):
    """Files of datastores and of the web, under paths that show what they have in common no more than once."""

    def to_path(self) -> list[str]:
        """The paths of the files in the dataset, each with a / at its beginning."""
        with self.reading() as reading:
            return [f"/{leaf.path}" for leaf in files(self.document, reading)]

    def download(
        self,
        target_path: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        ignore_not_found: bool = False,
    ) -> list[str]:
        """Bring the files below `target_path`, or a fresh folder. Returns where they are.

        Raises FilesInTheWay if one is there and not to be replaced; FileMissing, unless `ignore_not_found`.
        """
        folder = Path(tempfile.mkdtemp() if target_path is None else target_path).absolute()
        with self.reading() as reading:
            found = files(self.document, reading)
            if not ignore_not_found:
                return [str(place) for place in bring(found, folder, reading, overwrite=overwrite)]
            brought: list[str] = []
            for leaf in found:
                try:
                    brought += [str(place) for place in bring([leaf], folder, reading, overwrite=overwrite)]
                except FileMissing:
                    continue
            return brought

    def mount(self, mount_point: str | os.PathLike[str] | None = None, **_: Any) -> MountContext:
        """A context manager in which the files lie in a folder. They are copied; changes are not written back."""
        return MountContext(self, mount_point)

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        return self._input().as_mount(path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        return self._input().as_download(path_on_compute)

    def as_hdfs(self) -> DatasetConsumptionConfig:
        return self._input().as_hdfs()

    def as_cache(self, datacache_store: Any) -> DatasetConsumptionConfig:
        """v1 names a cache; here every node has one by itself."""
        del datacache_store
        return self.as_mount()

    def hydrate(self, datacache_store: Any, replica_count: int | None = None) -> None:
        del datacache_store, replica_count
        raise NotSupported("There is no data cache to fill: nodes keep what steps have read by themselves.")

    def file_metadata(self, col: str) -> ColumnExpression:
        """A property of the files for `filter`: "Size", "Path" or "ModifiedTime"."""
        return ColumnExpression(core.FileValue(name=_PROPERTIES.get(col.lower(), col)))

    def __getitem__(self, name: str) -> ColumnExpression:
        """A column that `partition_format` makes, for `filter`."""
        return ColumnExpression(core.ColumnValue(name=name))

    def _input(self) -> DatasetConsumptionConfig:
        return self.as_named_input(input_name(self))


def input_name(dataset: AbstractDataset) -> str:
    """The name of an input that was given none: the dataset's own, or one that its content decides."""
    from millstream.data import port_name
    from orchestrator.core.dataset import address

    plain = port_name(dataset.name) if dataset.name else f"input_{address(dataset.document)[:8]}"
    return plain if not plain[0].isdigit() else f"_{plain}"


class MountContext:
    """Files in a folder, from `start()` to `stop()`, or as a context manager that gives the folder's path."""

    def __init__(self, dataset: FileDataset, mount_point: str | os.PathLike[str] | None) -> None:
        self._dataset = dataset
        self._own = mount_point is None
        self.mount_point = str(Path(tempfile.mkdtemp() if mount_point is None else mount_point).absolute())

    def start(self) -> None:
        self._dataset.download(self.mount_point, overwrite=True)

    def stop(self) -> None:
        """Remove the files, if the folder was made for them."""
        if self._own:
            shutil.rmtree(self.mount_point, ignore_errors=True)

    def __enter__(self) -> str:
        self.start()
        return self.mount_point

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
