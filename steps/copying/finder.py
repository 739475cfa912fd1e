"""What the one input of a transfer means: files of a datastore, of an earlier step, of the web, or rows of a query."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.core import dataset as ds
from orchestrator.core.definition import Input
from orchestrator.core.job import InputData
from orchestrator.core.kinds.data_transfer import DataTransfer
from orchestrator.datasets.files import Reading, files
from steps.brought import Tally
from steps.context import StepContext
from steps.copying import sources
from steps.copying.sources import Item, Source
from steps.copying.web import web_item
from steps.data_failures import data_failures
from steps.dataset_access import StoreAccess
from steps.datastores import container_of
from steps.failures import (
    InputMissing,
    InvalidStep,
    node_failure,
)
from steps.outputs import destination_of
from steps.query_inputs import query_of
from steps.store import Listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """Finds out what is to be copied."""

    context: StepContext
    port: Input
    settings: DataTransfer

    def find(self, data: InputData) -> Source:
        """Raises StepFailure, Stopped."""
        store = self.context.store
        if data.dataset_id:
            if data.dataset is None:
                raise InputMissing(f"There is no dataset with the id {data.dataset_id!r}.")
            with self._failing():
                return self._dataset(data.dataset)
        container = container_of(self.context.settings.datastores, data.datastore)
        if data.files is not None:
            return sources.committed(store, container, data)
        return sources.referenced(store, container, data, self.settings.source_type)

    def _dataset(self, document: ds.DatasetDocument) -> Source:
        access = StoreAccess(
            store=self.context.store,
            pool=self.context.pool,
            datastores=self.context.settings.datastores,
            scratch=self._scratch,
            stop=self.context.stop,
            web_bytes=self.context.settings.web_bytes,
        )
        query = query_of(document)
        if query is not None and not document.operations:
            return self._rows(query, access)
        if document.type != "file" or document.archive is not None or query is not None:
            raise InvalidStep(
                "A table, the members of an archive, and rows of a query that are chosen further, are no files that "
                "could be copied. Take a dataset of files, or a query that chooses by itself."
            )
        return self._files(document, access)

    def _rows(self, query: ds.SqlQuery, access: StoreAccess) -> Source:
        # Loaded when it is needed: it takes pyarrow.
        from steps.copying.rows import row_item

        form = self._form()
        name = f"rows.{form}"
        item, rows = row_item(query, form, "", access, self._scratch)
        self.context.log.note(f"The query on {query.datastore} gave {rows:,} rows.")
        tally = Tally()
        tally.add(f"{query.datastore}/{query.query}", item.size, item.sha256)
        label = f"rows of a query on {query.datastore}, as {form}"
        return Source(label=label, name=name, is_directory=False, items=(item,), read=tally.read())

    def _form(self) -> str:
        """As the settings say, else as the destination is called."""
        if self.settings.format is not None:
            return self.settings.format
        (out,) = self.context.job.step.outputs
        return "parquet" if destination_of(self.context.job, out).lower().endswith(".parquet") else "csv"

    def _files(self, document: ds.DatasetDocument, access: StoreAccess) -> Source:
        tally = Tally()
        items: list[Item] = []
        with Reading(access) as reading:
            for leaf in files(document, reading):
                self.context.stop.check()
                blob = leaf.blob
                if blob is None or leaf.make is not None:
                    raise InvalidStep("The files of this dataset are made of rows. Take the rows by a query.")
                tally.add(f"{blob.datastore}/{blob.path}", blob.size, blob.etag)
                if blob.datastore is None:
                    items.append(self._web(blob.path, leaf.path))
                else:
                    container = container_of(self.context.settings.datastores, blob.datastore)
                    listed = Listed(blob.path, blob.size or 0, blob.etag, blob.modified, blob.checksum)
                    items.append(sources.stored(self.context.store, container, listed, leaf.path))
        if not items:
            raise InputMissing("There is nothing to copy: the dataset has no files.")
        return self._source(items, tally)

    def _source(self, items: list[Item], tally: Tally) -> Source:
        wanted = self.settings.source_type
        if wanted == "file" and len(items) > 1:
            raise InvalidStep(
                f"The source has {len(items):,} files, and source_reference_type says 'file'. Say 'directory'."
            )
        single = len(items) == 1 and wanted != "directory"
        name = posixpath.basename(items[0].path)
        if single:
            (one,) = items
            items = [Item(path="", size=one.size, version=one.version, open=one.open, sha256=one.sha256)]
        label = f"file {name}" if single else "files of a dataset"
        return Source(label=label, name=name, is_directory=not single, items=tuple(items), read=tally.read())

    def _web(self, url: str, path: str) -> Item:
        settings, log = self.context.settings, self.context.log
        return web_item(url, path, self._scratch, limit=settings.web_bytes, told=log.note)

    @property
    def _scratch(self) -> Path:
        return self.context.folders.root / "copying"

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with data_failures("The source"):
                yield
        except ModuleNotFoundError as error:
            raise InvalidStep(
                f"Rows are written by the package {error.name!r}, which the service does not have. Install it there; "
                "pip install millstream[data] brings it."
            ) from error
        except OSError as error:
            raise node_failure(error, "The source could not be read") from error
