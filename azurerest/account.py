"""A storage account: its name, its endpoints, and how requests to it are authorised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from azurerest.auth import Anonymous, Bearer, Credential, SharedAccessSignature, SharedKey, TokenProvider
from azurerest.errors import Invalid
from azurerest.http1 import Origin

SERVICES = ("blob", "queue", "table")
_NAME = re.compile(r"[a-z0-9]{3,24}\Z")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Public: the same in every emulator, https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1"
)


class Endpoint(NamedTuple):
    """Where a service answers. base: path before every resource ("" on Azure, "/account" on an emulator)."""

    origin: Origin
    base: str
    host_header: str

    @property
    def url(self) -> str:
        return f"{self.origin.scheme}://{self.host_header}{self.base}"

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Raises Invalid."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as fault:
            raise Invalid(f"not an endpoint: {url!r}") from fault
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise Invalid(f"not an endpoint: {url!r}")
        standard = 443 if parts.scheme == "https" else 80
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        header = host if port in (None, standard) else f"{host}:{port}"
        return cls(Origin(parts.scheme, parts.hostname, port or standard), parts.path.rstrip("/"), header)


class Account(NamedTuple):
    """name: the account's name. *_endpoint: URLs; that of files if needed. credential: signs the requests."""

    name: str
    blob_endpoint: str
    queue_endpoint: str
    table_endpoint: str
    credential: Credential = Anonymous()
    file_endpoint: str = ""

    def endpoint(self, service: str) -> Endpoint:
        """The endpoint of "blob", "queue", "table" or "file", checked. Raises Invalid."""
        if not _NAME.match(self.name):
            raise Invalid(f"not an account name: {self.name!r}")
        urls = {
            "blob": self.blob_endpoint,
            "queue": self.queue_endpoint,
            "table": self.table_endpoint,
            "file": self.file_endpoint,
        }
        endpoint = Endpoint.parse(urls[service])
        if self.credential.secure_only and endpoint.origin.scheme != "https" and endpoint.origin.host not in _LOOPBACK:
            raise Invalid(f"a token must not travel over plain HTTP to {endpoint.origin.host}")
        return endpoint

    @classmethod
    def from_connection_string(cls, text: str) -> Account:
        """From a connection string: account key, SAS, or UseDevelopmentStorage=true. Raises Invalid."""
        fields = _fields(text)
        if fields.get("usedevelopmentstorage", "").lower() == "true":
            fields = _fields(_DEVELOPMENT)
        protocol = fields.get("defaultendpointsprotocol", "https")
        suffix = fields.get("endpointsuffix", "core.windows.net")
        name = fields.get("accountname", "")
        urls = {
            service: fields.get(f"{service}endpoint") or (f"{protocol}://{name}.{service}.{suffix}" if name else "")
            for service in SERVICES
        }
        name = name or _name_in(next((url for url in urls.values() if url), ""))
        blob, queue, table = (url or f"{protocol}://{name}.{service}.{suffix}" for service, url in urls.items())
        return cls(name, blob, queue, table, _credential(fields))._checked()

    @classmethod
    def from_token(
        cls,
        name: str,
        token_provider: TokenProvider,
        *,
        endpoint_suffix: str = "core.windows.net",
        endpoints: Mapping[str, str] | None = None,
    ) -> Account:
        """Authorised by a bearer token (a managed identity, for one).

        token_provider: returns (token, expiry as epoch seconds) for the scope https://storage.azure.com/.default.
        endpoints: URLs by "blob", "queue", "table" where they are not the usual ones.
        """
        given = dict(endpoints or {})
        urls = {service: given.get(service) or f"https://{name}.{service}.{endpoint_suffix}" for service in SERVICES}
        return cls(name, urls["blob"], urls["queue"], urls["table"], Bearer(token_provider))._checked()

    def _checked(self) -> Account:
        for service in SERVICES:
            self.endpoint(service)
        return self


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in text.strip().split(";"):
        if part.strip():
            name, mark, value = part.strip().partition("=")
            if not mark:
                raise Invalid("a connection string is Name=value;Name=value;...")
            fields[name.lower()] = value
    if not fields:
        raise Invalid("the connection string is empty")
    return fields


def _credential(fields: dict[str, str]) -> Credential:
    if key := fields.get("accountkey"):
        return SharedKey(key)
    if signature := fields.get("sharedaccesssignature"):
        return SharedAccessSignature(signature)
    raise Invalid("the connection string has neither AccountKey nor SharedAccessSignature")


def _name_in(url: str) -> str:
    """The account's name in an endpoint: the first label of a host name, or the path on an emulator."""
    parts = urlsplit(url)
    return parts.path.strip("/") or (parts.hostname or "").split(".")[0]
