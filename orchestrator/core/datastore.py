"""A registered datastore: what its name stands for, beside the containers of the settings.

What is secret about it is never here in clear: `sealed` is what `orchestrator.secrets` made of it.

A container or share is named to the worker's store and to the effects of `orchestrator.files` by its *address*: a
plain name is a container of the service's own account, and NAME@VERSION is that of a registered datastore, as
registered then.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.names import TEXT

Type = Literal[
    "AzureBlob", "AzureDataLakeGen2", "AzureFile", "AzureSqlDatabase", "AzurePostgreSql", "AzureMySql", "Sql"
]
Auth = Literal["account_key", "sas", "service_principal", "identity", "password", "none"]

FILES: Final = ("AzureBlob", "AzureDataLakeGen2", "AzureFile")
"""Types whose files can be read and written."""
SQL: Final = ("AzureSqlDatabase", "AzurePostgreSql", "AzureMySql", "Sql")
SECRET: Final = ("account_key", "sas", "service_principal", "password")
"""Ways to authenticate that have a secret."""
_AUTH_OF: Final[dict[str, tuple[str, ...]]] = {
    "AzureBlob": ("account_key", "sas", "service_principal", "identity"),
    "AzureDataLakeGen2": ("account_key", "sas", "service_principal", "identity"),
    "AzureFile": ("account_key", "sas"),
    **dict.fromkeys(SQL, ("password", "none")),
}
_BY_TOKEN: Final = ("service_principal", "identity")
_STORAGE_HOSTS: Final = (
    ".core.windows.net",
    ".core.usgovcloudapi.net",
    ".core.chinacloudapi.cn",
    ".storage.azure.net",
)
_HERE: Final = ("127.0.0.1", "localhost", "::1")
LONGEST_SECRET: Final = 8_000
_LONGEST: Final = 2_000
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"(?=.{3,63}\Z)(\$root|\$web|[a-z0-9](-?[a-z0-9])*)")
_GUID_OR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,127}")
_SCHEME = re.compile(r"[a-z][a-z0-9_]*(\+[a-z][a-z0-9_]*)?")
_TELLTALE = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)


class Datastore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """For storage: the account, the container (file system, share), the URL of the blob service (of the file service).
    For SQL: a SQLAlchemy URL without password. `tenant`, `client`, `authority`: of a service principal.

    `created_at` in epoch seconds.
    """

    name: str
    type: Type
    auth: Auth
    account: str = ""
    container: str = ""
    endpoint: str = ""
    url: str = ""
    tenant: str = ""
    client: str = ""
    authority: str = ""
    sealed: str = ""
    created_at: float = 0.0

    @property
    def has_files(self) -> bool:
        return self.type in FILES


def check(found: Datastore) -> Datastore:
    """The datastore itself, if its parts fit together. Raises InvalidRequest."""
    if found.auth not in _AUTH_OF[found.type]:
        fit = ", ".join(_AUTH_OF[found.type])
        raise InvalidRequest(f"A datastore of type {found.type} has the auth {fit}.", field="auth")
    (_check_sql if found.type in SQL else _check_storage)(found)
    principal = found.auth == "service_principal"
    for field in ("tenant", "client"):
        value = getattr(found, field)
        if bool(value) != principal or (value and not _GUID_OR_NAME.fullmatch(value)):
            raise InvalidRequest(f"A service principal, and nothing else, has a {field}.", field=field)
    if found.authority:
        _check_endpoint(found.authority, "authority")
    return found


def _check_storage(found: Datastore) -> None:
    if found.url:
        raise InvalidRequest("Only a SQL datastore has a URL. Give endpoint, account and container.", field="url")
    if not _ACCOUNT.fullmatch(found.account):
        message = "The name of a storage account has 3 to 24 lower-case letters and digits."
        raise InvalidRequest(message, field="account")
    if not _CONTAINER.fullmatch(found.container):
        message = "A container has 3 to 63 lower-case letters, digits and single hyphens."
        raise InvalidRequest(message, field="container")
    _check_endpoint(found.endpoint, "endpoint")
    if found.auth in _BY_TOKEN and not _takes_tokens(found.endpoint):
        message = (
            "A token of an identity is sent to https hosts of Azure Storage only, such as "
            "https://<account>.blob.core.windows.net."
        )
        raise InvalidRequest(message, field="endpoint")


def _takes_tokens(endpoint: str) -> bool:
    """Whether it is storage, and not somebody who would like to have a token of this service."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    return host in _HERE or (parts.scheme == "https" and host.endswith(_STORAGE_HOSTS))


def _check_endpoint(endpoint: str, field: str) -> None:
    good = re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", endpoint)
    try:
        good = good if urlsplit(endpoint).port != 0 and len(endpoint) <= _LONGEST else None
    except ValueError:
        good = None
    if not good:
        raise InvalidRequest("It must be an http or https URL without user and query.", field=field)


def _check_sql(found: Datastore) -> None:
    if found.account or found.container or found.endpoint:
        raise InvalidRequest("A SQL datastore has a URL, and no account, container and endpoint.", field="url")
    scheme, mark, rest = found.url.partition("://")
    plain = TEXT.allows(found.url) and found.url.isprintable() and " " not in found.url and len(found.url) <= _LONGEST
    if not mark or not rest or not _SCHEME.fullmatch(scheme) or not plain:
        message = "Give a SQLAlchemy URL, as in postgresql+psycopg://user@host/database."
        raise InvalidRequest(message, field="url")
    if password_in(found.url) is not None:
        raise InvalidRequest("The URL holds a password. Give it as the secret, by itself.", field="url")
    query = rest.partition("?")[2]
    if any(_TELLTALE.search(part.partition("=")[0]) for part in query.split("&")):
        raise InvalidRequest("The URL's query holds what may be a secret. Leave it out.", field="url")


def password_in(url: str) -> str | None:
    """The password in a SQLAlchemy URL."""
    user = _userinfo(url)
    _, mark, password = user.partition(":")
    return unquote(password) if mark else None


def without_password(url: str) -> str:
    user = _userinfo(url)
    return url.replace(f"{user}@", f"{user.partition(':')[0]}@", 1) if user else url


def with_password(url: str, password: str) -> str:
    """A SQLAlchemy URL with the password put in: a secret itself. One without a user stays as it is."""
    user = _userinfo(url)
    return url.replace(f"{user}@", f"{user.partition(':')[0]}:{quote(password, safe='')}@", 1) if user else url


def _userinfo(url: str) -> str:
    """user:password of a URL, or "". SQLAlchemy takes a password with any character but an @ that is not encoded."""
    authority = url.partition("://")[2].partition("?")[0]
    user, mark, _ = authority.rpartition("@")
    return user if mark else ""


def encode(found: Datastore) -> bytes:
    return msgspec.json.encode(found)


_decoder = msgspec.json.Decoder(Datastore)


def decode(data: str | bytes) -> Datastore:
    return _decoder.decode(data)


def address_of(found: Datastore) -> str:
    """The address of its container."""
    return f"{found.name}@{hashlib.sha256(encode(found)).hexdigest()[:16]}"


def registered_in(address: str) -> str | None:
    """The datastore's name in the address of a registered one; None: the address is a container's own name."""
    name, mark, _ = address.partition("@")
    return name if mark else None


__all__ = [
    "FILES",
    "SECRET",
    "SQL",
    "Auth",
    "Datastore",
    "Type",
    "address_of",
    "check",
    "decode",
    "encode",
    "password_in",
    "registered_in",
    "with_password",
    "without_password",
]
