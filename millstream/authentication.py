"""Who calls: objects whose `get_authentication_header()` goes into any HTTP request, `requests` included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from millstream.config import find_config, find_endpoint, find_token
from millstream.errors import ConfigurationError


class Authentication:
    """What all of them offer."""

    def get_token(self) -> str:
        """The bearer token itself. Raises ConfigurationError when there is none."""
        raise NotImplementedError

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


class FoundAuthentication(Authentication):
    """The token of this machine's user: MILLSTREAM_TOKEN, or the file that belongs to the service.

    v1's classes for the several ways to log in are all this: the service knows tokens, and no other credentials.
    """

    def __init__(self, *, url: str = "") -> None:
        self._url = url

    def get_token(self) -> str:
        config = find_config()
        return find_token(self._url or find_endpoint(config), config)


class InteractiveLoginAuthentication(FoundAuthentication):
    """v1's arguments are accepted; nothing here asks for a login."""

    def __init__(self, force: bool = False, tenant_id: str | None = None, cloud: Any = None, *, url: str = "") -> None:
        del force, tenant_id, cloud
        super().__init__(url=url)


class AzureCliAuthentication(FoundAuthentication):
    """v1's arguments are accepted; the Azure CLI is not asked."""

    def __init__(self, cloud: Any = None, *, url: str = "") -> None:
        del cloud
        super().__init__(url=url)


class MsiAuthentication(FoundAuthentication):
    """v1's arguments are accepted; no identity is asked for."""

    def __init__(
        self, identity_config: Any = None, tenant_id: str | None = None, cloud: Any = None, *, url: str = ""
    ) -> None:
        del identity_config, tenant_id, cloud
        super().__init__(url=url)


class ServicePrincipalAuthentication(FoundAuthentication):
    """v1's arguments are accepted; the principal's password is neither kept nor sent."""

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
        del tenant_id, service_principal_id, service_principal_password, cloud, _enable_caching
        super().__init__(url=url)
