"""Who may call what. Nothing is open but what says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest

from orchestrator.core.errors import Unauthorized
from orchestrator.triggers.api import ROUTES
from orchestrator.triggers.auth import Forbidden, Principal, Role, TokenAuthorizer, bearer_token
from orchestrator.triggers.routes import Route
from tests.unit.triggers.calling import TOKEN, Api

DIGEST = hashlib.sha256(TOKEN.encode()).digest()


def test_the_right_token_is_the_owner() -> None:
    principal = TokenAuthorizer([bytes(32), DIGEST]).authorize({"authorization": f"Bearer {TOKEN}"})
    principal.require(Role.OWNER)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_as_http_wants_it(scheme: str) -> None:
    assert bearer_token({"authorization": f"{scheme} {TOKEN}"}) == TOKEN


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": TOKEN},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN.upper()}"},
        {"authorization": "Bearer \udcff"},
        {"x-functions-key": TOKEN},
    ],
)
def test_anything_else_is_refused(headers: Mapping[str, str]) -> None:
    with pytest.raises(Unauthorized):
        TokenAuthorizer([DIGEST]).authorize(headers)


def test_without_a_configured_token_every_call_is_refused() -> None:
    api = Api({"MILLSTREAM_TOKEN": ""})
    for token in (None, "", TOKEN):
        assert api.call("GET", "workspace", token=token).status == 401


def test_only_health_the_document_discovery_and_what_has_a_ticket_are_open() -> None:
    by_ticket = ["read_relayed", "write_relayed", "remove_relayed"]
    assert [route.name for route in ROUTES if route.role is None] == ["health", "openapi", "discover_wire", *by_ticket]


@pytest.mark.parametrize("route", [route for route in ROUTES if route.role is not None], ids=lambda route: route.name)
def test_a_wrong_token_is_refused_before_anything_is_looked_at(route: Route) -> None:
    api = Api()
    path = dict.fromkeys(route.parameters, "x")
    refused = api.call(route.method, route.address.format(**path), b"{broken", token="wrong")
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json["error"]["code"] == "Unauthorized"
    assert set(api.world.account.blobs) == {f"snapshots/{'a' * 64}.zip"}


class Roles:
    """An authorizer that knows the caller's role from a header, as one for Entra ID would from a token."""

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        return Principal(name="somebody", roles=frozenset({Role[headers["x-role"]]}))


MATRIX = [(route, role) for route in ROUTES if route.role is not None for role in Role]


@pytest.mark.parametrize(("route", "role"), MATRIX, ids=lambda value: getattr(value, "name", None))
def test_each_route_asks_for_its_role(route: Route, role: Role) -> None:
    assert route.role is not None
    api = Api(authorizer=Roles())
    path = dict.fromkeys(route.parameters, "x")
    made = api.call(route.method, route.address.format(**path), b"{}", headers={"x-role": role.name})
    assert (made.status == 403) == (role < route.role)


def test_a_lower_role_is_not_enough() -> None:
    reader = Principal(name="r", roles=frozenset({Role.READER}))
    reader.require(Role.READER)
    with pytest.raises(Forbidden, match="Submitter"):
        reader.require(Role.SUBMITTER)
    with pytest.raises(Forbidden):
        Principal(name="nobody", roles=frozenset()).require(Role.READER)
