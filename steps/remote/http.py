"""Calls to the API of a workspace: JSON over HTTPS, repeated where that is safe.

Every call here may be repeated: it reads, or it cancels, or it starts a job under a token or name by which the service
knows it again. So a lost answer, a 429 and a 5xx are all met by asking again, for as long as patience lasts.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from steps.failures import JobRefused, ServiceFailed
from steps.remote.waiting import Waiter

TIMEOUT: Final = 60.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
MOST_BYTES: Final = 16 * 1024 * 1024
_BUSY: Final = (408, 425, 429, 500, 502, 503, 504)


class Refused(Exception):
    """The service answered, and will not. `code` is its own, such as RESOURCE_DOES_NOT_EXIST."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}".replace(" :", ":"))
        self.status = status
        self.code = code


class _Busy(Exception):
    """Asked again, it may do it. `after`: seconds that the service wants; None: it did not say."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the workspace that it is for, and nowhere that somebody points to."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class Api:
    """`who` names the service in messages. `token`: a bearer token for each call; its errors pass. `patience`: seconds
    for which a call that is not answered is repeated. `headers` and `query`: of each call. `timeout`: seconds for which
    an answer is waited for; `most_bytes` of it are read.
    """

    def __init__(
        self,
        who: str,
        url: str,
        token: Callable[[], str],
        waiter: Waiter,
        *,
        patience: float,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._who = who
        self._url = url.rstrip("/")
        self._token = token
        self._waiter = waiter
        self._patience = patience
        self._headers = headers or {}
        self._query = query or {}
        self._timeout = timeout
        self._most_bytes = most_bytes

    def get(self, path: str, /, **query: Any) -> Any:
        """Raises Refused, ServiceFailed, Stopped."""
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def text(self, path: str) -> bytes:
        """What is no JSON, as it is, as far as it is read. Raises Refused, ServiceFailed, Stopped."""
        found: bytes = self._ask("GET", path, None, parsed=bytes)
        return found

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Raises Refused, ServiceFailed, Stopped."""
        return self._ask("POST", path, body)

    def delete(self, path: str) -> Any:
        """Raises Refused, ServiceFailed, Stopped."""
        return self._ask("DELETE", path, None)

    def once(self, verb: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """One request, for the way out: nothing is waited for. Raises Refused, ServiceFailed."""
        try:
            return self._send(verb, path, body)
        except _Busy as error:
            raise ServiceFailed(f"{self._who}: {error}") from error

    def _ask(
        self, verb: str, path: str, body: Mapping[str, Any] | None, parsed: Callable[[bytes], Any] | None = None
    ) -> Any:
        until = self._waiter.passed() + self._patience
        tries = 0
        while True:
            try:
                return self._send(verb, path, body, parsed)
            except _Busy as error:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**tries) if error.after is None else error.after
                tries += 1
                if self._waiter.passed() + pause > until:
                    raise ServiceFailed(f"{self._who} could not be asked in {tries} tries: {error}") from error
                self._waiter.pause(pause)

    def _send(
        self, verb: str, path: str, body: Mapping[str, Any] | None, parsed: Callable[[bytes], Any] | None = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(  # noqa: S310 - see Attachment
            self._url + self._whole(path), data, {**headers, **self._headers}, method=verb
        )
        try:
            with _opener.open(request, timeout=self._timeout) as answer:
                return (parsed or _json)(answer.read(self._most_bytes))
        except urllib.error.HTTPError as error:
            with error:
                raise _fault(error.code, error.headers.get("Retry-After"), _text(error)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _Busy(f"{verb} {path.partition('?')[0]} was not answered: {error}") from error

    def _whole(self, path: str) -> str:
        if not self._query:
            return path
        return f"{path}{'&' if '?' in path else '?'}{urlencode(self._query)}"


def _text(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(65536)
    except (OSError, http.client.HTTPException):
        return b""


def _json(body: bytes) -> Any:
    return json.loads(body) if body.strip() else {}


def _fault(status: int, retry_after: str | None, body: bytes) -> Exception:
    """What an answer that is no success means."""
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    code, message = _words(given)
    if not message:
        message = body[:300].decode("utf-8", "replace").strip()
    if status not in _BUSY:
        return Refused(status, code, message)
    seconds = float(retry_after) if retry_after and retry_after.strip().isdigit() else None
    return _Busy(f"status {status} {code}: {message}".replace(" :", ":"), seconds)


def _words(given: Any) -> tuple[str, str]:
    """Code and message of an error, as Databricks, Azure, Azure Batch or Livy give them."""
    match given:
        case {"error_code": str(code), **rest}:
            return code, str(rest.get("message", ""))
        case {"error": {"code": str(code), **rest}}:
            return code, str(rest.get("@message") or rest.get("message", ""))
        case {"code": str(code), "message": str(message) | {"value": str(message)}}:
            return code, message
        case {"msg": str(message)} | {"message": str(message)}:
            return "", message
        case _:
            return "", ""


def refusal(who: str, error: Refused, what: str) -> JobRefused:
    """The failure of a step whose service will not do something; `what` was asked."""
    hint = ""
    if error.status in (401, 403):
        hint = " See whether the secret of the attached compute is still good, and what it may do."
    return JobRefused(f"{who} would not {what}: {error}{hint}")
