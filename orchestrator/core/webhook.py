"""Webhooks: who is told of the end of a run, and what may be called.

One is registered under a name, for all runs or those of a published pipeline; or it is named by a single submission.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import msgspec

from orchestrator.core.addresses import is_public, literal
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.names import shown
from orchestrator.core.states import RunStatus

LONGEST_URL: Final = 2000
MOST_A_RUN: Final = 5
"""Webhooks that one submission may name."""


class Event(StrEnum):
    COMPLETED = "run.completed"
    FAILED = "run.failed"
    CANCELED = "run.canceled"


EVENTS: Final[Mapping[RunStatus, Event]] = {
    RunStatus.COMPLETED: Event.COMPLETED,
    RunStatus.FAILED: Event.FAILED,
    RunStatus.CANCELED: Event.CANCELED,
}


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A registered webhook. No `events`: all of them; no `pipeline_id`: the runs of whatever pipeline.

    `nonce` is new whenever the secret is to be another. `created_at` in epoch seconds.
    """

    name: str
    url: str
    nonce: str
    events: tuple[Event, ...] = ()
    pipeline_id: str = ""
    description: str = ""
    enabled: bool = True
    created_at: float = 0.0

    @property
    def id(self) -> str:
        return self.name

    @property
    def signer(self) -> str:
        """What its secret is derived from, beside the service's key."""
        return f"{self.name}|{self.nonce}"

    def wants(self, event: Event, pipeline_id: str | None) -> bool:
        return self.enabled and event in (self.events or Event) and self.pipeline_id in ("", pipeline_id)


class Notify(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A webhook of one run. Its secret belongs to the URL, and so it is the same for every run that names it."""

    url: str
    events: tuple[Event, ...] = ()

    @property
    def id(self) -> str:
        """Begins as no name does."""
        return f"_{hashlib.sha256(self.url.encode()).hexdigest()[:24]}"

    @property
    def signer(self) -> str:
        return self.id

    def wants(self, event: Event) -> bool:
        return event in (self.events or Event)


_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]", re.ASCII)


def check_url(url: str, field: str, *, private: bool) -> str:
    """The URL itself. `private`: addresses that are not of the internet may be called, too.

    A name is not looked up here; what it leads to is checked by who calls it. Raises InvalidRequest.
    """
    fault = _fault(url, private=private)
    if fault:
        raise InvalidRequest(f"{shown(shown_url(url))} cannot be called: {fault}", field=field)
    return url


def shown_url(url: str) -> str:
    """The URL for people: user name, password and the query, which may hold secrets, are left out."""
    base, question, _ = url.partition("?")
    scheme, slashes, rest = base.partition("//")
    host, slash, path = rest.partition("/")
    base = f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"
    return f"{base}?..." if question else base


def _fault(url: str, *, private: bool) -> str | None:
    if len(url) > LONGEST_URL:
        return f"use at most {LONGEST_URL:,} characters."
    if not url.isascii() or not url.isprintable() or " " in url:
        return "leave out spaces and what is not ASCII, or write it with %."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "it is not a URL."
    if parts.scheme not in ("http", "https"):
        return "use http or https."
    if "@" in parts.netloc:
        return "leave out user name and password: calls are signed."
    if not _HOST.fullmatch(f"[{host}]" if ":" in host else host) or port == 0:
        return "its host is not valid."
    if parts.fragment or "#" in url:
        return "leave out the part after #."
    return None if private else _inside(host)


def _inside(host: str) -> str | None:
    address = literal(host)
    if host == "localhost" or host.endswith(".localhost") or (address is not None and not is_public(address)):
        return "its address is not of the internet. MILLSTREAM_WEBHOOK_PRIVATE allows others."
    return None


def same_url_once(hooks: Collection[Notify], field: str) -> None:
    """Raises InvalidRequest when there are too many, or two for one URL."""
    if len(hooks) > MOST_A_RUN:
        raise InvalidRequest(f"A run may name {MOST_A_RUN} webhooks at most.", field=field)
    if len({hook.url for hook in hooks}) != len(hooks):
        raise InvalidRequest("Name each URL once.", field=field)
