"""Secrets of one Azure Key Vault, by its REST API.

Contract: Key Vault's data plane, version 7.4: secrets and their versions, soft delete, throttling. Every call may be
repeated: setting a secret twice makes two versions of it, of which the second is told.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from azurerest.auth import Bearer, TokenProvider
from azurerest.errors import StorageError
from azurerest.httpdate import parse_http_date
from orchestrator.core.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from email.message import Message
    from urllib.request import OpenerDirector, Request

VERSION: Final = "7.4"
PUBLIC: Final = "https://vault.azure.net"
_CLOUDS: Final = ("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net")
_TIMEOUT: Final = 10.0
_LONGEST: Final = 1 << 20
MOST_BYTES: Final = 25_600
_TRIES: Final = 4
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 8.0
_AGAIN: Final = (408, 429, 500, 502, 503, 504)
_MOST_PAGES: Final = 100
_ID: Final = re.compile(r"/secrets/([0-9A-Za-z-]{1,127})(?:/([0-9A-Za-z]{1,64}))?")
_CODE: Final = re.compile(r"[A-Za-z0-9]{1,60}")

READER: Final = "Key Vault Secrets User"
WRITER: Final = "Key Vault Secrets Officer"


class NameTaken(Exception):
    """The name is that of a secret which was deleted and may still be recovered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A secret without its value. `age`: seconds since its newest version, by the vault's clock."""

    name: str
    age: float
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Answer:
    """`date`: the vault's, in epoch seconds. `wait`: seconds that it asks to be left alone; None: it does not say."""

    status: int
    body: dict[str, Any]
    date: float
    wait: float | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        """Error codes, the general one first: Forbidden, ForbiddenByRbac."""
        found, error = [], self.body.get("error")
        while isinstance(error, dict):
            code = error.get("code")
            if isinstance(code, str) and _CODE.fullmatch(code):
                found.append(code)
            error = error.get("innererror")
        return tuple(found)


def resource_of(url: str) -> str:
    """What a token for the vault at `url` is for: the service of its cloud."""
    host = urlsplit(url).hostname or ""
    return next((f"https://{cloud}" for cloud in _CLOUDS if host.endswith(f".{cloud}")), PUBLIC)


class KeyVault:
    """`url`: https://NAME.vault.azure.net. `token`: for `resource_of(url)`; None: there is none. Thread-safe.

    Every method raises Unavailable: no identity, no right, no answer after several tries. No text holds a secret.
    """

    def __init__(self, url: str, token: TokenProvider | None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url.rstrip("/")
        self._provide = token
        self._bearer = None if token is None else Bearer(token)
        self._sleep = sleep
        self._opener: OpenerDirector | None = None

    def set(self, name: str, value: str, tags: Mapping[str, str]) -> str:
        """A new version of the secret; its id. Raises InvalidRequest when it is too long, NameTaken."""
        if len(value.encode()) > MOST_BYTES:
            raise InvalidRequest(f"Key Vault keeps at most {MOST_BYTES:,} bytes of a secret.", field="secret")
        answer = self._ask("PUT", f"/secrets/{name}", {"value": value, "tags": dict(tags)})
        if answer.status == 409:
            raise NameTaken(name)
        _check(answer, WRITER)
        return _identity(answer.body)[1]

    def get(self, name: str, version: str) -> str | None:
        """Its value; None: there is none, or not any more."""
        answer = self._ask("GET", f"/secrets/{name}/{version}")
        if answer.status == 404 or "SecretDisabled" in answer.codes:
            return None
        _check(answer, READER)
        value = answer.body.get("value")
        return value if isinstance(value, str) else None

    def delete(self, name: str) -> None:
        """All versions of it. One that is not there is deleted already."""
        answer = self._ask("DELETE", f"/secrets/{name}")
        if answer.status not in (404, 409):  # 409: it is being deleted
            _check(answer, WRITER)

    def listed(self) -> Iterator[Listed]:
        """All secrets that are not deleted."""
        path = "/secrets?maxresults=25"
        for _ in range(_MOST_PAGES):
            answer = self._ask("GET", path)
            _check(answer, READER)
            for item in answer.body.get("value") or ():
                changed = (item.get("attributes") or {}).get("updated", answer.date)
                yield Listed(name=_identity(item)[0], age=answer.date - changed, tags=item.get("tags") or {})
            following = str(answer.body.get("nextLink") or "")
            if not following:
                return
            if not following.startswith(f"{self._url}/"):
                raise Unavailable("The Key Vault goes on elsewhere, where the token must not go.")
            path = following.removeprefix(self._url)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> _Answer:
        """The answer, of whatever status that no further try would change."""
        answer = self._tried(method, path, body)
        if answer.status == 401 and self._provide is not None:
            # A vault may refuse a token before its time, as when rights were taken and given back.
            self._bearer = Bearer(self._provide)
            answer = self._tried(method, path, body)
        return answer

    def _tried(self, method: str, path: str, body: Mapping[str, Any] | None) -> _Answer:
        delay = _FIRST_DELAY
        for left in reversed(range(_TRIES)):
            answer = self._once(method, path, body)
            if answer is not None and answer.status not in _AGAIN:
                return answer
            if left:
                wait = delay * random.uniform(0.5, 1.0) if answer is None or answer.wait is None else answer.wait  # noqa: S311
                self._sleep(min(wait, _LONGEST_DELAY))
                delay *= 2
        what = "did not answer" if answer is None else f"answered {answer.status}"
        raise Unavailable(f"The Key Vault {what}, {_TRIES} times. Try again in a moment.")

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> _Answer | None:
        """None: no answer."""
        from urllib.error import HTTPError
        from urllib.request import Request

        mark = "&" if "?" in path else "?"
        url = f"{self._url}{path}" if "api-version=" in path else f"{self._url}{path}{mark}api-version={VERSION}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        request = Request(url, method=method, data=data, headers=headers)  # noqa: S310 - https, by the setting
        try:
            with self._open(request) as answer:
                return _answer(answer.status, answer.headers, answer.read(_LONGEST))
        except HTTPError as fault:
            with fault:
                return _answer(fault.code, fault.headers, fault.read(_LONGEST))
        except (OSError, ValueError):
            return None

    def _open(self, request: Request) -> Any:
        """No redirect is followed: the token is for the vault alone."""
        from urllib.request import HTTPRedirectHandler, build_opener

        if self._opener is None:

            class Stay(HTTPRedirectHandler):
                def redirect_request(self, *_: Any) -> None:
                    return None

            self._opener = build_opener(Stay)
        return self._opener.open(request, timeout=_TIMEOUT)

    def _token(self) -> str:
        if self._bearer is None:
            raise Unavailable("The app has no identity that could open the Key Vault of MILLSTREAM_VAULT.")
        try:
            return self._bearer.token()
        except StorageError as error:
            raise Unavailable(f"No token for the Key Vault: {error}") from error


def _check(answer: _Answer, role: str) -> None:
    """Raises Unavailable unless it is a success."""
    if answer.status < 300:
        return
    codes = " ".join(answer.codes)
    if answer.status == 403 and not {"ForbiddenByFirewall", "ForbiddenByConnection"} & set(answer.codes):
        raise Unavailable(
            f"The Key Vault refuses this identity ({codes or 403}). It needs the role {role!r} on the vault; one that "
            "was just given works after some minutes."
        )
    if answer.status == 403:
        raise Unavailable(f"The Key Vault lets nobody in from this network ({codes}).")
    if answer.status == 401:
        raise Unavailable("The Key Vault does not accept the token of this identity: are both of one tenant?")
    raise Unavailable(f"The Key Vault answered {answer.status} {codes}".rstrip() + ".")


def _identity(body: Mapping[str, Any]) -> tuple[str, str]:
    """Name and version ("" in a list) of a secret. Raises Unavailable."""
    found = _ID.fullmatch(urlsplit(str(body.get("id", ""))).path)
    if found is None:
        raise Unavailable("The Key Vault gave an answer without a secret's id.")
    return found[1], found[2] or ""


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _answer(status: int, headers: Message, data: bytes) -> _Answer:
    wait = headers.get("Retry-After", "").strip()
    try:
        date = parse_http_date(headers.get("Date", "")).timestamp()
    except ValueError:
        date = 0.0  # nothing is old
    return _Answer(status, _decoded(data), date, float(wait) if re.fullmatch(r"\d{1,6}", wait) else None)
