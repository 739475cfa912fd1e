"""Inputs that are datasets: as files in a folder, or as a document with the files behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from orchestrator.core import dataset as ds
from orchestrator.core.definition import Input
from orchestrator.core.job import InputData
from orchestrator.core.patterns import is_pattern
from orchestrator.datasets.access import Access, Blob
from orchestrator.datasets.archives import Archives
from orchestrator.datasets.files import Reading, bring, files
from orchestrator.datasets.leaves import Leaf, leaves
from orchestrator.datasets.local import LocalAccess
from orchestrator.datasets.web import path_of
from steps.brought import Brought, DatasetOnDisk, Tally
from steps.data_failures import data_failures
from steps.dataset_access import StoreAccess
from steps.failures import InputMissing, InputUnusable, InvalidStep, node_failure
from steps.paths import UnsafeName, below
from steps.query_inputs import Queried, queried, query_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetBringer:
    """`place`: the folder of the input; `chosen`: where its script wants it, if it says so."""

    port: Input
    access: StoreAccess
    place: Path
    chosen: Path | None

    def saved(self, data: InputData) -> Brought:
        """A saved dataset. Raises StepFailure, Stopped."""
        if data.dataset is None:
            raise InputMissing(f"Input {self.port.name!r}: there is no dataset with the id {data.dataset_id!r}.")
        document = data.dataset
        if self.port.mode != "direct" and document.type == "tabular":
            # v1 refuses this, or leaves the script without a path. A folder with a CSV file is what is meant.
            document = document.then(ds.AsFiles(format="csv"))
        with self._failing():
            if (query := query_of(document)) is not None:
                return self._queried(data.dataset_id, queried(document, query, self.access, self.place / "queried"))
            if self.port.mode == "direct":
                return self._direct(data.dataset_id, document)
            return self._folder(document, frozenset(data.only), one=data.is_file)

    def _queried(self, id_: str, rows: Queried) -> Brought:
        """The rows of a query, which are on this node."""
        roots = {rows.datastore: rows.root}
        if self.port.mode == "direct":
            known = DatasetOnDisk(id=id_, document=rows.document, roots=roots, web={})
            return Brought(value=id_, read=rows.tally.read(), as_dataset=True, dataset=known)
        target = self.chosen or self.place / "files"
        with Reading(LocalAccess(roots)) as reading:
            bring(files(rows.document, reading), target, reading)
        return Brought(value=target, read=rows.tally.read(), as_dataset=True)

    def viewed(self, data: InputData, brought: Brought) -> Brought:
        """An upstream output, whose files are at `brought.value`, as a dataset. Raises StepFailure."""
        assert data.view is not None
        assert isinstance(brought.value, Path)
        if not is_evaluated(self.port, data):
            return Brought(value=brought.value, read=brought.read, as_dataset=True, note=brought.note)
        document = data.view.of(data.datastore, data.path, is_file=data.is_file)
        root = _root(brought.value, data.path, is_file=data.is_file)
        if self.port.mode == "direct":
            known = DatasetOnDisk(id=ds.address(document), document=document, roots={data.datastore: root}, web={})
            return Brought(value=known.id, read=brought.read, as_dataset=True, dataset=known)
        target = self.chosen or self.place / "files"
        with self._failing(), Reading(LocalAccess({data.datastore: root})) as reading:
            bring(files(document, reading), target, reading)
        return Brought(value=target, read=brought.read, as_dataset=True)

    def _folder(self, document: ds.DatasetDocument, only: frozenset[str], *, one: bool) -> Brought:
        target = self.chosen or self.place
        with Reading(self.access) as reading:
            found = [leaf for leaf in files(document, reading) if not only or leaf.path in only]
            made = any(isinstance(operation, ds.AsFiles) for operation in document.operations)
            tally = _tally(blobs_of(document, self.access) if made else (leaf.blob for leaf in found))
            if (one and len(found) == 1) or _is_one_file(document, found):
                (path,) = bring(found, target.parent if self.chosen else target, reading)
                if self.chosen:
                    path = path.replace(self.chosen)
                return Brought(value=path, read=tally.read(), as_dataset=True)
            bring(found, target, reading)
        note = None if found else f"Input {self.port.name!r}: the dataset is empty, and so is its folder."
        return Brought(value=target, read=tally.read(), as_dataset=True, note=note)

    def _direct(self, id_: str, document: ds.DatasetDocument) -> Brought:
        blobs = list(blobs_of(document, self.access))
        wishes = [(blob, self._place_of(number, blob)) for number, blob in enumerate(blobs)]
        self.access.bring(wishes)
        roots = {store: self.place / store for store in ds.datastores_of(document)}
        for root in roots.values():
            root.mkdir(parents=True, exist_ok=True)
        web = {blob.path: place for blob, place in wishes if blob.datastore is None}
        known = DatasetOnDisk(id=id_, document=document, roots=roots, web=web)
        return Brought(value=id_, read=_tally(blobs).read(), as_dataset=True, dataset=known)

    def _place_of(self, number: int, blob: Blob) -> Path:
        if blob.datastore is None:
            return self.place / f".web-{number}" / path_of(blob.path).rpartition("/")[2]
        try:
            return below(self.place / blob.datastore, blob.path)
        except UnsafeName as error:
            raise InputUnusable(f"A blob of the input cannot become a file: {error}") from error

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What is wrong with the dataset becomes a failure of the step that says which input it is."""
        what = f"Input {self.port.name!r}"
        try:
            with data_failures(what):
                yield
        except ModuleNotFoundError as error:
            raise InvalidStep(
                f"{what}: a table is written to files by the package {error.name!r}, which the service does not have. "
                'Take the dataset in the mode "direct".'
            ) from error
        except OSError as error:
            raise node_failure(error, f"{what} could not be laid out") from error
        finally:
            self.access.forget()


def is_evaluated(port: Input, data: InputData) -> bool:
    """Whether an upstream output is more than its files: then they are laid out as in their datastore."""
    view = data.view
    return view is not None and (port.mode == "direct" or bool(view.pattern or view.operations))


def blobs_of(document: ds.DatasetDocument, access: Access) -> Iterator[Blob]:
    """All that the document may need, archives as they are."""
    whole = msgspec.structs.replace(document, archive=None, partition_format=None)
    yield from (leaf.blob for leaf in leaves(whole, access, Archives(access)) if leaf.blob is not None)


def _is_one_file(document: ds.DatasetDocument, found: Sequence[Leaf]) -> bool:
    """Whether the dataset names one file by its own path: then the script gets the path of that file, not a folder."""
    if len(document.sources) != 1 or len(found) != 1 or document.archive or document.operations:
        return False
    (source,), (leaf,) = document.sources, found
    if isinstance(source, ds.WebFile):
        return True
    if not isinstance(source, ds.DatastoreFiles) or is_pattern(source.path):
        return False
    return leaf.blob is not None and leaf.blob.path == source.path


def _tally(blobs: Iterable[Blob | None]) -> Tally:
    tally = Tally()
    for blob in dict.fromkeys(blobs):
        if blob is not None:
            tally.add(f"{blob.datastore}/{blob.path}", blob.size, blob.etag)
    return tally


def _root(place: Path, path: str, *, is_file: bool) -> Path:
    """The folder that stands for the datastore when `path` of it lies at `place`."""
    inner = path.rpartition("/")[0] if is_file else path
    folder = place.parent if is_file else place
    for part in reversed(inner.split("/")):
        if folder.name != part:
            raise InvalidStep(f"{place} does not end like {path!r}.")
        folder = folder.parent
    return folder
