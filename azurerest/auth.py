"""Credentials: shared key, bearer token, shared access signature.

Contract of the signatures: "Authorize with Shared Key" in the Azure Storage REST reference.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from azurerest.errors import Invalid
from azurerest.httpdate import format_http_date

TokenProvider = Callable[[], tuple[str, float]]

_REFRESH_BEFORE = 300.0
_REFRESH_RETRY = 15.0


class Draft(NamedTuple):
    """A request before it is signed. Header names in lower case; path as sent, query decoded."""

    service: str
    account: str
    verb: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    length: int


class Credential(Protocol):
    """Whatever can sign a draft."""

    secure_only: bool

    def authorize(self, draft: Draft, /) -> str:
        """Add headers to the draft; returns what is to be added to the query, already encoded ("" if nothing)."""
        ...


class SharedKey:
    """Account key. Thread-safe."""

    secure_only = False

    def __init__(self, key: str) -> None:
        """key: base64. Raises Invalid."""
        try:
            self._key = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError) as fault:
            raise Invalid("the account key is not base64") from fault
        if not self._key:
            raise Invalid("the account key is empty")

    def __repr__(self) -> str:
        return "SharedKey(...)"

    def sign(self, text: str) -> str:
        """Base64 HMAC-SHA256 of the text."""
        return base64.b64encode(hmac.digest(self._key, text.encode(), "sha256")).decode("ascii")

    def authorize(self, draft: Draft) -> str:
        headers = draft.headers
        headers["x-ms-date"] = format_http_date(int(time.time()))
        text = table_text(draft) if draft.service == "table" else blob_text(draft)
        headers["authorization"] = f"SharedKey {draft.account}:{self.sign(text)}"
        return ""


def blob_text(draft: Draft) -> str:
    """String to sign of the Blob, Queue and File services."""
    headers = draft.headers
    get = headers.get
    own = "".join([f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-")])
    resource = f"/{draft.account}{draft.path}"
    if draft.query:
        resource += "".join([f"\n{name.lower()}:{value}" for name, value in sorted(draft.query)])
    return (
        f"{draft.verb}\n\n\n{draft.length or ''}\n{get('content-md5', '')}\n{get('content-type', '')}\n\n\n"
        f"{get('if-match', '')}\n{get('if-none-match', '')}\n\n\n{own}{resource}"
    )


def table_text(draft: Draft) -> str:
    """String to sign of the Table service."""
    resource = f"/{draft.account}{draft.path}"
    for name, value in draft.query:
        if name == "comp":
            resource += f"?comp={value}"
    headers = draft.headers
    return f"{draft.verb}\n\n{headers.get('content-type', '')}\n{headers['x-ms-date']}\n{resource}"


class SharedAccessSignature:
    """A SAS: its query is added to every request."""

    secure_only = False

    def __init__(self, query: str) -> None:
        self._query = query.lstrip("?")
        if "sig=" not in self._query or any(c in self._query for c in " \r\n#"):
            raise Invalid("not a shared access signature")

    def __repr__(self) -> str:
        return "SharedAccessSignature(...)"

    @property
    def query(self) -> str:
        """It, encoded: a secret."""
        return self._query

    def authorize(self, _draft: Draft) -> str:
        return self._query


class Bearer:
    """A token from a provider, kept until shortly before it ends. Thread-safe.

    provider: returns (token, expiry as epoch seconds); its errors reach the caller unless the old token still holds.
    One thread refreshes while the others go on with the old token.
    """

    secure_only = True

    def __init__(self, provider: TokenProvider, *, clock: Callable[[], float] = time.time) -> None:
        self._provider = provider
        self._clock = clock
        self._token = ("", 0.0)
        self._retry_at = 0.0
        self._lock = threading.Lock()

    def authorize(self, draft: Draft) -> str:
        draft.headers["x-ms-date"] = format_http_date(int(time.time()))
        draft.headers["authorization"] = f"Bearer {self.token()}"
        return ""

    def token(self) -> str:
        """A token that is valid now."""
        token, expires = self._token
        now = self._clock()
        if now < expires - _REFRESH_BEFORE:
            return token
        usable = now < expires - 1
        if usable and now < self._retry_at:
            return token
        if not self._lock.acquire(blocking=not usable):
            return token
        try:
            return self._refresh(now, usable=usable)
        finally:
            self._lock.release()

    def _refresh(self, now: float, *, usable: bool) -> str:
        token, expires = self._token
        if now < expires - _REFRESH_BEFORE:
            return token
        self._retry_at = now + _REFRESH_RETRY
        try:
            self._token = self._provider()
        except Exception:
            # The provider is the caller's and may raise anything. A token that is still good outlives its failure.
            if not usable:
                raise
            return token
        return self._token[0]


class Anonymous:
    """No credential: public containers, or a URL that carries its own signature."""

    secure_only = False

    def authorize(self, _draft: Draft) -> str:
        return ""
