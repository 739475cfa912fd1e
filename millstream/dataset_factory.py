"""How datasets are made: v1's factories, `Dataset.File` and `Dataset.Tabular`."""

from __future__ import annotations

import fnmatch
import os
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from millstream.arguments import refuse_unknown
from millstream.dataset_paths import place_of, sources_of
from millstream.dataset_types import ArchiveOptions, DataType, column_types, encoding_of, header_of
from millstream.errors import InvalidRequest
from orchestrator.core.dataset import (
    DatasetDocument,
    DatastoreFiles,
    DelimitedFormat,
    Format,
    JsonLinesFormat,
    ParquetFormat,
    SqlQuery,
)
from orchestrator.datasets.errors import NotSupported

if TYPE_CHECKING:
    from millstream.file_dataset import FileDataset
    from millstream.tabular_dataset import TabularDataset


class FileDatasetFactory:
    """`Dataset.File`."""

    @staticmethod
    def from_files(
        path: Any = None,
        validate: bool = True,
        partition_format: str | None = None,
        is_file: bool = False,
        *,
        paths: Any = None,
        archive_options: ArchiveOptions | None = None,
        **unknown: Any,
    ) -> FileDataset:
        """Files of datastores or the web: a DataPath, (datastore, "folder/**/*.csv"), a URL, or a list of them.

        Nothing is looked at (as in v1). With `archive_options` the paths lead to zip archives.
        """
        from millstream.file_dataset import FileDataset

        refuse_unknown(FileDatasetFactory.from_files, unknown)
        del validate, is_file
        sources, workspace = sources_of(paths if path is None else path)
        document = DatasetDocument(
            type="file",
            sources=sources,
            partition_format=partition_format,
            archive=None if archive_options is None else archive_options.archive,
        )
        return FileDataset(document, workspace)

    @staticmethod
    def upload_directory(
        src_dir: str | os.PathLike[str],
        target: Any,
        pattern: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> FileDataset:
        """Upload a folder, or what of it fits `pattern`, and make a dataset of it."""
        place = place_of(target)
        root = Path(src_dir)
        if not root.is_dir():
            raise InvalidRequest(f"{root} is not a folder.", field="src_dir")
        found = sorted(path for path in root.rglob("*") if path.is_file())
        if pattern is not None:
            found = [path for path in found if fnmatch.fnmatchcase(path.relative_to(root).as_posix(), pattern)]
        if not found:
            raise InvalidRequest(f"No file below {root} fits {pattern or '*'!r}.", field="src_dir")
        place.datastore.upload_files(found, root, place.path, overwrite, show_progress)
        return FileDatasetFactory.from_files((place.datastore, place.path))


class TabularDatasetFactory:
    """`Dataset.Tabular`. With `validate`, the first row is read at once."""

    @staticmethod
    def from_delimited_files(
        path: Any = None,
        validate: bool = True,
        include_path: bool = False,
        infer_column_types: bool = True,
        set_column_types: dict[str, DataType] | None = None,
        separator: str = ",",
        header: bool | int = True,
        partition_format: str | None = None,
        support_multi_line: bool = False,
        empty_as_string: bool = False,
        encoding: str = "utf8",
        *,
        archive_options: ArchiveOptions | None = None,
        **unknown: Any,
    ) -> TabularDataset:
        """Rows of text files with a separator between values."""
        refuse_unknown(TabularDatasetFactory.from_delimited_files, unknown)
        form = DelimitedFormat(
            separator=separator,
            header=header_of(header),
            encoding=encoding_of(encoding),
            infer_column_types=infer_column_types,
            support_multi_line=support_multi_line,
            empty_as_string=empty_as_string,
        )
        return _table(path, form, validate, include_path, set_column_types, partition_format, archive_options)

    @staticmethod
    def from_parquet_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: dict[str, DataType] | None = None,
        partition_format: str | None = None,
        **unknown: Any,
    ) -> TabularDataset:
        """Rows of Parquet files."""
        refuse_unknown(TabularDatasetFactory.from_parquet_files, unknown)
        return _table(path, ParquetFormat(), validate, include_path, set_column_types, partition_format)

    @staticmethod
    def from_json_lines_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        set_column_types: dict[str, DataType] | None = None,
        partition_format: str | None = None,
        invalid_lines: Literal["error", "drop"] = "error",
        encoding: str = "utf8",
        **unknown: Any,
    ) -> TabularDataset:
        """Rows of files with a JSON object in each line."""
        refuse_unknown(TabularDatasetFactory.from_json_lines_files, unknown)
        if invalid_lines not in ("error", "drop"):
            raise ValueError(f"invalid_lines cannot be {invalid_lines!r}. Use 'error' or 'drop'.")
        form = JsonLinesFormat(invalid_lines=invalid_lines, encoding=encoding_of(encoding))
        return _table(path, form, validate, include_path, set_column_types, partition_format)

    @staticmethod
    def from_sql_query(
        query: Any,
        validate: bool = True,
        set_column_types: dict[str, DataType] | None = None,
        query_timeout: int = 30,
        **unknown: Any,
    ) -> TabularDataset:
        """Rows of a query: (SQL datastore, "select ..."), or a DataPath of both. It is not run before it is used."""
        from millstream.tabular_dataset import TabularDataset

        refuse_unknown(TabularDatasetFactory.from_sql_query, unknown)
        del validate
        store, text = query if isinstance(query, tuple) else (query.datastore, query.path_on_datastore)
        named = store if isinstance(store, str) else store.name
        # A number of the kind that the document has: another one would give another id here than in the service.
        source = SqlQuery(datastore=named, query=text, timeout_seconds=float(query_timeout))
        document = DatasetDocument(type="tabular", sources=(source,), column_types=column_types(set_column_types))
        return TabularDataset(document, None if isinstance(store, str) else store.workspace)

    @staticmethod
    def register_pandas_dataframe(
        dataframe: Any,
        target: Any,
        name: str,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        show_progress: bool = True,
        row_group_size: int | None = None,
        make_target_path_unique: bool = True,
    ) -> TabularDataset:
        """Write a DataFrame as Parquet to the target, and register it as a new version of the name."""
        import pyarrow as pa

        from orchestrator.datasets.writing import write_parquet

        place = place_of(target)
        unique = uuid.uuid4().hex if make_target_path_unique else ""
        folder = "/".join(part for part in (place.path, unique) if part)
        with tempfile.TemporaryDirectory() as local:
            file = Path(local, "part-00000.parquet")
            with file.open("wb") as sink:
                rows = pa.Table.from_pandas(dataframe, preserve_index=False).replace_schema_metadata(None)
                write_parquet(iter([rows]), sink, row_group_size)
            place.datastore.upload_files([file], local, folder, overwrite=True, show_progress=show_progress)
        path = f"{folder}/{file.name}" if folder else file.name
        made = TabularDatasetFactory.from_parquet_files((place.datastore, path), validate=False)
        return made.register(place.datastore.workspace, name, description, tags, create_new_version=True)

    @staticmethod
    def register_dask_dataframe(*_: Any, **__: Any) -> TabularDataset:
        raise NotSupported("Use register_pandas_dataframe(dataframe.compute(), ...).")

    @staticmethod
    def register_spark_dataframe(*_: Any, **__: Any) -> TabularDataset:
        raise NotSupported("Use register_pandas_dataframe(dataframe.toPandas(), ...).")


def _table(
    path: Any,
    form: Format,
    validate: bool,
    include_path: bool,
    types: dict[str, DataType] | None,
    partition_format: str | None,
    archive: ArchiveOptions | None = None,
) -> TabularDataset:
    from millstream.tabular_dataset import TabularDataset

    sources, workspace = sources_of(path)
    document = DatasetDocument(
        type="tabular",
        sources=sources,
        format=form,
        archive=None if archive is None else archive.archive,
        partition_format=partition_format,
        include_path=include_path,
        column_types=column_types(types),
    )
    made = TabularDataset(document, workspace)
    if validate and (workspace is not None or not any(isinstance(source, DatastoreFiles) for source in sources)):
        made.validate()
    return made
