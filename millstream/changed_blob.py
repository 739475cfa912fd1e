"""A blob whose change has started a run: what `Run.get_context().changed_blobs` lists."""

from __future__ import annotations

import json
from typing import NamedTuple


class ChangedBlob(NamedTuple):
    """`path` in the datastore; `name` is the same, below the folder that all changes of the run have in common.

    `size` in bytes, `last_modified` in epoch seconds; `etag` names the version that was noticed.
    """

    datastore: str
    path: str
    name: str
    etag: str
    size: int
    last_modified: float


def read(path: str) -> list[ChangedBlob]:
    """The blobs of the list that lies at `path`, by their paths."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as in script_run
        document = json.load(file)
    folder = document["folder"]
    return [
        ChangedBlob(
            datastore=document["datastore"],
            path=change["path"],
            name=change["path"][len(folder) :].lstrip("/"),
            etag=change["etag"],
            size=change["size"],
            last_modified=change["last_modified"],
        )
        for change in document["changes"]
    ]
