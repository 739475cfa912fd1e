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


class InteractiveLoginAuthentication(Authentication):
    """The token of this machine's user: MILLSTREAM_TOKEN, or the file that belongs to the service.

    v1's arguments `force`, `tenant_id` and `cloud` are accepted; nothing here asks for a login.
    """

    def __init__(self, force: bool = False, tenant_id: str | None = None, cloud: Any = None, *, url: str = "") -> None:
        del force, tenant_id, cloud
        self._url = url

    def get_token(self) -> str:
        config = find_config()
        return find_token(self._url or find_endpoint(config), config)
