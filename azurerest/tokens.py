"""Where bearer tokens come from: the identity of an app on Azure, and a service principal with a secret.

Contracts: "How to use managed identities for App Service" (REST endpoint reference, 2019-08-01) and "OAuth 2.0 client
credentials flow" of the Microsoft identity platform.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from azurerest.auth import TokenProvider
from azurerest.errors import Forbidden, Invalid, Unreachable

RESOURCE: Final = "https://storage.azure.com/"
PUBLIC: Final = "https://login.microsoftonline.com"
_TIMEOUT: Final = 30.0
_LONGEST: Final = 1 << 20


def managed_identity(variables: Mapping[str, str], *, resource: str = RESOURCE) -> TokenProvider | None:
    """The identity that the platform offers in IDENTITY_ENDPOINT and IDENTITY_HEADER; None: it offers none."""
    endpoint, header = variables.get("IDENTITY_ENDPOINT"), variables.get("IDENTITY_HEADER")
    if not endpoint or not header:
        return None
    query = urlencode({"resource": resource, "api-version": "2019-08-01"})

    def provide() -> tuple[str, float]:
        answer = _ask(f"{endpoint}?{query}", {"X-IDENTITY-HEADER": header}, None, "The app's identity")
        return str(answer["access_token"]), float(answer["expires_on"])

    return provide


def service_principal(tenant: str, client: str, secret: str, *, authority: str = "") -> TokenProvider:
    """An application of a tenant. authority: where the tenant signs in, by default that of the public cloud."""
    url = f"{(authority or PUBLIC).rstrip('/')}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    if not url.startswith("https://") and not url.startswith(("http://127.0.0.1:", "http://localhost:")):
        raise Invalid("a secret must not travel over plain HTTP")
    form = {"client_id": client, "client_secret": secret, "grant_type": "client_credentials"}
    form["scope"] = f"{RESOURCE}.default"

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
