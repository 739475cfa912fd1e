"""Files up and down by signed URLs: several at once, streamed, checked, and never half there."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO
from urllib.parse import quote, urlsplit

import msgspec

from millstream.errors import TransferError, Unavailable
from millstream.part import Part
from millstream.progress import Progress
from millstream.share_upload import Draft, range_name
from millstream.staged import Staged, block_id
from millstream.together import AT_ONCE, in_order
from millstream.transport import Response, Sink, Transport
from millstream.views import UploadTarget
from orchestrator.core.names import PATH

LARGE = 64 * 1024 * 1024
"""Bytes from which on a file travels in blocks, AT_ONCE of them at a time; one that fails is sent or fetched alone."""
BLOCK = 8 * 1024 * 1024
NOTED_EVERY = 8
"""Blocks after which a download notes how far it is."""
MOST_BLOCKS = 50_000
RANGE = 4 * 1024 * 1024
"""Bytes of a file in a share that can be written at a time."""
RELAYED = "/api/relay/"
"""How the paths of URLs begin by which bytes pass through the service: what is larger than a BLOCK goes in blocks."""
THERE_ALREADY = (409, 412)
REFUSED = 403
CHANGED = 412
NO_SUCH_BLOCK = 400
NOT_THERE = 404
MADE_BY = "x-ms-meta-millstream_upload"
"""The header that says which upload has made a file of a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One file to bring. `sha256` None: only the size is known.

    `etag`: its version, if that is known. `renew`: for a URL that has expired, gives another one.
    """

    url: str
    size: int
    sha256: str | None
    target: Path
    etag: str = ""
    renew: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One file to send. `renew`: for a URL that has expired, gives where to send it then; None: it is there now.

    `draft`: of a large file that goes to a share, what is known of its upload.
    """

    path: Path
    target: UploadTarget
    renew: Callable[[], UploadTarget | None] | None = None
    draft: Draft | None = None


def _most_at_once(url: str) -> int:
    """Bytes that travel by one request."""
    return BLOCK if urlsplit(url).path.startswith(RELAYED) else LARGE - 1


class _There(Exception):
    """Somebody else has sent the file meanwhile."""


MOST_URLS = 6
"""Tried for one request: on a slow line the next one may have expired, too, before its turn comes."""


class _Url:
    """The URL of one transfer, exchanged when it has expired. Thread-safe."""

    def __init__(self, transport: Transport, url: str, renew: Callable[[str], str] | None) -> None:
        self.transport = transport
        self._url = url
        self._renew = renew
        self._lock = Lock()

    def request(
        self,
        method: str,
        query: str = "",
        *,
        headers: dict[str, str] | None = None,
        body: bytes | IO[bytes] | None = None,
        sink: Sink | None = None,
    ) -> Response:
        for _ in range(MOST_URLS - 1):
            url = self._url
            response = self.transport.request(method, url + query, headers=headers, body=body, sink=sink)
            if response.status != REFUSED or self._renew is None:
                return response
            with self._lock:
                if self._url == url:
                    self._url = self._renew(url)
        return self.transport.request(method, self._url + query, headers=headers, body=body, sink=sink)


def send(transport: Transport, body: IO[bytes], target: UploadTarget, name: str) -> bool:
    """Send one file. False if there was one already and it was not to be replaced. Raises TransferError."""
    return _put_whole(_Url(transport, target.url, None), body, target, name)


def send_all(transport: Transport, files: Iterable[Send], progress: Progress | None = None) -> int:
    """Send files, several at once; large ones one after another, in blocks. Returns how many were written.

    What storage has already of a large file, from a try that was broken off, is not sent again.
    Raises TransferError, OSError.
    """
    sent = 0

    def jobs() -> Iterator[Callable[[], bool]]:
        nonlocal sent
        for file in files:
            size = file.path.stat().st_size
            in_share = "x-ms-type" in file.target.headers
            if size <= _most_at_once(file.target.url):
                yield partial(_send, _send_ranges if in_share else _send_whole, transport, file, size, progress)
            else:
                sent += _send(_send_ranges if in_share else _send_blocks, transport, file, size, progress)

    with closing(in_order(jobs(), ahead=AT_ONCE)) as results:
        for written in results:
            sent += written
    return sent


_Way = Callable[[_Url, Send, int, Progress | None], bool]


def _send(way: _Way, transport: Transport, file: Send, size: int, progress: Progress | None) -> bool:
    def renewed(_: str) -> str:
        target = file.renew() if file.renew is not None else file.target
        if target is None:
            raise _There
        return target.url

    try:
        written = way(_Url(transport, file.target.url, renewed if file.renew else None), file, size, progress)
    except _There:
        return False
    if progress is not None:
        progress.add(0, files=1)
    return written


def _send_whole(url: _Url, file: Send, size: int, progress: Progress | None) -> bool:
    with file.path.open("rb") as body:
        written = _put_whole(url, body, file.target, str(file.path))
    if progress is not None:
        progress.add(size)
    return written


def _put_whole(url: _Url, body: IO[bytes], target: UploadTarget, name: str) -> bool:
    response = url.request(target.method, headers=target.headers, body=body)
    if response.status in THERE_ALREADY:
        return False
    _check(response, f"{name} could not be uploaded")
    return True


def _send_ranges(url: _Url, file: Send, size: int, progress: Progress | None) -> bool:
    """Into a file share, under a name of its own, until it is whole. False if there is such a file by then.

    What is broken off is taken away again, or, if its upload is noted, left for the next try.
    """
    draft = file.draft
    try:
        written = _fill_and_name(url, file, size, progress)
    except BaseException as error:
        if draft is None or not draft.lasts:
            _take_away(url)
        if draft is not None:
            draft.close()
        if isinstance(error, _There):
            return False
        raise
    if not written:
        _take_away(url)
    if draft is not None:
        draft.end()
    return written


def _fill_and_name(url: _Url, file: Send, size: int, progress: Progress | None) -> bool:
    what = f"{file.path} could not be uploaded"
    for known in (True, False):
        begun = file.draft is not None and bool(file.draft.done) and known
        if not begun:
            _create(url, file, size, what)
        if _fill_ranges(url, file, size, what, progress if known else None):
            named = _name(url, file, what)
            if named is not None:
                return named
        if not begun:
            break
    raise TransferError(f"{what}: it was taken away meanwhile. Send it again.")


def _create(url: _Url, file: Send, size: int, what: str) -> None:
    headers = {**file.target.headers, "x-ms-content-length": str(size)}
    _check(url.request("PUT", headers=headers, body=b""), what)
    if file.draft is not None:
        file.draft.begin()


def _fill_ranges(url: _Url, file: Send, size: int, what: str, progress: Progress | None) -> bool:
    """False: what was begun before is not there any more."""
    done = file.draft.done if file.draft is not None else frozenset[str]()

    def put(start: int) -> tuple[bool, int, bool]:
        with file.path.open("rb") as source:
            source.seek(start)
            data = source.read(min(RANGE, size - start))
        if len(data) < min(RANGE, size - start):
            raise TransferError(f"{what}: it was made shorter meanwhile. Send it again.")
        name = range_name(start, data)
        if name in done:
            return True, len(data), True
        written = {"x-ms-write": "update", "x-ms-range": f"bytes={start}-{start + len(data) - 1}"}
        response = url.request("PUT", "&comp=range", headers=written, body=data)
        if response.status == NOT_THERE:
            return False, 0, False
        _check(response, what)
        if file.draft is not None:
            file.draft.add(name)
        return True, len(data), False

    for start in range(0, size, RANGE):
        there, length, kept = put(start)
        if not there:
            return False
        if progress is not None:
            progress.add(length, kept=kept)
    return True


def _name(url: _Url, file: Send, what: str) -> bool | None:
    """Give the file its name. False: another one has it; None: what was to get it is not there."""
    finish = file.target.finish
    if finish is None:
        raise TransferError(f"{what}: the service is older than this client. Update it.")
    for _ in range(MOST_URLS):
        response = url.transport.request("PUT", f"{finish.url}&comp=rename", headers=finish.headers, body=b"")
        if response.status != REFUSED or file.renew is None:
            break
        renewed = file.renew()
        if renewed is None:
            return False
        finish = renewed.finish or finish
    if response.status in THERE_ALREADY:
        return False
    if response.status == NOT_THERE:
        # Perhaps an earlier, unanswered renaming of ours: what there is says which upload made it.
        there = url.transport.request("HEAD", finish.url)
        mine = {name.lower(): value for name, value in file.target.headers.items()}.get(MADE_BY)
        return True if there.status < 300 and mine and there.headers.get(MADE_BY) == mine else None
    _check(response, what)
    return True


def _take_away(url: _Url) -> None:
    with suppress(Unavailable, _There):
        url.request("DELETE")


def _send_blocks(url: _Url, file: Send, size: int, progress: Progress | None) -> bool:
    """As `send`. The blob appears with the list of its blocks, which is sent last."""
    staged = Staged(file.target.url)
    while True:
        known = bool(staged)
        response = _put_list(url, file, _put_blocks(url, file, size, staged, progress))
        if response.status != NO_SUCH_BLOCK or not known:
            break
        staged.forget()  # storage has thrown away what it had: all is sent again
    staged.forget()
    if response.status in THERE_ALREADY:
        return False
    _check(response, f"{file.path} could not be uploaded")
    return True


def _put_blocks(url: _Url, file: Send, size: int, staged: Staged, progress: Progress | None) -> list[str]:
    """Send what is not staged. Returns the names of all blocks."""
    block_size = max(BLOCK, -(-size // MOST_BLOCKS))

    def block(number: int) -> str:
        with file.path.open("rb") as source:
            source.seek(number * block_size)
            data = source.read(block_size)
        name = block_id(number, data)
        known = name in staged
        if not known:
            response = url.request("PUT", f"&comp=block&blockid={quote(name, safe='')}", body=data)
            _check(response, f"{file.path} could not be uploaded")
            staged.add(name)
        if progress is not None:
            progress.add(len(data), kept=known)
        return name

    with closing(in_order(partial(block, number) for number in range(-(-size // block_size)))) as names:
        return list(names)


def _put_list(url: _Url, file: Send, names: list[str]) -> Response:
    listed = "".join(f"<Latest>{name}</Latest>" for name in names)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
    headers = {name: value for name, value in file.target.headers.items() if name.lower() != "x-ms-blob-type"}
    return url.request("PUT", "&comp=blocklist", headers=headers, body=body)


def fetch_all(transport: Transport, files: Iterable[Fetch], progress: Progress | None = None) -> int:
    """Bring files, several at once; each appears whole or not at all. Returns how many.

    A file is taken from `files` only when there is room for it, so that its URL is fresh. Large files come one after
    another, in blocks; one that was broken off, also in another process, goes on where it was.
    Raises TransferError, OSError.
    """
    brought = 0

    def jobs() -> Iterator[Callable[[], None]]:
        nonlocal brought
        for file in files:
            if file.size <= _most_at_once(file.url):
                yield partial(fetch, transport, file, progress)
            else:
                fetch(transport, file, progress)
                brought += 1

    with closing(in_order(jobs(), ahead=AT_ONCE)) as results:
        return sum(1 for _ in results) + brought


def fetch(transport: Transport, file: Fetch, progress: Progress | None = None) -> None:
    """Bring one file, replacing what is there. Raises TransferError, OSError."""
    file.target.parent.mkdir(parents=True, exist_ok=True)
    url = _Url(transport, file.url, file.renew)
    in_blocks = file.size > _most_at_once(file.url)
    if in_blocks:
        _fetch_blocks(url, file, progress)
    else:
        _fetch_whole(url, file)
    if progress is not None:
        progress.add(0 if in_blocks else file.size, files=1)


def _fetch_whole(url: _Url, file: Fetch) -> None:
    part = file.target.with_name(f".millstream-{secrets.token_hex(8)}")
    try:
        with part.open("xb") as raw:
            sink = _Hashing(raw)
            _check(url.request("GET", sink=sink), f"{file.target.name} could not be downloaded")
            if sink.size != file.size or file.sha256 not in (None, sink.sha256):
                raise _damaged(file, sink.size)
        part.replace(file.target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _fetch_blocks(url: _Url, file: Fetch, progress: Progress | None) -> None:
    part = Part(file.target, size=file.size, sha256=file.sha256)
    try:
        if file.etag and part.etag.strip('"') != file.etag.strip('"'):
            part.begin_anew()
        if progress is not None:
            progress.add(part.done, kept=True)
        _fill(url, file, part, progress)
        if part.right():
            part.finish()
            return
    except BaseException:
        part.leave()
        raise
    part.discard()
    raise _damaged(file, part.done)


def _fill(url: _Url, file: Fetch, part: Part, progress: Progress | None) -> None:
    """All blocks that are missing, of one version of the blob, AT_ONCE of them at a time."""
    what = f"{file.target.name} could not be downloaded"

    def block(start: int) -> Response:
        headers = {"Range": f"bytes={start}-{min(start + BLOCK, file.size) - 1}"}
        if part.etag:
            headers["If-Match"] = part.etag
        return url.request("GET", headers=headers)

    def take(number: int, response: Response) -> None:
        # A file share takes no condition: what came is looked at.
        other = response.status < 300 and part.etag.strip('"') not in ("", response.headers["etag"].strip('"'))
        if response.status == CHANGED or other:
            part.begin_anew()
            raise TransferError(f"{what}: it was replaced meanwhile. Download it again.")
        _check(response, what)
        part.etag = response.headers["etag"]
        part.write(response.body)
        if number % NOTED_EVERY == 0:
            part.note()
        if progress is not None:
            progress.add(len(response.body))

    if part.done < file.size:
        first = block(part.done)
        other = first.status < 300 and first.headers["etag"].strip('"') != part.etag.strip('"')
        if part.done and (first.status == CHANGED or other):
            # What an earlier try has left is of another version.
            if progress is not None:
                progress.add(-part.done, kept=True)
            part.begin_anew()
            first = block(0)
        take(0, first)
    with closing(in_order(partial(block, start) for start in range(part.done, file.size, BLOCK))) as blocks:
        for number, response in enumerate(blocks, 1):
            take(number, response)


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


def _damaged(file: Fetch, size: int) -> TransferError:
    return TransferError(
        f"{file.target.name} did not arrive as it was stored: {size:,} of {file.size:,} bytes, or other ones. "
        "Download it again."
    )


def _check(response: Response, what: str) -> None:
    if response.status < 300:
        return
    if response.status == REFUSED:
        reason = "the signed URL has expired; ask again."
    else:
        reason = reason_in(response.body) or f"storage says {response.status}."
    raise TransferError(f"{what}: {reason}")


def reason_in(body: bytes) -> str:
    """What the service says of a transfer that passes through it; "": storage has answered itself."""
    try:
        return str(msgspec.json.decode(body)["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""
