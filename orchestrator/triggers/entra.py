"""Callers that Entra ID knows: bearer tokens of one tenant for one application, with app roles.

Contracts: "Access tokens in the Microsoft identity platform" (issuers and claims of versions 1 and 2 of tokens) and
OpenID Connect Discovery (keys as JWKS). Only RS256 is accepted, which is what Entra ID signs with; a key is looked up
by its id, fetched when it is not known, and not fetched again within half a minute however many unknown ids come.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.errors import Unauthorized, Unavailable
from orchestrator.triggers.auth import Authorizer, Principal, Role, bearer_token

if TYPE_CHECKING:
    import jwt

log = logging.getLogger("millstream.auth")

AUTHORITY: Final = "https://login.microsoftonline.com"
LEEWAY: Final = 60.0
"""Seconds by which the clocks of who signs and who checks may differ."""
_ALGORITHMS: Final = ("RS256",)
_KEYS_KEPT: Final = 3600
_COOLDOWN: Final = 30.0
_TIMEOUT: Final = 5
_LONGEST: Final = 16_384
_NAMES: Final = {role.name.title(): role for role in Role}


class EntraAuthorizer:
    """tenant, audience: ids of the directory and of the app registration. authority: where the tenant signs in.
    cooldown: seconds between two fetches of keys for the sake of one that is not known.

    The app roles Reader, Submitter, Operator and Owner of a token are the caller's; without one of them the caller is
    known, and may do nothing. Thread-safe.
    """

    def __init__(self, *, tenant: str, audience: str, authority: str = AUTHORITY, cooldown: float = _COOLDOWN) -> None:
        self._cooldown = cooldown
        self._tenant = tenant
        self._audiences = (audience, f"api://{audience}")
        base = authority.rstrip("/")
        self._issuers = (f"{base}/{tenant}/v2.0", f"https://sts.windows.net/{tenant}/")
        self._keys_url = f"{base}/{tenant}/discovery/v2.0/keys"
        self._fetching = threading.Lock()

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        """Raises Unauthorized; Unavailable when the keys of the tenant cannot be fetched."""
        text = bearer_token(headers)
        if len(text) > _LONGEST:
            raise Unauthorized("The token is too long to be one.", field="Authorization")
        claims = self._verified(text)
        if claims.get("tid") != self._tenant:
            raise Unauthorized("The token is of another tenant.", field="Authorization")
        return Principal(name=str(claims.get("oid") or claims["sub"]), roles=_roles(claims.get("roles")))

    def _verified(self, text: str) -> Mapping[str, Any]:
        """The claims of a token whose signature, issuer, audience and times are right."""
        import jwt

        try:
            key = self._key(text)
            return jwt.decode(
                text,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audiences,
                issuer=self._issuers,
                leeway=LEEWAY,
                options={"require": ["exp", "nbf", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            log.warning("the keys of the tenant cannot be fetched: %s", type(error.__cause__ or error).__name__)
            raise Unavailable("The keys that tokens are signed with cannot be fetched now. Try again.") from None
        except jwt.PyJWTError as error:
            raise Unauthorized(f"The token is not accepted: {_reason(error)}.", field="Authorization") from None

    def _key(self, text: str) -> jwt.PyJWK:
        import jwt

        header = jwt.get_unverified_header(text)
        if header.get("alg") not in _ALGORITHMS or not isinstance(header.get("kid"), str):
            raise jwt.InvalidAlgorithmError
        with self._fetching:
            return self._keys.get_signing_key(header["kid"])

    @cached_property
    def _keys(self) -> jwt.PyJWKClient:
        import jwt

        return jwt.PyJWKClient(self._keys_url, lifespan=_KEYS_KEPT, timeout=_TIMEOUT, cooldown_duration=self._cooldown)


class EitherAuthorizer:
    """Tokens with the shape of a JWT go to `entra`, all others to `others`."""

    def __init__(self, entra: Authorizer, others: Authorizer) -> None:
        self._entra = entra
        self._others = others

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        chosen = self._entra if bearer_token(headers).count(".") == 2 else self._others
        return chosen.authorize(headers)


def _roles(claim: object) -> frozenset[Role]:
    names: Collection[object] = claim if isinstance(claim, list) else ()
    return frozenset(_NAMES[name] for name in names if isinstance(name, str) and name in _NAMES)


def _reason(error: jwt.PyJWTError) -> str:
    """In words that hold nothing of the token."""
    import jwt

    reasons: tuple[tuple[type[Exception], str], ...] = (
        (jwt.ExpiredSignatureError, "it has expired"),
        (jwt.ImmatureSignatureError, "it is not valid yet"),
        (jwt.InvalidAudienceError, "it is for another application"),
        (jwt.InvalidIssuerError, "it is of another issuer"),
        (jwt.InvalidAlgorithmError, "it is not signed with RS256 by a key with an id"),
        (jwt.PyJWKClientError, "it is signed with an unknown key"),
        (jwt.MissingRequiredClaimError, "a claim is missing"),
        (jwt.InvalidSignatureError, "its signature is wrong"),
    )
    return next((words for kind, words in reasons if isinstance(error, kind)), "it is malformed")
