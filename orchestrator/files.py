"""Files at rest, as effects: listing them, reading parts of them, and URLs by which a client moves them itself.

The engine keeps its small documents by effects of `orchestrator.ports`. Here are the large things: sources, data, logs,
outputs. Their bytes do not pass through the service; it hands out URLs that are good for one blob and minutes.

`container` is an address: see `orchestrator.core.datastore`.

Rules every world keeps: a container that is not there is an empty one; reads are retried, then raise Unavailable. A
registered datastore that refuses the service, or is not there any more, raises Conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from orchestrator.core.datastore import Datastore
from orchestrator.core.secret import Secret
from orchestrator.ports import Effect

SYSTEM = "millstream"
"""The container of sources, logs, artifacts and documents. Datastores have containers of their own."""


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """How a file gets the name that it is to have, when it is whole: PUT with comp=rename to `url` with `headers`."""

    url: str
    headers: Mapping[str, str]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the client may make: PUT its bytes to `url` with `headers` before `expires_at`, epoch seconds.

    `finish`: what is left to do then; None: nothing.
    """

    url: str
    headers: Mapping[str, str]
    expires_at: float
    finish: Finish | None = None


class FileItem(msgspec.Struct, frozen=True, kw_only=True):
    """A blob. `size` in bytes; `last_modified` in epoch seconds, whole ones, by the server's clock.

    `metadata` is what its writer noted on it, names in lower case; a listing leaves it empty.
    """

    name: str
    size: int
    etag: str
    last_modified: float
    metadata: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePage:
    """Blobs in name order. `marker` asks for what follows; None: that was all.

    `at`: the server's clock when it answered, epoch seconds, whole ones; 0 if there is no such container.
    """

    items: tuple[FileItem, ...]
    marker: str | None
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some bytes of a blob, and the size of the whole and its version as they were when they were read."""

    data: bytes
    size: int
    etag: str = field(default="", compare=False)


class SignUpload(Effect[Signed], msgspec.Struct, frozen=True, kw_only=True):
    """A URL to write the blob. Without `replace` the headers to be sent keep what exists: storage answers 409 then.

    `relay`: the service's own URL, for a datastore whose credential cannot sign: the bytes go through the service then,
    by a ticket (`orchestrator.core.relay`). Raises Conflict where neither is possible. `readable`: the URL reads, too.
    `draft`: 32 hex digits, by which a file that is not whole yet is known, where such files have names of their own:
    with the same ones an upload goes on.
    """

    container: str
    name: str
    seconds: float
    replace: bool = False
    relay: str = ""
    readable: bool = False
    draft: str = ""


class SignDownload(Effect[str], msgspec.Struct, frozen=True, kw_only=True):
    """A URL to read the blob. Nothing is asked of storage, not even whether it exists.

    `relay`, and what is raised: as with SignUpload.
    """

    container: str
    name: str
    seconds: float
    relay: str = ""


class ListFiles(Effect[FilePage], msgspec.Struct, frozen=True, kw_only=True):
    """The blobs whose names begin with `prefix`, at most `limit` (1 to 5,000), from `marker` on.

    Not `deep`: only those with no further "/" in their names. A page may then be short, even empty, and not the last.
    Raises InvalidRequest (field "continuation") for a marker that the service did not make.
    """

    container: str
    prefix: str
    limit: int = 5000
    marker: str | None = None
    deep: bool = True


class DeleteFiles(Effect[None], msgspec.Struct, frozen=True, kw_only=True):
    """Delete the blobs of the system container whose names begin with `prefix`. Those that come meanwhile may stay.

    Safe to repeat. Raises Unavailable.
    """

    prefix: str


class FileHead(Effect[FileItem | None], msgspec.Struct, frozen=True, kw_only=True):
    """The blob as it is now, with its metadata, or None."""

    container: str
    name: str


class FileSize(Effect[int | None], msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of the blob, or None if there is none."""

    container: str
    name: str


class ReadPart(Effect[Part | None], msgspec.Struct, frozen=True, kw_only=True):
    """At most `limit` bytes from `start`; none beyond the end. None if there is no such blob."""

    container: str
    name: str
    start: int
    limit: int


class Forwarded(msgspec.Struct, frozen=True, kw_only=True):
    """What storage said: 2xx, or another status with its code and message."""

    status: int
    code: str = ""
    message: str = ""


class Forward(Effect[Forwarded], msgspec.Struct, frozen=True, kw_only=True):
    """A request of a client for one file, passed on to storage with the datastore's own credential.

    `draft`: the file of a share that is to get the name, instead of all else; `replace`: also where there is one.
    Who asks for it decides what may be asked. Raises Unavailable.
    """

    container: str
    name: str
    method: Literal["PUT", "DELETE"]
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = {}
    body: bytes = b""
    draft: str = ""
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TryContainer(Effect[None]):
    """Whether the container of a datastore, not registered yet, can be reached with this secret; `create` makes it.

    Raises InvalidRequest naming what does not fit, Unavailable.
    """

    datastore: Datastore
    secret: Secret = field(repr=False)
    create: bool = False
