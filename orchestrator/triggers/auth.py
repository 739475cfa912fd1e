"""Who calls, and what they may do. Fails closed: without a configured token every call is refused.

An Authorizer turns the headers of a request into a Principal with roles; a route asks for one role. A higher role
includes the lower ones. The script of a step has no role: what it may do is in `orchestrator.triggers.rights`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from orchestrator.core import run_token
from orchestrator.core.errors import Unauthorized, UserError
from orchestrator.core.run_token import RunToken

KEY: Final = "key"
"""The name of whoever has a bearer token of the settings: a key of the service, which says nothing of who holds it."""


KEY_HEADER: Final = "x-functions-key"
"""Where a key of the Functions host travels; or in the query, as `code`."""
KEY_HOLDER: Final = "functions key"
"""The name of everybody who has one."""


class Role(IntEnum):
    """READER sees, SUBMITTER starts runs, publishes, and changes the runs it has started, OPERATOR changes those of
    others too, OWNER may do everything.
    """

    READER = 1
    SUBMITTER = 2
    OPERATOR = 3
    OWNER = 4


class Forbidden(UserError):
    """The caller is known, but lacks the role."""

    status = 403
    code = "Forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody whose identity has been proven. `name` says whose the runs are that it
    starts. `script`: the attempt whose script calls, if one."""

    name: str
    roles: frozenset[Role]
    script: RunToken | None = None

    def has(self, role: Role) -> bool:
        """Whether it has that role or a higher one."""
        return any(own >= role for own in self.roles)

    def require(self, role: Role) -> None:
        """Raises Forbidden without that role or a higher one."""
        if not self.has(role):
            raise Forbidden(f"This needs the role {role.name.title()}. Ask the owner of the workspace for it.")


class Authorizer(Protocol):
    """How callers prove who they are."""

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        """The caller behind these headers (names in lower case). Raises Unauthorized."""
        ...


class TokenAuthorizer:
    """Bearer tokens known by their sha256; whoever has one is the owner.

    All digests are compared in constant time, so that the time of a refusal tells nothing of them.
    """

    def __init__(self, digests: Collection[bytes]) -> None:
        self._digests = tuple(digests)

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        token = bearer_token(headers)
        given = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise Unauthorized("The token in the Authorization header is not accepted.", field="Authorization")
        return Principal(name=KEY, roles=frozenset({Role.OWNER}))


class FunctionsKeyAuthorizer:
    """Callers whom the Functions host has let in by one of its keys. It does not say by which: all have one `role`.

    For routes that the host guards, and no others. Who sends a bearer token, too, is who the token says, and may no
    more: `others`.
    """

    def __init__(self, others: Authorizer, role: Role) -> None:
        self._others = others
        self._role = role

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        if headers.get("authorization"):
            return self._others.authorize(headers)
        if not headers.get(KEY_HEADER):
            # A host that asks for no key lets in whoever comes: somebody must at least claim to have one.
            raise Unauthorized(f"Send the header {KEY_HEADER} with a key of the Functions app.", field=KEY_HEADER)
        return Principal(name=KEY_HOLDER, roles=frozenset({self._role}))


class NobodyElse:
    """Where the scripts of steps alone may call."""

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        del headers
        raise Unauthorized(
            "Here the scripts of steps call, by their run tokens, and nobody else.", field="Authorization"
        )


class RunTokenAuthorizer:
    """Run tokens, signed with `key`, of scripts that `may_call` says are still running; all else goes to `others`.

    Without a key no run token is accepted, and none is made. `clock` gives epoch seconds.
    """

    def __init__(
        self,
        others: Authorizer,
        key: bytes,
        may_call: Callable[[RunToken], bool],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._others = others
        self._key = key
        self._may_call = may_call
        self._clock = clock

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        text = bearer_token(headers)
        if not self._key or not run_token.is_one(text):
            return self._others.authorize(headers)
        token = run_token.verify(text, self._key, now=self._clock())
        if not self._may_call(token):
            raise Unauthorized("The step that this run token was made for is over.", field="Authorization")
        return Principal(name=f"script of {token.step_run_id}", roles=frozenset(), script=token)


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of `Authorization: Bearer <token>`. Raises Unauthorized."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(
            "Send the header Authorization: Bearer <token>. scripts/up prints the token of a local service.",
            field="Authorization",
        )
    return token.strip()
