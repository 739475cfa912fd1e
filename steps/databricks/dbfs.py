"""The source folder of a step on DBFS: put there once, under the name of its content."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from steps.failures import ServiceFailed
from steps.remote.http import Api, Refused

ROOT: Final = "millstream/snapshots"
BLOCK: Final = 512 * 1024
"""A block is at most 1 MB, encoded."""
_TRIES: Final = 3


def folder_of(snapshot: str) -> str:
    """Below /dbfs on a cluster: v1's AZUREML_SCRIPT_DIRECTORY_NAME."""
    return f"{ROOT}/{snapshot}"


def put_folder(api: Api, snapshot: str, folder: Path) -> None:
    """The files of the folder, unless they are there. Repeated it writes the same. Raises Refused, ServiceFailed."""
    complete = f"/{folder_of(snapshot)}.complete"
    if _is_there(api, complete):
        return
    for file in _files(folder):
        _put(api, f"/{folder_of(snapshot)}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    _put(api, complete, b"")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _is_there(api: Api, path: str) -> bool:
    try:
        api.get("/api/2.0/dbfs/get-status", path=path)
    except Refused as error:
        if error.status == 404:
            return False
        raise
    return True


def _put(api: Api, path: str, data: bytes) -> None:
    if len(data) <= BLOCK:
        body = {"path": path, "contents": _encoded(data), "overwrite": True}
        api.post("/api/2.0/dbfs/put", body)
        return
    for _ in range(_TRIES):
        _put_blocks(api, path, data)
        # A block whose answer was lost, and which was sent again, may be there twice.
        if api.get("/api/2.0/dbfs/get-status", path=path).get("file_size") == len(data):
            return
    raise ServiceFailed(f"The file {path} of DBFS did not become what it should, in {_TRIES} tries.")


def _put_blocks(api: Api, path: str, data: bytes) -> None:
    handle = api.post("/api/2.0/dbfs/create", {"path": path, "overwrite": True})["handle"]
    for at in range(0, len(data), BLOCK):
        api.post("/api/2.0/dbfs/add-block", {"handle": handle, "data": _encoded(data[at : at + BLOCK])})
    api.post("/api/2.0/dbfs/close", {"handle": handle})


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
