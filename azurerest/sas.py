"""Shared access signatures for a blob or a container, by account key or by a user delegation key; for a file or a
share, by account key.

Contract: "Create a service SAS" and "Create a user delegation SAS" in the Azure Storage REST reference, 2020-12-06 on.
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple
from urllib.parse import urlencode

from azurerest import xmltext
from azurerest.auth import SharedKey
from azurerest.blobs import Blobs
from azurerest.errors import Invalid
from azurerest.files import Files
from azurerest.names import blob_path, container_path

VERSION: Final = "2021-12-02"
SKEW: Final = timedelta(minutes=5)
_ORDER = "racwdxyltmeopi"


class DelegationKey(NamedTuple):
    """A key that stands for the identity it was given to. Valid for at most 7 days."""

    oid: str
    tid: str
    start: str
    expiry: str
    service: str
    version: str
    value: str

    def __repr__(self) -> str:
        return f"DelegationKey(oid={self.oid!r}, expiry={self.expiry!r})"


def get_user_delegation_key(blobs: Blobs, *, start: datetime, expiry: datetime) -> DelegationKey:
    """Needs a bearer token. Raises Forbidden without the right to it."""
    body = f"<KeyInfo><Start>{_time(start)}</Start><Expiry>{_time(expiry)}</Expiry></KeyInfo>".encode()
    query = (("restype", "service"), ("comp", "userdelegationkey"))
    answer = blobs.service.call("POST", "/", query=query, headers={"content-type": "application/xml"}, body=body)
    root = xmltext.parse(answer.body)
    text = xmltext.text_of
    return DelegationKey(
        oid=text(root, "SignedOid"),
        tid=text(root, "SignedTid"),
        start=text(root, "SignedStart"),
        expiry=text(root, "SignedExpiry"),
        service=text(root, "SignedService"),
        version=text(root, "SignedVersion"),
        value=text(root, "Value"),
    )


def blob_url(
    blobs: Blobs,
    container: str,
    name: str,
    *,
    permissions: str,
    expiry: datetime,
    start: datetime | None = None,
    protocol: Literal["https", "https,http"] = "https",
    content_disposition: str = "",
    content_type: str = "",
    key: DelegationKey | None = None,
) -> str:
    """URL that grants the permissions (of "racwd", say "r" or "cw") on one blob until expiry.

    start: default 5 minutes ago, for the sake of clocks that differ. content_disposition, content_type: what the
    service answers a download with. key: needed where the account's credential is a token.
    """
    resource = f"/blob/{blobs.service.account.name}/{container}/{name}"
    url = blobs.url(container, name)
    answer = (content_disposition, content_type)
    return f"{url}?{_sign(blobs, resource, 'b', permissions, start, expiry, protocol, answer, key)}"


def container_query(
    blobs: Blobs,
    container: str,
    *,
    permissions: str,
    expiry: datetime,
    start: datetime | None = None,
    protocol: Literal["https", "https,http"] = "https",
    key: DelegationKey | None = None,
) -> str:
    """Query that grants the permissions (of "racwdl") on a container and its blobs."""
    resource = f"/blob/{blobs.service.account.name}{container_path(container)}"
    return _sign(blobs, resource, "c", permissions, start, expiry, protocol, ("", ""), key)


def file_url(
    files: Files,
    share: str,
    name: str,
    *,
    permissions: str,
    expiry: datetime,
    protocol: Literal["https", "https,http"] = "https",
) -> str:
    """URL that grants the permissions (of "rcwd") on one file until expiry."""
    resource = f"/file/{files.service.account.name}/{share}/{name}"
    return f"{files.url(share, name)}?{_sign_file(files, resource, 'f', permissions, expiry, protocol)}"


def share_query(
    files: Files,
    share: str,
    *,
    permissions: str,
    expiry: datetime,
    protocol: Literal["https", "https,http"] = "https",
) -> str:
    """Query that grants the permissions (of "rcwdl") on a share and its files."""
    resource = f"/file/{files.service.account.name}{container_path(share)}"
    return _sign_file(files, resource, "s", permissions, expiry, protocol)


def _sign_file(files: Files, resource: str, kind: str, permissions: str, expiry: datetime, protocol: str) -> str:
    credential = files.service.account.credential
    if not isinstance(credential, SharedKey):
        raise Invalid("signing needs the account's key")
    granted, since, until = _ordered(permissions), _time(datetime.now(UTC) - SKEW), _time(expiry)
    if until <= since:
        raise Invalid("the signature would end before it begins")
    fields = {"sv": VERSION, "spr": protocol, "st": since, "se": until, "sr": kind, "sp": granted}
    text = [granted, since, until, resource, "", "", protocol, VERSION, "", "", "", "", ""]
    fields["sig"] = credential.sign("\n".join(text))
    return urlencode(fields)


def _sign(
    blobs: Blobs,
    resource: str,
    kind: str,
    permissions: str,
    start: datetime | None,
    expiry: datetime,
    protocol: str,
    answer: tuple[str, str],
    key: DelegationKey | None,
) -> str:
    disposition, content_type = answer
    granted = _ordered(permissions)
    since = _time(start if start is not None else datetime.now(UTC) - SKEW)
    until = _time(expiry)
    if until <= since:
        raise Invalid("the signature would end before it begins")
    tail = ["", protocol, VERSION, kind, "", "", "", disposition, "", "", content_type]
    fields = {"sv": VERSION, "spr": protocol, "st": since, "se": until, "sr": kind, "sp": granted}
    if disposition:
        fields["rscd"] = disposition
    if content_type:
        fields["rsct"] = content_type
    if key is None:
        credential = blobs.service.account.credential
        if not isinstance(credential, SharedKey):
            raise Invalid("signing needs the account's key or a user delegation key")
        fields["sig"] = credential.sign("\n".join([granted, since, until, resource, "", *tail]))
    else:
        named = {"skoid": key.oid, "sktid": key.tid, "skt": key.start, "ske": key.expiry}
        named |= {"sks": key.service, "skv": key.version}
        text = "\n".join([granted, since, until, resource, *named.values(), "", "", "", *tail])
        digest = hmac.digest(base64.b64decode(key.value), text.encode(), "sha256")
        fields |= named
        fields["sig"] = base64.b64encode(digest).decode("ascii")
    return urlencode(fields)


def _ordered(permissions: str) -> str:
    """The service wants the letters in its own order."""
    if not permissions or any(letter not in _ORDER for letter in permissions):
        raise Invalid(f"not permissions: {permissions!r} (letters of {_ORDER})")
    return "".join(letter for letter in _ORDER if letter in permissions)


def _time(value: datetime) -> str:
    if value.tzinfo is None:
        raise Invalid("a datetime without time zone")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = [
    "VERSION",
    "DelegationKey",
    "blob_path",
    "blob_url",
    "container_query",
    "file_url",
    "get_user_delegation_key",
    "share_query",
]
