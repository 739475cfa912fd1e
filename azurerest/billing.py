"""Under which price the services bill a request: one of a dozen classes, told from its verb and its query.

Azure prices Blob requests by what they do, and files likewise; to delete is free; tables and queues have one price for
everything, and a transaction of a table is one request. A request that is refused is billed like any other, once its
sender is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BLOB: Final = ("blob_write", "blob_read", "blob_list", "blob_delete", "blob_other")
TABLE: Final = ("table_write", "table_read")
QUEUE: Final = ("queue",)
FILE: Final = ("file_write", "file_read", "file_list", "file_delete", "file_other")
CLASSES: Final = (*BLOB, *TABLE, *QUEUE, *FILE)

_CONTENT: Final = frozenset(("", "block", "blocklist", "appendblock", "range"))
"""The values of `comp` with which a PUT writes content; with others it sets metadata, takes a lease, renames."""


def billed_as(service: str, verb: str, query: Sequence[tuple[str, str]]) -> str:
    """One of CLASSES."""
    if service == "queue":
        return "queue"
    if service == "table":
        return "table_read" if verb == "GET" else "table_write"
    return f"{service}_{_act(verb, dict(query))}"


def _act(verb: str, query: dict[str, str]) -> str:
    comp = query.get("comp", "")
    if verb == "DELETE":
        return "delete"
    if verb == "GET":
        return "list" if comp == "list" else "other" if comp else "read"
    if verb != "PUT" or comp not in _CONTENT:
        return "other"
    # To make a container is billed as to list one.
    return "list" if query.get("restype") == "container" else "write"
