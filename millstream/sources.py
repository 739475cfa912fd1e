"""The source folder that a step ran from, brought back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from millstream.errors import InvalidRequest, TransferError
from orchestrator.core.names import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millstream.api import Api


class _Into:
    """A file as the sink of a request."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def rewind(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def write(self, data: bytes) -> None:
        self._file.write(data)


def restore(api: Api, snapshot: str, folder: str | os.PathLike[str] | None) -> str:
    """Download the zip of a snapshot into `folder`, or the current one. Returns its path. Raises UnknownThing."""
    view = api.snapshot(snapshot)
    target = Path(folder or ".") / f"{snapshot}.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            response = api.transport.request("GET", view.url, sink=_Into(file))
        if response.status >= 300:
            raise TransferError(f"{target.name} could not be downloaded: storage says {response.status}.")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return str(target)


def only_one(snapshots: Iterable[str | None]) -> str:
    """The snapshot that all steps of a run have. Raises InvalidRequest when there is none, or there are several."""
    found = sorted({snapshot for snapshot in snapshots if snapshot})
    if len(found) != 1:
        raise InvalidRequest(
            f"The steps of this run have {len(found)} source folders ({listed(found)}). Ask one of run.get_steps().",
            field="snapshot_id",
        )
    return found[0]
