"""The storage account that the settings of a Functions app name: by a connection string, or by identity.

    account = connection(os.environ, "AzureWebJobsStorage")

Contract: "Connection values" and "Configure an identity-based connection" of the Azure Functions reference: beside
NAME, the settings NAME__accountName, or NAME__blobServiceUri and its like, and NAME__clientId.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from azurerest.account import SERVICES, Account
from azurerest.auth import TokenProvider
from azurerest.errors import Invalid
from azurerest.tokens import managed_identity

IDENTITIES: Final = ("managedidentity", "workloadidentity")


def connection(variables: Mapping[str, str], name: str) -> Account:
    """The account of the connection `name`; the names of settings are looked up without regard to case, as the host's
    are. Raises Invalid: it is not set, not valid, or there is no identity.
    """
    given = {variable.lower(): value for variable, value in variables.items() if value}

    def of(part: str) -> str:
        return given.get(f"{name}__{part}".lower(), "")

    text, named = given.get(name.lower(), ""), of("accountName")
    urls = {service: url.rstrip("/") for service in SERVICES if (url := of(f"{service}ServiceUri"))}
    if text and (named or urls):
        raise Invalid(f"{name} is set twice: as a connection string, and by identity")
    if text:
        return Account.from_connection_string(text)
    if not named and not urls:
        raise Invalid(f"neither {name} nor {name}__accountName is set")
    kind = of("credential") or IDENTITIES[0]
    if kind.lower() not in IDENTITIES:
        raise Invalid(f"{name}__credential is {kind!r}; it must be {' or '.join(IDENTITIES)}")
    provider = managed_identity(variables, client=of("clientId"))
    if provider is None:
        raise Invalid(f"{name} is to be opened by identity, and the platform offers none (IDENTITY_ENDPOINT)")
    return _by_identity(named, urls, provider)


def is_set(variables: Mapping[str, str], name: str) -> bool:
    """Whether any setting of the connection is there."""
    beginnings = (name.lower(), f"{name.lower()}__")
    return any(v.lower() == beginnings[0] or v.lower().startswith(beginnings[1]) for v in variables)


def _by_identity(named: str, urls: Mapping[str, str], provider: TokenProvider) -> Account:
    if named:
        return Account.from_token(named, provider, endpoints=urls)
    parts = urlsplit(next(iter(urls.values())))
    host = (parts.hostname or "").split(".")
    # On Azure the account is the first label of the host, and its other services differ in the second.
    name, suffix = parts.path.strip("/") or host[0], ".".join(host[2:]) or "core.windows.net"
    return Account.from_token(name, provider, endpoints=urls, endpoint_suffix=suffix)
