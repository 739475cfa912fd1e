"""What is to be copied: the files of a source, each in a version of its own."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from orchestrator.core.fingerprint import digest_of
from orchestrator.core.job import InputData
from orchestrator.core.result import File, ReadData
from steps.brought import Tally
from steps.failures import InputMissing, InvalidStep, StorageFailed
from steps.store import BlobMissing, Listed, Origin, Refused, Store, StoreFailed

T = TypeVar("T")

MANY = 64
"""From so many files on, a listing is asked for rather than each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file. `path`: below the source, "" if the source is the file itself. `version`: 64 hex digits, equal for equal
    bytes as far as storage tells. `sha256`: of its bytes, where that is known.
    """

    path: str
    size: int
    version: str
    open: Callable[[], Origin]
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """`label`: for people. `name`: what a file is called that goes to a directory. `container`, `place`: where files
    of a container lie.
    """

    label: str
    name: str
    is_directory: bool
    items: tuple[Item, ...]
    read: ReadData
    container: str = ""
    place: str = ""

    @property
    def size(self) -> int:
        return sum(item.size for item in self.items)


def referenced(store: Store, container: str, data: InputData, wanted: str | None) -> Source:
    """A file, or all below a path, of a datastore. `wanted`: "file", "directory", or None: whichever there is.

    Raises InputMissing, InvalidStep, StorageFailed.
    """
    name = data.path.strip("/")
    label = f"{data.datastore}/{name}"
    can_be_file = bool(name) and not data.path.endswith("/")
    with_failures = partial(asked, label)
    file = with_failures(lambda: store.find(container, name)) if can_be_file else None
    below = with_failures(lambda: _below(store, container, name)) if wanted != "file" or file is None else []
    if file is not None and below and wanted is None:
        raise InvalidStep(
            f"{label} is a file, and a directory with {len(below):,} files as well. Say which one is meant: "
            "source_reference_type='file' or 'directory'."
        )
    if wanted == "file" and file is None and below:
        raise InvalidStep(
            f"{label} is a directory of {len(below):,} files, and source_reference_type says 'file'. Say 'directory', "
            f"or name one file, such as {below[0].name}."
        )
    if wanted == "directory" and file is not None and not below:
        raise InvalidStep(
            f"{label} is a file, and source_reference_type says 'directory'. Say 'file', or leave it out."
        )
    found = below if wanted == "directory" or file is None else [file]
    if not found:
        raise InputMissing(
            f"There is nothing to copy at {label}. Check the path, which is that in the datastore, without its "
            "container, and whether the step that writes it runs before this one."
        )
    is_directory = found is below
    tally = Tally()
    items = []
    for blob in found:
        tally.add(f"{data.datastore}/{blob.name}", blob.size, blob.etag)
        path = blob.name.removeprefix(f"{name}/" if name else "") if is_directory else ""
        items.append(stored(store, container, blob, path))
    return Source(
        label=f"{'directory' if is_directory else 'file'} {label}",
        name=posixpath.basename(name),
        is_directory=is_directory,
        items=tuple(items),
        read=tally.read(),
        container=container,
        place=name,
    )


def committed(store: Store, container: str, data: InputData) -> Source:
    """What an earlier step has committed. Raises InputMissing, StorageFailed."""
    files = data.files or ()
    label = f"{data.datastore}/{data.path}"
    there = asked(label, lambda: _named(store, container, data, files))
    tally = Tally()
    items = []
    for file in files:
        name = f"{data.path}/{file.path}" if file.path else data.path
        blob = there.get(name)
        if blob is None or blob.size != file.size:
            raise InputMissing(f"{data.datastore}/{name}, which an earlier step committed, is not there as it was.")
        tally.add(file.path, file.size, file.sha256 or file.version)
        item = stored(store, container, blob, file.path)
        version = digest_of([file.size, file.sha256]) if file.sha256 else item.version
        items.append(Item(path=file.path, size=file.size, version=version, open=item.open, sha256=file.sha256))
    return Source(
        label=f"{'file' if data.is_file else 'directory'} {label}",
        name=posixpath.basename(data.path),
        is_directory=not data.is_file,
        items=tuple(items),
        read=tally.read(),
        container=container,
        place=data.path,
    )


def stored(store: Store, container: str, blob: Listed, path: str) -> Item:
    """A blob as an item that is called `path`."""
    identity = [blob.size, blob.checksum] if blob.checksum else [container, blob.name, blob.size, blob.etag]
    return Item(
        path=path,
        size=blob.size,
        version=digest_of(identity),
        open=lambda: store.origin(container, blob),
    )


def _below(store: Store, container: str, name: str) -> list[Listed]:
    prefix = f"{name}/" if name else ""
    return [blob for blob in store.list(container, prefix) if not blob.name.endswith("/")]


def _named(store: Store, container: str, data: InputData, files: Iterable[File]) -> dict[str, Listed]:
    names = [f"{data.path}/{file.path}" if file.path else data.path for file in files]
    if len(names) > MANY:
        return {blob.name: blob for blob in store.list(container, f"{data.path}/")}
    found = (store.find(container, name) for name in names)
    return {blob.name: blob for blob in found if blob is not None}


def asked(label: str, ask: Callable[[], T]) -> T:
    """Raises InputMissing, StorageFailed."""
    try:
        return ask()
    except BlobMissing as error:
        raise InputMissing(f"The container of {label} is not there: {error}") from error
    except Refused as error:
        raise refused(f"{label} may not be read", error) from error
    except StoreFailed as error:
        raise StorageFailed(f"{label} could not be read: {error}") from error


def refused(what: str, error: Refused) -> StorageFailed:
    """A failure that another attempt would not mend."""
    failure = StorageFailed(
        f"{what}: {error} Register the datastore with a key, a SAS token or an identity that may do this."
    )
    failure.retryable = False
    return failure
