"""Files of the web: http and https only, wherever a redirect leads."""

from __future__ import annotations

import http.client
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
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
