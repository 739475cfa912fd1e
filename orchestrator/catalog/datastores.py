"""The files of datastores. Data goes up and comes down by signed URLs, and not through the service.

`relay` is the service's own URL, for datastores whose credential cannot sign: see `orchestrator.files.SignUpload`.
`container` is an address: `orchestrator.catalog.registered_datastores.address` gives that of a datastore.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.core.errors import InvalidRequest, TooLarge
from orchestrator.core.names import DATA_PATH, PATH, shown
from orchestrator.files import FileItem, FilePage, FileSize, ListFiles, SignDownload, Signed, SignUpload
from orchestrator.pages import Page
from orchestrator.ports import Task

MOST_UPLOADS = 1000
MOST_LOCATED = 1000


class UploadFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that the client wants to write: its path in the datastore with `/`, its size in bytes.

    `draft`: 32 hex digits of the client's own making, the same for an upload that goes on. Shares need them.
    """

    path: str
    size: int
    draft: Annotated[str, Meta(pattern="^([0-9a-f]{32})?$")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where one file goes. `upload` None: it is there already and is not to be replaced."""

    path: str
    exists: bool
    upload: Signed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a datastore, and a URL to read it."""

    item: FileItem
    url: str


def prepare_uploads(
    container: str, files: Sequence[UploadFile], *, overwrite: bool, url_seconds: float, relay: str = ""
) -> Task[tuple[Slot, ...]]:
    """A place for each file, in the order given. Without `overwrite`, what is there stays, whoever writes meanwhile."""
    _check(files)
    there = frozenset[str]() if overwrite else (yield from _existing(container, [file.path for file in files]))
    slots: list[Slot] = []
    for file in files:
        upload = None
        if file.path not in there:
            upload = yield from SignUpload(
                container=container,
                name=file.path,
                seconds=url_seconds,
                replace=overwrite,
                relay=relay,
                draft=file.draft,
            )
        slots.append(Slot(path=file.path, exists=file.path in there, upload=upload))
    return tuple(slots)


def locate(
    container: str, paths: Sequence[str], *, url_seconds: float, relay: str = ""
) -> Task[tuple[StoredFile | None, ...]]:
    """For each path the file that is exactly there, or None: without a look at what else is there."""
    if len(paths) > MOST_LOCATED:
        raise TooLarge(f"Ask for at most {MOST_LOCATED:,} files at a time.", field="paths")
    for index, path in enumerate(paths):
        PATH.check(path, f"paths[{index}]")
    page: FilePage = yield from ListFiles(container=container, prefix=_common_start(paths)) if paths else _nothing()
    known = {item.name: item for item in page.items}
    found: list[StoredFile | None] = []
    for path in paths:
        item = known.get(path)
        if item is None and page.marker is not None:
            item = yield from _exactly(container, path)
        if item is None:
            found.append(None)
            continue
        url = yield from SignDownload(container=container, name=path, seconds=url_seconds, relay=relay)
        found.append(StoredFile(item=item, url=url))
    return tuple(found)


def _nothing() -> Task[FilePage]:
    yield from ()
    return FilePage(items=(), marker=None)


def _exactly(container: str, path: str) -> Task[FileItem | None]:
    # Of all names that begin with the path, the path itself is the first.
    page: FilePage = yield from ListFiles(container=container, prefix=path, limit=1)
    return next((item for item in page.items if item.name == path), None)


def listing(
    container: str, *, prefix: str, limit: int, continuation: str | None, url_seconds: float, relay: str = ""
) -> Task[Page[StoredFile]]:
    """Files whose paths begin with `prefix`, by name, each with a URL to read it."""
    DATA_PATH.check(prefix.removesuffix("/"), "prefix")
    marker = None if continuation is None else _marker(continuation)
    page: FilePage = yield from ListFiles(container=container, prefix=prefix, limit=limit, marker=marker)
    files: list[StoredFile] = []
    for item in page.items:
        url = yield from SignDownload(container=container, name=item.name, seconds=url_seconds, relay=relay)
        files.append(StoredFile(item=item, url=url))
    return Page(tuple(files), None if page.marker is None else _continuation(page.marker))


def _continuation(marker: str) -> str:
    """A marker of storage, which may be any text, as one that can stand in a URL."""
    return base64.urlsafe_b64encode(marker.encode()).decode().rstrip("=")


def _marker(continuation: str) -> str:
    """Raises InvalidRequest for what `_continuation` has not made."""
    try:
        marker = base64.b64decode(continuation + "=" * (-len(continuation) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        marker = ""
    if not marker.isprintable() or _continuation(marker) != continuation:
        raise InvalidRequest(
            "This continuation was not made by the service. Start the list again without it.", field="continuation"
        )
    return marker


def _check(files: Sequence[UploadFile]) -> None:
    if len(files) > MOST_UPLOADS:
        raise TooLarge(f"Ask for at most {MOST_UPLOADS:,} files at a time.", field="files")
    seen: set[str] = set()
    for index, file in enumerate(files):
        PATH.check(file.path, f"files[{index}].path")
        if file.size < 0:
            raise InvalidRequest("A file has 0 bytes or more.", field=f"files[{index}].size")
        if file.path in seen:
            raise InvalidRequest(f"The path {shown(file.path)} is given twice.", field=f"files[{index}].path")
        seen.add(file.path)


def _common_start(paths: Sequence[str]) -> str:
    """The longest text with which all of `paths` begin; blob prefixes need not end at a folder."""
    low, high = min(paths, default=""), max(paths, default="")
    length = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]


def _existing(container: str, paths: Sequence[str]) -> Task[frozenset[str]]:
    """Those of `paths` that are there: from one listing of what they have in common, if that is short enough."""
    page: FilePage = yield from ListFiles(container=container, prefix=_common_start(paths))
    if page.marker is None:
        return frozenset(item.name for item in page.items)
    found: set[str] = set()
    for path in paths:
        if (yield from FileSize(container=container, name=path)) is not None:
            found.add(path)
    return frozenset(found)
