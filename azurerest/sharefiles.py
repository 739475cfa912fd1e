"""Whole files of a share, and all files below a directory."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Final, NamedTuple

from azurerest.errors import NotFound
from azurerest.files import Entry, Files

UPLOAD: Final = "millstream_upload"
"""Metadata: which write made the file. It stays with the file when that gets its name."""
_UNFINISHED = re.compile(r"\.millstream-[0-9a-f]{32}\.tmp")


class Draft(NamedTuple):
    """A file that is being written under a name of its own, beside the one that it is to have."""

    share: str
    name: str
    target: str
    id: str


def draft(share: str, target: str, id: str = "") -> Draft:
    """A name that nobody else has, for a file that is to become `target`; listings by `walk` leave it out.

    id: 32 hex digits, of a draft that was begun before.
    """
    folder, slash, _ = target.rpartition("/")
    made = id or secrets.token_hex(16)
    return Draft(share, f"{folder}{slash}.millstream-{made}.tmp", target, made)


def finish(files: Files, draft: Draft, *, replace: bool) -> None:
    """Give a draft, which was created with its id as UPLOAD, its name. May be repeated after a lost answer.

    Raises Conflict when there is such a file and it is not to be replaced.
    """
    try:
        files.rename(draft.share, draft.name, draft.target, replace=replace)
    except NotFound:
        # An earlier, unanswered renaming of ours: nobody else has this name.
        if files.head(draft.share, draft.target).metadata.get(UPLOAD) != draft.id:
            raise


def make_parents(files: Files, share: str, name: str) -> None:
    """The directories that a file of this name lies in. Raises Conflict where one of them is a file."""
    parts = name.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        files.create_directory(share, "/".join(parts[:count]))


def walk(files: Files, share: str, prefix: str, *, after: str = "", deep: bool = True) -> Iterator[Entry]:
    """All files whose names begin with `prefix` and come after `after`, in name order, lazily; their names are whole.

    One directory at a time is in memory. not deep: only those with no "/" after the prefix. Raises NotFound without the
    share; a directory that is not there has no files.
    """
    folder, slash, start = prefix.rpartition("/")
    yield from _walk(files, share, folder + slash, start, after, deep=deep)


def _walk(files: Files, share: str, folder: str, start: str, after: str, *, deep: bool) -> Iterator[Entry]:
    # A directory's files come where its name with a "/" comes: "a.txt" before "a/b".
    for name, entry in sorted((_key(folder, entry), entry) for entry in _entries(files, share, folder, start)):
        if entry.is_directory:
            if deep and (name > after or after.startswith(name)):
                yield from _walk(files, share, name, "", after, deep=True)
        elif name > after and not _UNFINISHED.fullmatch(entry.name):
            yield entry._replace(name=name)


def _key(folder: str, entry: Entry) -> str:
    return f"{folder}{entry.name}{'/' if entry.is_directory else ''}"


def _entries(files: Files, share: str, folder: str, start: str) -> Iterator[Entry]:
    marker: str | None = None
    while True:
        try:
            page = files.list(share, folder.rstrip("/"), prefix=start, marker=marker)
        except NotFound as fault:
            if fault.code == "ShareNotFound":
                raise
            return
        yield from (entry for entry in page.entries if entry.name.startswith(start))
        marker = page.marker
        if marker is None:
            return
