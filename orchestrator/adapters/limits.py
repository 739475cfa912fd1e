"""The limits of the storage service, checked before anything is sent, whatever the world.

Source: "Understanding the Table service data model" and "Azure Queue Storage limits" of the Azure Storage reference.
The emulators do not enforce all of them, so a program that relies on an answer learns the truth in production.
"""

from __future__ import annotations

from typing import Final

from orchestrator.core.errors import Broken
from orchestrator.ports import Commit, Delete, Props, Send, Value, Write

WRITES_A_COMMIT: Final = 100
PROPERTIES_A_ROW: Final = 252
BYTES_A_PROPERTY: Final = 64 * 1024
BYTES_A_ROW: Final = 1024 * 1024
BYTES_A_COMMIT: Final = 4 * 1024 * 1024
BYTES_A_KEY: Final = 1024
BYTES_A_MESSAGE: Final = 48 * 1024
SECONDS_OF_DELAY: Final = 7 * 24 * 3600.0

_FORBIDDEN = frozenset("/\\#?") | {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}
_OVERHEAD = 512  # MIME headers and JSON punctuation of one write inside a transaction's body


def check_commit(commit: Commit) -> None:
    """Raises Broken when the service would refuse the commit for its size or shape."""
    writes = commit.writes
    if not 1 <= len(writes) <= WRITES_A_COMMIT:
        raise Broken(f"a commit takes 1 to {WRITES_A_COMMIT} writes, not {len(writes)}")
    check_key(commit.pk)
    if len({write.rk for write in writes}) != len(writes):
        raise Broken("a commit may write each row once")
    total = sum(_check_write(commit.pk, write) for write in writes)
    if total > BYTES_A_COMMIT:
        raise Broken(f"a commit takes {BYTES_A_COMMIT} bytes, not {total}")


def check_send(send: Send) -> None:
    """Raises Broken when the service would refuse the message."""
    size = len(send.body.encode())
    if size > BYTES_A_MESSAGE:
        raise Broken(f"a message takes {BYTES_A_MESSAGE} bytes, not {size}")
    if not 0 <= send.delay <= SECONDS_OF_DELAY:
        raise Broken(f"a message can be delayed by {SECONDS_OF_DELAY:.0f} s at most, not {send.delay}")


def check_key(key: str) -> None:
    """Raises Broken when `key` cannot be a partition or row key."""
    if len(key) * 2 > BYTES_A_KEY or not _FORBIDDEN.isdisjoint(key):
        raise Broken(f"not a table key: {key[:80]!r}")


def _check_write(pk: str, write: Write) -> int:
    """Bytes that the write adds to the body of its commit."""
    check_key(write.rk)
    if isinstance(write, Delete):
        return _OVERHEAD
    size = _row_bytes(pk, write.rk, write.props)
    if size > BYTES_A_ROW:
        raise Broken(f"row {write.rk!r}: a row takes {BYTES_A_ROW} bytes, not {size}")
    return size + _OVERHEAD


def _row_bytes(pk: str, rk: str, props: Props) -> int:
    if len(props) > PROPERTIES_A_ROW:
        raise Broken(f"row {rk!r}: a row takes {PROPERTIES_A_ROW} properties, not {len(props)}")
    size = 4 + 2 * (len(pk) + len(rk))
    for name, value in props.items():
        own = _value_bytes(value)
        if own > BYTES_A_PROPERTY:
            raise Broken(f"row {rk!r}: property {name!r} takes {BYTES_A_PROPERTY} bytes, not {own}")
        size += 8 + 2 * len(name) + own
    return size


def _value_bytes(value: Value) -> int:
    if isinstance(value, str):
        return 2 * len(value) if value.isascii() else len(value.encode("utf-16-le", "surrogatepass"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Broken(f"{value} does not fit 64 bits")
    return 8
