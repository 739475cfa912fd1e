"""A workspace or cluster of another service that is attached under the name of a compute.

Types: Batch, an account of Azure Batch; Databricks, Synapse with a Spark pool, and Kusto, which is Azure Data Explorer.

What is secret about it is never here in clear: `sealed` is what `orchestrator.secrets` made of it.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from orchestrator.core.errors import InvalidRequest

Type = Literal["Batch", "Databricks", "Kusto", "Synapse"]
Auth = Literal["token", "service_principal", "identity"]
LONGEST_SECRET: Final = 8_000
_AUTH_OF: Final[dict[str, tuple[Auth, ...]]] = {
    "Batch": ("token", "service_principal", "identity"),
    "Databricks": ("token",),
    "Kusto": ("token", "service_principal", "identity"),
    "Synapse": ("token", "service_principal", "identity"),
}
_HERE: Final = ("127.0.0.1", "localhost", "::1")
_HOSTS: Final[dict[str, tuple[str, ...]]] = {
    "Batch": (".batch.azure.com", ".batch.usgovcloudapi.net", ".batch.chinacloudapi.cn"),
    "Kusto": (".kusto.windows.net", ".kusto.usgovcloudapi.net", ".kusto.chinacloudapi.cn"),
    "Synapse": (".dev.azuresynapse.net", ".dev.azuresynapse.usgovcloudapi.net", ".dev.azuresynapse.azure.cn"),
}
"""Where a token of an identity may go."""
_URL: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,300}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`url`: of the workspace, without a path. `pool`: the Spark pool of a Synapse workspace. `tenant`, `client`: of a
    service principal. `created_at` in epoch seconds.
    """

    name: str
    type: Type
    url: str
    pool: str = ""
    auth: Auth = "token"
    tenant: str = ""
    client: str = ""
    sealed: str = ""
    created_at: float = 0.0

    @property
    def has_secret(self) -> bool:
        return self.auth != "identity"

    @property
    def plain(self) -> Attachment:
        """As it was asked for: what the secret is for."""
        return msgspec.structs.replace(self, sealed="", created_at=0.0)


def check(found: Attachment) -> None:
    """Raises InvalidRequest naming the field."""
    if found.auth not in _AUTH_OF[found.type]:
        ways = ", ".join(_AUTH_OF[found.type])
        raise InvalidRequest(f"{found.type} is opened by {ways}, not by {found.auth}.", field="auth")
    _check_url(found)
    if bool(found.pool) != (found.type == "Synapse"):
        needed = "needs the name of a Spark pool" if found.type == "Synapse" else "has no pools"
        raise InvalidRequest(f"{found.type} {needed}.", field="pool")
    for name in ("tenant", "client"):
        if bool(getattr(found, name)) != (found.auth == "service_principal"):
            raise InvalidRequest("Tenant and client are of a service principal, which needs both.", field=name)
    for name in ("pool", "tenant", "client"):
        if (value := getattr(found, name)) and not _PLAIN.fullmatch(value):
            raise InvalidRequest("Use letters, digits, hyphens, underscores and dots.", field=name)


def _check_url(found: Attachment) -> None:
    try:
        parts = urlsplit(found.url) if _URL.fullmatch(found.url) else None
        good = parts is not None and parts.port != 0 and bool(parts.hostname)
    except ValueError:
        good, parts = False, None
    if not good or parts is None:
        example = "https://adb-1234567890123456.7.azuredatabricks.net"
        raise InvalidRequest(f"Give the URL of the workspace without a path, as in {example}.", field="url")
    host = parts.hostname or ""
    if parts.scheme != "https" and host not in _HERE:
        raise InvalidRequest("A token must not travel over plain HTTP: use https.", field="url")
    hosts = _HOSTS.get(found.type, ())
    if found.auth != "token" and host not in _HERE and not host.endswith(hosts):
        message = f"A token of an identity is sent to {found.type} only, as in https://<name>{hosts[0]}."
        raise InvalidRequest(message, field="url")


encode = msgspec.json.encode
decode = msgspec.json.Decoder(Attachment).decode
