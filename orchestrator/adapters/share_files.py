"""Files in an Azure file share: what `azure_files` does with a place that is one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeVar

from azurerest import Busy, Entry, Invalid, NotFound, StorageError, Unanswered, Unreachable
from azurerest.auth import SharedKey
from azurerest.blobtypes import META
from azurerest.sas import file_url
from azurerest.sharefiles import UPLOAD, draft, make_parents, walk
from orchestrator.adapters.containers import Share
from orchestrator.core.errors import Conflict, InvalidRequest, Unavailable
from orchestrator.files import FileItem, FilePage, Finish, ListFiles, Part, ReadPart, Signed, SignUpload

T = TypeVar("T")

CANNOT_SIGN = (
    "What this datastore is registered with cannot sign URLs, by which clients move files. Register it with an account "
    "key or an identity."
)


def sign_upload(place: Share, effect: SignUpload, expiry: datetime) -> Signed:
    """Where to create the file under a name of its own, put its ranges, and take it away if that is given up; and how
    it gets its name then. Its directories are made now.
    """
    made = _done(place, lambda: draft(place.name, effect.name, effect.draft))
    url = _url(place, made.name, "rcwd", expiry)
    target = _url(place, effect.name, "rcw", expiry)
    try:
        _done(place, lambda: make_parents(place.files, place.name, effect.name))
    except _Missing:
        raise Conflict(f"The account has no share {place.name!r}. Make it.", field="name") from None
    naming = {"x-ms-file-rename-source": url, "x-ms-file-rename-replace-if-exists": str(effect.replace).lower()}
    return Signed(
        url=url,
        headers=making(made.id),
        expires_at=expiry.timestamp(),
        finish=Finish(url=target, headers=naming),
    )


def making(id: str) -> dict[str, str]:
    """The headers with which a draft is created, beside its length."""
    return {"x-ms-type": "file", f"{META}{UPLOAD}": id}


def sign_download(place: Share, name: str, expiry: datetime) -> str:
    return _url(place, name, "r", expiry)


def listed(place: Share, effect: ListFiles) -> FilePage:
    """A marker is the name of the last file that was listed."""
    if not (effect.marker or effect.prefix).startswith(effect.prefix):
        raise InvalidRequest(
            "This continuation was not made by the service. Start the listing again without it.", field="continuation"
        )
    found = walk(place.files, place.name, effect.prefix, after=effect.marker or "", deep=effect.deep)
    try:
        entries = _done(place, lambda: list(islice(found, effect.limit + 1)))
    except _Missing:
        return FilePage(items=(), marker=None)
    items = tuple(_item(entry) for entry in entries[: effect.limit])
    marker = items[-1].name if len(entries) > effect.limit else None
    return FilePage(items=items, marker=marker, at=float(int(place.files.service.transport.server_now())))


def head(place: Share, name: str) -> FileItem | None:
    try:
        found = _done(place, lambda: place.files.head(place.name, name))
    except _Missing:
        return None
    modified = found.last_modified.timestamp()
    return FileItem(name=name, size=found.size, etag=found.etag, last_modified=modified, metadata=found.metadata)


def read(place: Share, effect: ReadPart) -> Part | None:
    end = effect.start + effect.limit
    try:
        data, found = _done(place, lambda: place.files.get(place.name, effect.name, start=effect.start, end=end))
    except _Missing:
        return None
    return Part(data=data, size=found.size, etag=found.etag)


def try_out(place: Share, *, create: bool) -> None:
    """Raises StorageError."""
    if create:
        place.files.create_share(place.name)
    place.files.list(place.name, max_results=1)


class _Missing(Exception):
    """There is no such file or share."""


def _url(place: Share, name: str, permissions: str, expiry: datetime) -> str:
    if not isinstance(place.credential, SharedKey):
        raise Conflict(CANNOT_SIGN, field="name")
    plain = place.files.service.endpoint.origin.scheme == "http"
    sign = partial(file_url, place.files, place.name, name, permissions=permissions, expiry=expiry)
    return _done(place, lambda: sign(protocol="https,http" if plain else "https"))


def _done(place: Share, call: Callable[[], T]) -> T:
    try:
        return call()
    except (Busy, Unreachable, Unanswered):
        raise Unavailable("Storage did not answer in time. Try again in a moment.") from None
    except Invalid as fault:
        raise InvalidRequest(f"The share cannot have this file: {fault.message}.", field="path") from fault
    except NotFound as fault:
        raise _Missing from fault
    except StorageError as fault:
        raise Conflict(
            f"The account {place.files.service.account.name!r} refuses what this datastore was registered with, or "
            f"another file is in the way: status {fault.status} {fault.code}. If it is the key or the token, register "
            "it again with overwrite=True.",
            field="name",
        ) from fault


def _item(entry: Entry) -> FileItem:
    assert entry.last_modified is not None
    return FileItem(name=entry.name, size=entry.size, etag=entry.etag, last_modified=entry.last_modified.timestamp())
