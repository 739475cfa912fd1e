"""Mini-batches and groups, as the expansion of a step writes them and its child steps read them."""

from __future__ import annotations

import msgspec


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Item(_Value, frozen=True, kw_only=True):
    """A file of a mini-batch. `path`: its place in the input; it lies at `blob` of the datastore, or, with no
    datastore, at that URL; of an archive it is the `entry`. `sha256` in hex, where it is known.
    """

    path: str
    blob: str
    datastore: str | None = None
    entry: str | None = None
    size: int | None = None
    sha256: str = ""


class MiniBatch(_Value, frozen=True, kw_only=True):
    """`index` counts from 0 through the whole step; `items`: how many files or rows it has.

    `files`, or the number of a row group in the rows of its group. `key`: of partition keys their values, moments in
    ISO 8601 with `moments` naming them.
    """

    index: int
    items: int
    files: tuple[Item, ...] = ()
    row_group: int | None = None
    key: dict[str, str] = {}
    moments: tuple[str, ...] = ()


class Group(_Value, frozen=True, kw_only=True):
    """What one child step does. `rows`: the blob, in the system container, of a Parquet file with its rows."""

    number: int
    port: str
    batches: tuple[MiniBatch, ...]
    rows: str = ""


def encode(group: Group) -> bytes:
    return msgspec.json.encode(group)


decode = msgspec.json.Decoder(Group).decode
"""Raises msgspec.MsgspecError."""
