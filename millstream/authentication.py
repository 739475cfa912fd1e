"""Who calls: objects whose `get_authentication_header()` goes into any HTTP request, `requests` included."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol, cast

from millstream.config import Found, find_config, find_endpoint, find_functions_key, find_token
from millstream.errors import ConfigurationError
from millstream.sign_in import SignIn, sign_in_of

KEY_HEADER: Final = "x-functions-key"


class AccessToken(Protocol):
    """What a credential gives."""

    @property
    def token(self) -> str: ...


class Credential(Protocol):
    """A credential of azure-identity."""

    def get_token(self, *scopes: str) -> AccessToken: ...


class Authentication(ABC):
    """What all of them offer."""

    @abstractmethod
    def get_token(self) -> str:
        """The bearer token itself. Raises ConfigurationError when there is none."""

    def get_authentication_header(self) -> dict[str, str]:
        """`{"Authorization": "Bearer ..."}`, as `headers=` of `requests` takes it."""
        return {"Authorization": f"Bearer {self.get_token()}"}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class TokenAuthentication(Authentication):
    """A token at hand, or a function that gives one (v1 hands it the audience that the token is for)."""

    def __init__(self, get_token_for_audience: str | Callable[[str], str]) -> None:
        self._source = get_token_for_audience

    def get_token(self) -> str:
        token = self._source if isinstance(self._source, str) else self._source("millstream")
        if not token:
            raise ConfigurationError("TokenAuthentication was given an empty token.")
        return token


class FunctionsKeyAuthentication(Authentication):
    """A key of the Functions app, for a service that asks for one; not of v1. `also`: a token that goes with it."""

    def __init__(self, key: str, also: Authentication | None = None) -> None:
        if not key:
            raise ConfigurationError("FunctionsKeyAuthentication was given an empty key.")
        self._key = key
        self._also = also

    def get_token(self) -> str:
        if self._also is None:
            raise ConfigurationError("A key of the Functions app is no bearer token: use get_authentication_header().")
        return self._also.get_token()

    def get_authentication_header(self) -> dict[str, str]:
        """`{"x-functions-key": ...}`, and the token's header if there is one."""
        return {KEY_HEADER: self._key} | (self._also.get_authentication_header() if self._also else {})


class CredentialAuthentication(Authentication):
    """A credential of azure-identity, or anything else with its `get_token(scope)`.

    audience: the client id of the app registration that stands for the service. The credential keeps its tokens itself.
    """

    def __init__(self, credential: Credential, audience: str) -> None:
        self._credential = credential
        self._scope = f"{audience}/.default"

    def get_token(self) -> str:
        return self._credential.get_token(self._scope).token


class FoundAuthentication(Authentication):
    """The token of this machine's user: MILLSTREAM_TOKEN, or the file that belongs to the service. Where neither is,
    and the service takes tokens of Entra ID, one of those; `first`: that one goes before. With MILLSTREAM_FUNCTIONS_KEY
    that key is sent, too, and nobody signs in who does not ask for it.
    """

    first = False

    def __init__(self, *, url: str = "") -> None:
        self._url = url
        self._config: Found | None = None
        self._signed_in: Authentication | None = None

    def at(self, url: str, config: Found | None) -> FoundAuthentication:
        """The same, for the service at `url` as this configuration knows it."""
        bound = copy.copy(self)
        bound._url, bound._config, bound._signed_in = url, config, None
        return bound

    def get_token(self) -> str:
        config = self._config or find_config()
        url = self._url or find_endpoint(config)
        if self._signed_in is None and self.first:
            self._signed_in = self._sign_in(url)
        if self._signed_in is not None:
            return self._signed_in.get_token()
        try:
            return find_token(url, config)
        except ConfigurationError:
            self._signed_in = self._sign_in(url)
            if self._signed_in is None:
                raise
            return self._signed_in.get_token()

    def get_authentication_header(self) -> dict[str, str]:
        key = find_functions_key(self._url or find_endpoint(self._config or find_config()))
        if not key:
            return super().get_authentication_header()
        return {KEY_HEADER: key} | (super().get_authentication_header() if self.first or self._token_at_hand() else {})

    def _token_at_hand(self) -> bool:
        config = self._config or find_config()
        try:
            find_token(self._url or find_endpoint(config), config)
        except ConfigurationError:
            return False
        return True

    def check(self) -> None:
        """Raises ConfigurationError when there will be nothing to call with, without getting it."""
        url = self._url or find_endpoint(self._config)
        if find_functions_key(url):
            return
        try:
            find_token(url, self._config)
        except ConfigurationError:
            if not sign_in_of(url).audience:
                raise

    def _sign_in(self, url: str) -> Authentication | None:
        """What signs in to Entra ID for this service; None: it takes no such tokens."""
        where = sign_in_of(url)
        if not where.audience:
            return None
        try:
            # The user's, not ours: no other part of the client needs it.
            identity = import_module("azure.identity")
        except ImportError:
            raise ConfigurationError(
                f"{url} is opened by Entra ID, for which azure-identity is needed: pip install 'millstream[entra]'"
            ) from None
        return CredentialAuthentication(self._made(identity, where), where.audience)

    def _made(self, identity: Any, where: SignIn) -> Credential:
        """The credential. `identity`: the module azure.identity."""
        options = {"tenant_id": where.tenant, "authority": where.authority}
        chain = (identity.AzureCliCredential(tenant_id=where.tenant), identity.InteractiveBrowserCredential(**options))
        return cast(Credential, identity.ChainedTokenCredential(*chain))


class InteractiveLoginAuthentication(FoundAuthentication):
    """The login of the Azure CLI where there is one, else a browser. `force` and `cloud` are accepted."""

    def __init__(self, force: bool = False, tenant_id: str | None = None, cloud: Any = None, *, url: str = "") -> None:
        del force, tenant_id, cloud
        super().__init__(url=url)


class AzureCliAuthentication(FoundAuthentication):
    """The login of the Azure CLI. `cloud` is accepted."""

    def __init__(self, cloud: Any = None, *, url: str = "") -> None:
        del cloud
        super().__init__(url=url)

    def _made(self, identity: Any, where: SignIn) -> Credential:
        return cast(Credential, identity.AzureCliCredential(tenant_id=where.tenant))


class MsiAuthentication(FoundAuthentication):
    """The managed identity of the machine; `identity_config`: {"client_id": ...} of one of several."""

    first = True

    def __init__(
        self, identity_config: Any = None, tenant_id: str | None = None, cloud: Any = None, *, url: str = ""
    ) -> None:
        del tenant_id, cloud
        super().__init__(url=url)
        self._identity = dict(identity_config or {})

    def _made(self, identity: Any, where: SignIn) -> Credential:
        del where
        return cast(Credential, identity.ManagedIdentityCredential(**self._identity))


class ServicePrincipalAuthentication(FoundAuthentication):
    """An application of the tenant, by its password. `cloud` and caching are accepted: tokens are always kept."""

    first = True

    def __init__(
        self,
        tenant_id: str,
        service_principal_id: str,
        service_principal_password: str,
        cloud: Any = None,
        _enable_caching: bool = True,
        *,
        url: str = "",
    ) -> None:
        del cloud, _enable_caching
        super().__init__(url=url)
        self._principal = (tenant_id, service_principal_id, service_principal_password)

    def _made(self, identity: Any, where: SignIn) -> Credential:
        options = {"authority": where.authority, "disable_instance_discovery": True}
        return cast(Credential, identity.ClientSecretCredential(*self._principal, **options))
