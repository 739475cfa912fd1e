"""Tokens of Entra ID: what is accepted, and everything that is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest

from orchestrator.core.errors import Unauthorized, Unavailable
from orchestrator.triggers.api import ROUTES
from orchestrator.triggers.auth import Role, TokenAuthorizer
from orchestrator.triggers.entra import EitherAuthorizer, EntraAuthorizer
from orchestrator.triggers.routes import Route
from tests.entra import AUDIENCE, TENANT, Entra, entra, unsigned
from tests.unit.triggers.calling import Api


@pytest.fixture
def tenant() -> Iterator[Entra]:
    with entra() as found:
        yield found


@pytest.fixture
def authorizer(tenant: Entra) -> EntraAuthorizer:
    return EntraAuthorizer(tenant=TENANT, audience=AUDIENCE, authority=tenant.url)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("role", Role)
def test_a_role_of_the_token_is_the_callers(tenant: Entra, authorizer: EntraAuthorizer, role: Role) -> None:
    principal = authorizer.authorize(bearer(tenant.token(role.name.title(), "Another")))
    assert principal.roles == {role}
    assert principal.name == "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize("claims", [{"aud": f"api://{AUDIENCE}"}, {"iss": f"https://sts.windows.net/{TENANT}/"}])
def test_tokens_of_version_1_are_tokens(tenant: Entra, authorizer: EntraAuthorizer, claims: dict[str, Any]) -> None:
    assert authorizer.authorize(bearer(tenant.token("Reader", **claims))).roles == {Role.READER}


REFUSED: dict[str, tuple[Callable[[Entra], str], str]] = {
    "no signature wanted": (lambda t: unsigned(t.claims("Owner"), t.kid), "RS256"),
    "signed with a shared secret": (
        lambda t: jwt.encode(t.claims("Owner"), "s" * 64, algorithm="HS256", headers={"kid": t.kid}),
        "RS256",
    ),
    "signed by another key of that id": (lambda t: forged(t), "signature is wrong"),
    "another issuer": (
        lambda t: t.token("Owner", iss=f"{t.url}/other/v2.0"),
        "another issuer",
    ),
    "another audience": (lambda t: t.token("Owner", aud="https://storage.azure.com"), "another application"),
    "another tenant": (lambda t: t.token("Owner", tid="0" * 36), "another tenant"),
    "no tenant": (lambda t: t.token("Owner", tid=None), "another tenant"),
    "expired": (lambda t: t.token("Owner", exp=int(time.time()) - 120), "expired"),
    "not valid yet": (lambda t: t.token("Owner", nbf=int(time.time()) + 600), "not valid yet"),
    "without an end": (lambda t: t.token("Owner", exp=None), "claim is missing"),
    "without a beginning": (lambda t: t.token("Owner", nbf=None), "claim is missing"),
    "an unknown key": (lambda t: t.token("Owner", headers={"kid": "another"}), "unknown key"),
    "no key named": (lambda t: t.token("Owner", headers={"kid": None}), "RS256"),
    "a key of its own": (
        lambda t: t.token("Owner", headers={"kid": None, "jwk": {"kty": "oct", "k": "AA"}}),
        "RS256",
    ),
    "a path for a key": (lambda t: t.token("Owner", headers={"kid": "../../dev/null"}), "unknown key"),
    "not a token": (lambda _: "a.b.c", "malformed"),
    "changed after signing": (lambda t: changed(t.token("Reader"), t), "signature is wrong"),
    "huge": (lambda t: t.token("Owner", filler="x" * 20_000), "too long"),
}


def forged(tenant: Entra) -> str:
    with entra() as other:
        other.kid, kid = tenant.kid, other.kid
        other._keys = {tenant.kid: other._keys[kid]}
        return other.token("Owner", iss=f"{tenant.url}/{TENANT}/v2.0")


def changed(token: str, tenant: Entra) -> str:
    head, _, signature = token.split(".")
    _, body, _ = tenant.token("Owner").split(".")
    return f"{head}.{body}.{signature}"


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tenant: Entra, authorizer: EntraAuthorizer, case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(Unauthorized, match=words):
        authorizer.authorize(bearer(make(tenant)))


def test_no_token_is_refused(authorizer: EntraAuthorizer) -> None:
    with pytest.raises(Unauthorized):
        authorizer.authorize({})


def test_a_token_without_a_role_may_do_nothing(tenant: Entra, authorizer: EntraAuthorizer) -> None:
    for roles in ([], ["owner"], ["OWNER"], ["Contributor"]):
        assert authorizer.authorize(bearer(tenant.token(*roles))).roles == frozenset()
    assert authorizer.authorize(bearer(tenant.token(roles="Owner"))).roles == frozenset()


def test_keys_are_fetched_once_and_anew_when_they_are_changed(tenant: Entra) -> None:
    authorizer = EntraAuthorizer(tenant=TENANT, audience=AUDIENCE, authority=tenant.url, cooldown=0)
    first = tenant.token("Reader")
    for _ in range(5):
        authorizer.authorize(bearer(first))
    assert tenant.fetches == 1
    tenant.rotate()
    authorizer.authorize(bearer(tenant.token("Reader")))
    assert tenant.fetches == 2
    with pytest.raises(Unauthorized, match="unknown key"):
        authorizer.authorize(bearer(first))


def test_unknown_keys_do_not_make_it_fetch_again_and_again(tenant: Entra, authorizer: EntraAuthorizer) -> None:
    authorizer.authorize(bearer(tenant.token("Reader")))
    for number in range(20):
        with pytest.raises(Unauthorized):
            authorizer.authorize(bearer(tenant.token("Owner", headers={"kid": f"made-up-{number}"})))
    assert tenant.fetches <= 2


def test_a_tenant_that_does_not_answer_is_no_refusal(tenant: Entra, authorizer: EntraAuthorizer) -> None:
    tenant.down = True
    with pytest.raises(Unavailable):
        authorizer.authorize(bearer(tenant.token("Reader")))
    tenant.down = False
    assert authorizer.authorize(bearer(tenant.token("Reader"))).roles == {Role.READER}


def test_other_tokens_go_to_who_knows_them(tenant: Entra, authorizer: EntraAuthorizer) -> None:
    both = EitherAuthorizer(authorizer, TokenAuthorizer([]))
    assert both.authorize(bearer(tenant.token("Operator"))).roles == {Role.OPERATOR}
    with pytest.raises(Unauthorized, match="is not accepted"):
        both.authorize(bearer("plain"))


MATRIX = [(route, role) for route in ROUTES if route.role is not None for role in (None, *Role)]


@pytest.fixture(scope="module")
def matrix() -> Iterator[tuple[Entra, EntraAuthorizer]]:
    with entra() as found:
        yield found, EntraAuthorizer(tenant=TENANT, audience=AUDIENCE, authority=found.url)


@pytest.mark.parametrize(("route", "role"), MATRIX, ids=lambda value: getattr(value, "name", "NONE"))
def test_each_role_on_each_route(matrix: tuple[Entra, EntraAuthorizer], route: Route, role: Role | None) -> None:
    tenant, authorizer = matrix
    api = Api(authorizer=authorizer)
    token = tenant.token(*([role.name.title()] if role else []))
    path = dict.fromkeys(route.parameters, "x")
    made = api.call(route.method, route.address.format(**path), b"{}", token=token)
    assert route.role is not None
    assert made.status != 401
    assert (made.status == 403) == (role is None or role < route.role)
