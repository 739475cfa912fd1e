"""Files up and down by signed URLs: several at once, streamed, checked, and never half there."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from millstream.errors import TransferError
from millstream.transport import Response, Transport
from millstream.views import UploadTarget
from orchestrator.core.names import PATH

AT_ONCE = 8
LARGE = 64 * 1024 * 1024
"""Bytes from which on a file travels in blocks, AT_ONCE of them at a time; one that fails is sent or fetched alone."""
BLOCK = 8 * 1024 * 1024
MOST_BLOCKS = 50_000
THERE_ALREADY = (409, 412)
CHANGED = 412


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One file to bring. `sha256` None: only the size is known."""

    url: str
    size: int
    sha256: str | None
    target: Path


def send(transport: Transport, body: IO[bytes], target: UploadTarget, name: str) -> bool:
    """Send one file. False if there was one already and it was not to be replaced. Raises TransferError."""
    response = transport.request(target.method, target.url, headers=target.headers, body=body)
    if response.status in THERE_ALREADY:
        return False
    _check(response, f"{name} could not be uploaded")
    return True


def send_all(transport: Transport, files: Iterable[tuple[Path, UploadTarget]]) -> int:
    """Send files, several at once; large ones one after another, in blocks. Returns how many were written.

    Raises TransferError, OSError.
    """

    def one(path: Path, target: UploadTarget) -> bool:
        with path.open("rb") as body:
            return send(transport, body, target, str(path))

    given = [(path, target, path.stat().st_size) for path, target in files]
    small: int = sum(_together([partial(one, path, target) for path, target, size in given if size < LARGE]))
    return small + sum(_send_blocks(transport, *item) for item in given if item[2] >= LARGE)


def _send_blocks(transport: Transport, path: Path, target: UploadTarget, size: int) -> bool:
    """As `send`. The blob appears with the list of its blocks, which is sent last."""
    block_size = max(BLOCK, -(-size // MOST_BLOCKS))
    ids = [base64.b64encode(b"%06d" % number).decode() for number in range(-(-size // block_size))]

    def block(number: int) -> None:
        with path.open("rb") as source:
            source.seek(number * block_size)
            data = source.read(block_size)
        url = f"{target.url}&comp=block&blockid={quote(ids[number], safe='')}"
        _check(transport.request("PUT", url, body=data), f"{path} could not be uploaded")

    _together([partial(block, number) for number in range(len(ids))])
    listed = "".join(f"<Latest>{name}</Latest>" for name in ids)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
    headers = {name: value for name, value in target.headers.items() if name.lower() != "x-ms-blob-type"}
    response = transport.request("PUT", f"{target.url}&comp=blocklist", headers=headers, body=body)
    if response.status in THERE_ALREADY:
        return False
    _check(response, f"{path} could not be uploaded")
    return True


def fetch_all(transport: Transport, files: Iterable[Fetch]) -> int:
    """Bring files, several at once; each appears whole or not at all. Returns how many. Raises TransferError."""
    return len(_together([partial(fetch, transport, file) for file in files]))


def fetch(transport: Transport, file: Fetch) -> None:
    """Bring one file, replacing what is there. Raises TransferError."""
    file.target.parent.mkdir(parents=True, exist_ok=True)
    part = file.target.with_name(f".millstream-{secrets.token_hex(8)}")
    try:
        with part.open("xb") as raw:
            sink = _Hashing(raw)
            if file.size >= LARGE:
                _fetch_blocks(transport, file, sink)
            else:
                response = transport.request("GET", file.url, sink=sink)
                _check(response, f"{file.target.name} could not be downloaded")
            _verify(sink, file)
        part.replace(file.target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _fetch_blocks(transport: Transport, file: Fetch, sink: _Hashing) -> None:
    """All blocks of one version of the blob, as many at once as files are otherwise."""
    what = f"{file.target.name} could not be downloaded"
    etag: dict[str, str] = {}

    def block(start: int) -> bytes:
        end = min(start + BLOCK, file.size) - 1
        response = transport.request("GET", file.url, headers={"Range": f"bytes={start}-{end}", **etag})
        if response.status == CHANGED:
            raise TransferError(f"{what}: it was replaced meanwhile. Download it again.")
        _check(response, what)
        etag["If-Match"] = response.headers["etag"]
        return response.body

    sink.write(block(0))
    for start in range(BLOCK, file.size, BLOCK * AT_ONCE):
        starts = range(start, min(start + BLOCK * AT_ONCE, file.size), BLOCK)
        for data in _together([partial(block, at) for at in starts]):
            sink.write(data)


def below(folder: Path, path: str) -> Path:
    """Where a file of the service goes below `folder`. Raises InvalidRequest for a path that would leave it."""
    return folder / PATH.check(path, "path")


class _Hashing:
    """A file that sums what is written to it; rewinding begins anew."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self.size = 0

    def rewind(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._sum.update(data)
        self.size += len(data)
        self._file.write(data)

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()


def _verify(sink: _Hashing, file: Fetch) -> None:
    if sink.size != file.size or (file.sha256 is not None and sink.sha256 != file.sha256):
        raise TransferError(
            f"{file.target.name} did not arrive as it was stored: {sink.size:,} of {file.size:,} bytes, or other ones. "
            "Download it again."
        )


def _check(response: Response, what: str) -> None:
    if response.status < 300:
        return
    reason = "the signed URL has expired; ask again" if response.status == 403 else f"storage says {response.status}"
    raise TransferError(f"{what}: {reason}.")


def _together(jobs: list[Callable[[], Any]]) -> list[Any]:
    """Do all, several at once. The first error stops those that have not begun, and is raised."""
    if len(jobs) == 1:
        return [jobs[0]()]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, max(len(jobs), 1))) as pool:
        futures = [pool.submit(job) for job in jobs]
        wait(futures, return_when=FIRST_EXCEPTION)
        pool.shutdown(wait=True, cancel_futures=True)
        failed = next((f for f in futures if not f.cancelled() and f.exception() is not None), None)
        return [f.result() for f in ([failed] if failed else futures)]
