"""Files of the web: http and https only, wherever a redirect leads."""

from __future__ import annotations

import http.client
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from orchestrator.core.errors import Unavailable
from orchestrator.datasets.errors import FileMissing
from orchestrator.datasets.ranged import ranged

T = TypeVar("T")
_TIMEOUT = 60.0
_TRIES = 4
_IN_MEMORY = 8 * 1024 * 1024


def _opener() -> urllib.request.OpenerDirector:
    # The usual one would follow a redirect to ftp, and open local files.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    return opener


def open_web(url: str) -> BinaryIO:
    """The file at a URL; read in pieces if its server can do that, else fetched whole.

    Raises FileMissing, Unavailable.
    """
    return _retried(url, lambda: _open(url))


def version_of(url: str) -> str:
    """What changes when the file at a URL does, as its server tells it without sending the file; "": it does not.

    Raises OSError (urllib's errors among them).
    """
    with _ask(url, {}, "HEAD") as answer:
        headers = answer.headers
        date, size = headers.get("Last-Modified", ""), headers.get("Content-Length", "")
        return headers.get("ETag") or (f"{date} {size}" if date else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a server tells of a file without sending it. `size`: bytes, None if it does not say. `version`: changes when
    the file does, "" if it tells none. `in_pieces`: it sends parts of it.
    """

    size: int | None
    version: str
    in_pieces: bool
    content_type: str


def describe(url: str) -> Described:
    """Raises FileMissing, Unavailable."""
    return _retried(url, lambda: _describe(url))


def _describe(url: str) -> Described:
    try:
        with _ask(url, {}, "HEAD") as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        if error.code not in (403, 405, 501):  # of servers that know no HEAD, and of URLs signed for GET
            raise
        error.close()
        return Described(size=None, version="", in_pieces=False, content_type="")
    size = headers.get("Content-Length", "")
    return Described(
        size=int(size) if size.isdigit() else None,
        version=_version(headers),
        in_pieces=headers.get("Accept-Ranges") == "bytes",
        content_type=headers.get("Content-Type", ""),
    )


def _version(headers: Any) -> str:
    date: str = headers.get("Last-Modified", "")
    return headers.get("ETag") or date


def read_into(url: str, start: int, buffer: memoryview, version: str) -> bool:
    """Fill the buffer with the bytes of the file from `start` on; where one connection breaks, the next goes on.

    False: the file has another version by now. Raises FileMissing, Unavailable.
    """
    got = 0

    def more() -> bool:
        nonlocal got
        asked = f"bytes={start + got}-{start + len(buffer) - 1}"
        with _ask(url, {"Range": asked}) as answer:
            if version and _version(answer.headers) != version:
                return False
            if answer.status != 206:
                raise http.client.IncompleteRead(b"", len(buffer) - got)
            while got < len(buffer) and (count := answer.readinto(buffer[got:])):
                got += count
        if got < len(buffer):
            raise http.client.IncompleteRead(b"", len(buffer) - got)
        return True

    before = -1
    while True:
        try:
            return _retried(url, more)
        except Unavailable:
            # As long as something comes, it is worth to go on.
            if got == before:
                raise
            before = got


def save(url: str, sink: BinaryIO) -> None:
    """The whole file, from its beginning at each try. Raises FileMissing, Unavailable."""

    def fetch() -> None:
        sink.seek(0)
        sink.truncate()
        with _ask(url, {}) as answer:
            while chunk := answer.read(1 << 20):
                sink.write(chunk)
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)

    _retried(url, fetch)


def path_of(url: str) -> str:
    """Host and path of a URL as a relative path that is safe on any disk."""
    parts = urlsplit(url)
    names = [_safe(unquote(part)) for part in parts.path.split("/")]
    return "/".join([_safe(parts.hostname or "web"), *(name for name in names if name)])


def _safe(part: str) -> str:
    clean = "".join("_" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in part)
    return "" if clean in (".", "..") else clean[:255]


def _open(url: str) -> BinaryIO:
    try:
        with _ask(url, {}, "HEAD") as answer:
            size, pieces = answer.headers.get("Content-Length"), answer.headers.get("Accept-Ranges")
            tag = answer.headers.get("ETag")
    except urllib.error.HTTPError as error:
        error.close()
        size = pieces = tag = None
    if pieces == "bytes" and size and size.isdigit():
        same = {"If-Match": tag} if tag and not tag.startswith("W/") else {}
        return ranged(int(size), lambda start, length: _retried(url, lambda: _piece(url, start, length, same)))
    return _whole(url)


def _whole(url: str) -> BinaryIO:
    with _ask(url, {}) as answer:
        kept = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - it is handed on
        try:
            while chunk := answer.read(1 << 20):
                kept.write(chunk)
            if answer.length:
                raise http.client.IncompleteRead(b"", answer.length)
        except BaseException:
            kept.close()
            raise
    kept.seek(0)
    return cast(BinaryIO, kept)


def _piece(url: str, start: int, length: int, same: dict[str, str]) -> bytes:
    with _ask(url, {**same, "Range": f"bytes={start}-{start + length - 1}"}) as answer:
        data: bytes = answer.read()
        if answer.status != 206 or len(data) != length:
            raise http.client.IncompleteRead(data, length - len(data))
        return data


def _ask(url: str, headers: dict[str, str], method: str = "GET") -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "millstream", **headers}, method=method)  # noqa: S310
    return _opener().open(request, timeout=_TIMEOUT)


def _retried(url: str, ask: Callable[[], T]) -> T:
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(0.2 * 2**attempt)
        try:
            return ask()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise FileMissing(f"There is no file at {_shown(url)}.", field="path") from None
            if error.code < 500 and error.code not in (408, 429):
                raise FileMissing(f"{_shown(url)} was refused: {error.code} {error.reason}.", field="path") from None
            last: Exception = error
        except (OSError, http.client.HTTPException) as error:
            last = error
    raise Unavailable(f"{_shown(url)} could not be read: {last}.") from last


def _shown(url: str) -> str:
    """Without the query, which may hold a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
