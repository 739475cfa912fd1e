"""What the services share: building, signing, sending, and telling answers apart."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from azurerest.account import Account
from azurerest.auth import Draft
from azurerest.billing import billed_as
from azurerest.errors import Busy, Invalid, StorageError, Unanswered, Unreachable, class_of
from azurerest.transport import Response, Transport

READ_TRIES: Final = 3
_BACKOFF = (0.1, 0.4)
_LONGEST_WAIT = 5.0
# Tables take tokens from 2020-12-06 on.
_VERSIONS = {"blob": "2021-12-02", "queue": "2021-12-02", "table": "2020-12-06", "file": "2023-11-03"}
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")

Query = tuple[tuple[str, str], ...]


class Service:
    """One service of an account. Thread-safe."""

    def __init__(self, kind: str, account: Account, transport: Transport) -> None:
        self.kind = kind
        self.account = account
        self.transport = transport
        self.endpoint = account.endpoint(kind)
        self._version = _VERSIONS[kind]

    def call(
        self,
        verb: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview = b"",
        repeat: bool = False,
        into: memoryview | None = None,
    ) -> Response:
        """Send a request; returns its 2xx answer. into: takes its body, if that fits.

        path: encoded, without the endpoint's base. query: decoded. repeat: a plain read, tried up to READ_TRIES times
        (never past transport.read_timeout seconds in all) when it is refused for load, fails in the service, or gets no
        answer. Raises StorageError.
        """
        if not repeat:
            return self._try(verb, path, query, headers, body, into, repeat=False)
        deadline = time.monotonic() + self.transport.read_timeout
        for pause in _BACKOFF[: READ_TRIES - 1]:
            try:
                return self._try(verb, path, query, headers, body, into, repeat=True)
            except (Busy, Unanswered, Unreachable) as fault:
                wait = _wait(fault, pause)
                if wait is None or time.monotonic() + wait >= deadline:
                    raise
                self.transport.sleep(wait)
        return self._try(verb, path, query, headers, body, into, repeat=True)

    def _try(
        self,
        verb: str,
        path: str,
        query: Query,
        headers: Mapping[str, str] | None,
        body: bytes | memoryview,
        into: memoryview | None,
        *,
        repeat: bool,
    ) -> Response:
        full = self.endpoint.base + path
        head = self.head(verb, full, query, headers, len(body))
        origin = self.endpoint.origin
        billed = billed_as(self.kind, verb, query)
        send = self.transport.send
        response = send(self.kind, origin, verb, full, head, body, repeat=repeat, into=into, billed=billed)
        if 200 <= response.status < 300:
            return response
        raise refusal(response, f"{verb} {self.kind} {full}")

    def head(self, verb: str, path: str, query: Query, headers: Mapping[str, str] | None, length: int) -> bytes:
        """The signed head of a request, ready for the wire. Raises Invalid."""
        draft = Draft(self.kind, self.account.name, verb, path, query, dict(headers or ()), length)
        draft.headers["x-ms-version"] = self._version
        signature = self.account.credential.authorize(draft)
        pairs = [f"{name}={quote(value, safe='')}" for name, value in query]
        if signature:
            pairs.append(signature)
        target = f"{path}?{'&'.join(pairs)}" if pairs else path
        lines = [f"{verb} {target} HTTP/1.1", f"host: {self.endpoint.host_header}"]
        lines += [f"{name}: {value}" for name, value in draft.headers.items()]
        if length or verb in ("PUT", "POST", "PATCH"):
            lines.append(f"content-length: {length}")
        text = "\r\n".join(lines)
        breaks = len(lines) - 1
        if text.count("\r") != breaks or text.count("\n") != breaks or not text.isascii():
            raise Invalid("a header value holds a line break or a character outside ASCII")
        return (text + "\r\n\r\n").encode("ascii")


def _wait(fault: StorageError, pause: float) -> float | None:
    """Seconds before the next try; None when the service asks for more than is worth waiting."""
    asked = fault.retry_after if isinstance(fault, Busy) else None
    if asked is not None and asked > _LONGEST_WAIT:
        return None
    return max(asked or 0.0, pause * (0.5 + os.urandom(1)[0] / 256))


def refusal(response: Response, operation: str) -> StorageError:
    """The error for an answer that is not 2xx."""
    code, message = _explain(response)
    kind = class_of(response.status, code)
    fault = kind(
        message,
        status=response.status,
        code=code,
        operation=operation,
        request_id=response.headers.get("x-ms-request-id", ""),
    )
    if isinstance(fault, Busy):
        after = response.headers.get("retry-after", "")
        fault.retry_after = float(after) if after.isdigit() else None
    return fault


def _explain(response: Response) -> tuple[str, str]:
    """Error code and message, from the header, the XML or the JSON of an answer."""
    code = response.headers.get("x-ms-error-code", "")
    text = response.body[:16384].decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        found, message = _explain_json(text)
        return code or found, message
    if match := _CODE.search(text):
        code = code or match[1]
    message = match[1] if (match := _MESSAGE.search(text)) else ""
    return code, message.split("\n")[0] or text[:200].strip() or "no message"


def _explain_json(text: str) -> tuple[str, str]:
    try:
        error = json.loads(text)["odata.error"]
        return str(error["code"]), str(error["message"]["value"]).split("\n")[0]
    except (ValueError, KeyError, TypeError):
        return "", text[:200]
