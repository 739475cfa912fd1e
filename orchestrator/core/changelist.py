"""The list of changed blobs that a run is handed: a small document, named by its content.

A script finds it as a JSON file whose path is in the variable MILLSTREAM_CHANGES, and through
`Run.get_context().changed_blobs`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from orchestrator.core.datachange import common_folder

SCHEMA: Final = "millstream/changes/1"
VARIABLE: Final = "MILLSTREAM_CHANGES"
_SUM = re.compile("[0-9a-f]{64}")


class ChangedBlob(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A blob that was added or changed: its path in the datastore, bytes, and last modification in epoch seconds."""

    path: str
    etag: str
    size: int
    last_modified: float


class ChangeList(msgspec.Struct, frozen=True, kw_only=True):
    """`changes` by path, all below `folder`. A blob that changed twice stands twice; a step finds it as it is then."""

    schema: str = SCHEMA
    schedule: str
    datastore: str
    folder: str
    changes: tuple[ChangedBlob, ...]


def list_of(schedule: str, datastore: str, blobs: Iterable[ChangedBlob]) -> ChangeList:
    """The list of these changes."""
    changes = tuple(sorted(blobs))
    folder = common_folder([blob.path for blob in changes])
    return ChangeList(schedule=schedule, datastore=datastore, folder=folder, changes=changes)


def encode(found: ChangeList) -> bytes:
    return msgspec.json.encode(found)


decode = msgspec.json.Decoder(ChangeList).decode


def address(document: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(document).hexdigest()


def blob_of(address: str) -> str:
    """The name, in the system container, of the list with this address. Raises ValueError for what is no address."""
    if not _SUM.fullmatch(address):
        raise ValueError(f"{address!r} is not the address of a list of changes")
    return f"changes/{address}.json"
