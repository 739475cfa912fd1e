"""Where bearer tokens come from: the identity of an app on Azure or of a pod, and a service principal with a secret.

Contracts: "How to use managed identities for App Service" (REST endpoint reference, 2019-08-01), which Container Apps
share; "OAuth 2.0 client credentials flow" of the Microsoft identity platform, with a secret or a federated credential;
Azure AD Workload Identity's variables of a pod.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from azurerest.auth import TokenProvider
from azurerest.errors import Forbidden, Invalid, Unreachable

RESOURCE: Final = "https://storage.azure.com/"
PUBLIC: Final = "https://login.microsoftonline.com"
_TIMEOUT: Final = 30.0
_LONGEST: Final = 1 << 20


def managed_identity(
    variables: Mapping[str, str], *, resource: str = RESOURCE, client: str = ""
) -> TokenProvider | None:
    """The identity that the platform offers in IDENTITY_ENDPOINT and IDENTITY_HEADER; None: it offers none.

    client: which of several identities, by its client id; "": the system's own, or the only one.
    """
    endpoint, header = variables.get("IDENTITY_ENDPOINT"), variables.get("IDENTITY_HEADER")
    if not endpoint or not header:
        return _workload_identity(variables, resource, client)
    query = urlencode({"resource": resource, "api-version": "2019-08-01"} | ({"client_id": client} if client else {}))

    def provide() -> tuple[str, float]:
        answer = _ask(f"{endpoint}?{query}", {"X-IDENTITY-HEADER": header}, None, "The app's identity")
        return str(answer["access_token"]), float(answer["expires_on"])

    return provide


def _workload_identity(variables: Mapping[str, str], resource: str, client: str) -> TokenProvider | None:
    """The identity of a pod: a token of the cluster, exchanged for one of the tenant."""
    file, tenant = variables.get("AZURE_FEDERATED_TOKEN_FILE"), variables.get("AZURE_TENANT_ID")
    client = client or variables.get("AZURE_CLIENT_ID", "")
    if not file or not tenant or not client:
        return None
    url = _token_url(tenant, variables.get("AZURE_AUTHORITY_HOST", ""))
    form = {
        "client_id": client,
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "scope": f"{resource.rstrip('/')}/.default",
    }

    def provide() -> tuple[str, float]:
        asked_at = time.time()
        # The cluster writes the file anew before its token ends.
        assertion = Path(file).read_text().strip()
        body = urlencode(form | {"client_assertion": assertion}).encode()
        answer = _ask(url, {}, body, f"The workload identity {client}")
        return str(answer["access_token"]), asked_at + float(answer["expires_in"])

    return provide


def _token_url(tenant: str, authority: str) -> str:
    """Raises Invalid: a secret would travel in clear."""
    url = f"{(authority or PUBLIC).rstrip('/')}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    if not url.startswith("https://") and not url.startswith(("http://127.0.0.1:", "http://localhost:")):
        raise Invalid("a secret must not travel over plain HTTP")
    return url


def service_principal(
    tenant: str, client: str, secret: str, *, authority: str = "", resource: str = RESOURCE
) -> TokenProvider:
    """An application of a tenant. authority: where the tenant signs in, by default that of the public cloud."""
    url = _token_url(tenant, authority)
    form = {"client_id": client, "client_secret": secret, "grant_type": "client_credentials"}
    form["scope"] = f"{resource}.default"

    def provide() -> tuple[str, float]:
        asked_at = time.time()
        answer = _ask(url, {}, urlencode(form).encode(), f"The service principal {client}")
        return str(answer["access_token"]), asked_at + float(answer["expires_in"])

    return provide


def _ask(url: str, headers: dict[str, str], body: bytes | None, who: str) -> dict[str, Any]:
    """The answer as JSON. Raises Forbidden, Unreachable; no text holds what was sent."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    request = Request(url, data=body, headers=headers)  # noqa: S310 - http or https: configured, or checked above
    try:
        with urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            found = json.loads(answer.read(_LONGEST))
    except HTTPError as fault:
        with fault:
            raise Forbidden(f"{who} got no token: status {fault.code} {_code(fault.read(_LONGEST))}".rstrip()) from None
    except (OSError, ValueError) as fault:
        raise Unreachable(f"{who} got no token: {type(fault).__name__}") from None
    if not isinstance(found, dict) or not {"access_token"} <= set(found):
        raise Forbidden(f"{who} got an answer without a token")
    return found


def _code(body: bytes) -> str:
    """The error code of an answer, such as invalid_client."""
    try:
        code = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and code.isascii() and len(code) < 100 else ""
