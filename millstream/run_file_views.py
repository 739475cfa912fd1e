"""What the service says of files that are given to runs from outside."""

from __future__ import annotations

from millstream.views import RemoteFile, UploadTarget, View


class RunFiles(View, frozen=True, kw_only=True):
    files: tuple[RemoteFile, ...]


class RunFileTarget(View, frozen=True, kw_only=True):
    path: str
    upload: UploadTarget


class RunFileTargets(View, frozen=True, kw_only=True):
    files: tuple[RunFileTarget, ...]
