"""The files that the sources of a document mean, in an order that is always the same."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import BinaryIO

from orchestrator.core.dataset import DatasetDocument, DatastoreFiles, SqlQuery, WebFile
from orchestrator.core.patterns import fits, is_pattern, literal, prefix
from orchestrator.datasets.access import Access, Blob
from orchestrator.datasets.archives import Archives
from orchestrator.datasets.errors import FileMissing, NotSupported
from orchestrator.datasets.partitions import PartitionValue, values
from orchestrator.datasets.web import path_of

ASKED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A file of a dataset. `path` is its place in the dataset, without a / at its beginning.

    It lies in `blob`, or is the `entry` of the archive that lies there, or is written by `make`.
    """

    path: str
    size: int | None = None
    modified: float | None = None
    columns: Mapping[str, PartitionValue] = field(default_factory=dict)
    blob: Blob | None = None
    entry: str | None = None
    make: Callable[[BinaryIO], None] | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A stored file. `base` is the folder that its path in the dataset does not show, with a / at its end, or ""."""

    blob: Blob
    base: str


def leaves(document: DatasetDocument, access: Access, archives: Archives) -> Iterator[Leaf]:
    """Every file of the sources, lazily, each once, before any operation.

    Raises FileMissing for a path without a pattern that leads to nothing.
    """
    shown = _showing(document)
    seen: set[tuple[str | None, str]] = set()
    for found in _resolved(document, access):
        known = (found.blob.datastore, found.blob.path)
        if known not in seen:
            seen.add(known)
            yield from _leaves(document, found.blob, shown(found), archives)


def _leaves(document: DatasetDocument, blob: Blob, path: str, archives: Archives) -> Iterator[Leaf]:
    place = path_of(blob.path) if blob.datastore is None else blob.path
    if document.archive is None:
        columns = _columns(document, place)
        yield Leaf(path=path, size=blob.size, modified=blob.modified, columns=columns, blob=blob)
        return
    for info in archives.entries(blob, document.archive.entry_glob):
        name = info.filename
        yield Leaf(
            path=f"{path}/{name}",
            size=info.file_size,
            modified=_moment(info),
            columns=_columns(document, f"{place}/{name}"),
            blob=blob,
            entry=name,
        )


def _columns(document: DatasetDocument, place: str) -> Mapping[str, PartitionValue]:
    return {} if document.partition_format is None else values(document.partition_format, place)


def _moment(info: zipfile.ZipInfo) -> float | None:
    try:
        return datetime(*info.date_time, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _showing(document: DatasetDocument) -> Callable[[_Found], str]:
    """How the place of a file becomes its path in the dataset: what all sources have in common is left out."""
    origins = {None if isinstance(source, WebFile) else source.datastore for source in document.sources}
    if len(document.sources) == 1:
        return _alone
    folders = [_folder(source.path) for source in document.sources if isinstance(source, DatastoreFiles)]
    common = _common(folders) if len(origins) == 1 else ""

    def show(found: _Found) -> str:
        if found.blob.datastore is None:
            return path_of(found.blob.path)
        inner = found.blob.path.removeprefix(f"{common}/") if common else found.blob.path
        return inner if len(origins) == 1 else f"{found.blob.datastore}/{inner}"

    return show


def _alone(found: _Found) -> str:
    if found.blob.datastore is None:
        return path_of(found.blob.path).rpartition("/")[2]
    return found.blob.path.removeprefix(found.base)


def _folder(path: str) -> str:
    """The folder below which all files of a source among several are shown."""
    return literal(path) if is_pattern(path) else path.rpartition("/")[0]


def _common(folders: Sequence[str]) -> str:
    return posixpath.commonpath(folders) if folders and all(folders) else ""


def _resolved(document: DatasetDocument, access: Access) -> Iterator[_Found]:
    for kind, sources in groupby(document.sources, _kind):
        if kind is None:
            yield from (_Found(Blob(datastore=None, path=source.url), "") for source in _web(sources))
        else:
            yield from _in_datastore(kind, (source.path for source in _files(sources)), access)


def _kind(source: object) -> str | None:
    if isinstance(source, SqlQuery):
        raise NotSupported("The rows of a SQL query are no files.", field="sources")
    return source.datastore if isinstance(source, DatastoreFiles) else None


def _web(sources: Iterable[object]) -> Iterator[WebFile]:
    return (source for source in sources if isinstance(source, WebFile))


def _files(sources: Iterable[object]) -> Iterator[DatastoreFiles]:
    return (source for source in sources if isinstance(source, DatastoreFiles))


def _in_datastore(datastore: str, paths: Iterator[str], access: Access) -> Iterator[_Found]:
    """Paths without a pattern are asked for many at a time."""
    while chunk := list(islice(paths, ASKED_AT_ONCE)):
        plain = [path for path in chunk if path and not is_pattern(path)]
        exact = dict(zip(plain, access.find(datastore, plain) if plain else (), strict=True))
        for path in chunk:
            blob = exact.get(path)
            if blob is not None:
                folder = path.rpartition("/")[0]
                yield _Found(blob, f"{folder}/" if folder else "")
            elif is_pattern(path):
                yield from _matching(datastore, path, access)
            else:
                yield from _below(datastore, path, access)


def _matching(datastore: str, pattern: str, access: Access) -> Iterator[_Found]:
    folder = literal(pattern)
    for blob in access.list(datastore, prefix(pattern)):
        if fits(pattern, blob.path):
            yield _Found(blob, f"{folder}/" if folder else "")


def _below(datastore: str, folder: str, access: Access) -> Iterator[_Found]:
    base, empty = f"{folder}/" if folder else "", True
    for blob in access.list(datastore, base):
        if not blob.path.endswith("/"):
            empty = False
            yield _Found(blob, base)
    if empty and folder:
        raise FileMissing(f"There is nothing at {folder!r} in the datastore {datastore!r}.", field="path")
