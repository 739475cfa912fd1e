"""Files up and down by signed URLs: several at once, streamed, checked, and never half there."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from millstream.errors import TransferError
from millstream.transport import Response, Transport
from millstream.views import UploadTarget
from orchestrator.core.names import PATH

AT_ONCE = 8
THERE_ALREADY = (409, 412)


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
    """Send files, several at once. Returns how many were written. Raises TransferError, OSError."""

    def one(path: Path, target: UploadTarget) -> bool:
        with path.open("rb") as body:
            return send(transport, body, target, str(path))

    return sum(_together([partial(one, path, target) for path, target in files]))


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
            response = transport.request("GET", file.url, sink=sink)
            _check(response, f"{file.target.name} could not be downloaded")
            _verify(sink, file)
        part.replace(file.target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


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
