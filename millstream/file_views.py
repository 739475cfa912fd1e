"""What the service says of the files of datastores."""

from __future__ import annotations

from millstream.views import UploadTarget, View


class UploadView(View, frozen=True, kw_only=True):
    path: str
    exists: bool
    upload: UploadTarget | None = None


class UploadsView(View, frozen=True, kw_only=True):
    files: tuple[UploadView, ...]


class StoredFile(View, frozen=True, kw_only=True):
    """A file of a datastore; `url` reads it, for minutes. `last_modified` in epoch seconds."""

    path: str
    size: int
    url: str
    etag: str = ""
    last_modified: float | None = None


class LocatedList(View, frozen=True, kw_only=True):
    files: tuple[StoredFile | None, ...]


class FilePage(View, frozen=True, kw_only=True):
    files: tuple[StoredFile, ...]
    continuation: str | None = None
