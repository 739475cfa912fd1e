"""Keys of the Functions host: which routes it guards by them, what a caller with one may do, and where scripts call."""

from __future__ import annotations

from typing import Any

import azure.functions as func
import pytest

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.core.errors import Unauthorized
from orchestrator.core.run_token import DOOR
from orchestrator.engine.memory import ProcessMemory
from orchestrator.settings import read
from orchestrator.triggers import functions
from orchestrator.triggers.api import FOR_SCRIPTS, ROUTES
from orchestrator.triggers.auth import (
    KEY_HEADER,
    Authorizer,
    Forbidden,
    FunctionsKeyAuthorizer,
    NobodyElse,
    Role,
    TokenAuthorizer,
)
from orchestrator.triggers.dispatch import Dispatcher, Request
from orchestrator.triggers.rights import SCRIPTS
from orchestrator.triggers.routes import PREFIX, Route
from tests.unit.triggers.calling import TOKEN, Api, find
from worker.equipment import engine_settings

KEY = {KEY_HEADER: "a-key-that-the-host-has-looked-at"}
LEAST = {"AzureWebJobsStorage": "x", "MILLSTREAM_TOKEN": TOKEN}


def guarded(role: Role) -> Authorizer:
    return FunctionsKeyAuthorizer(TokenAuthorizer(Api().settings.token_digests), role)


def built(**more: str) -> dict[str, dict[str, Any]]:
    """The HTTP triggers of the app, by the names of their functions."""
    settings = read(LEAST | more)
    app = functions.build(settings, MemoryWorld(), ProcessMemory(engine_settings(settings)))
    triggers = {one.get_function_name(): one.get_trigger() for one in app.get_functions()}
    found = {str(name): trigger.get_dict_repr() for name, trigger in triggers.items() if trigger is not None}
    return {name: trigger for name, trigger in found.items() if trigger["type"] == "httpTrigger"}


def asked(api: Api, route: Route, token: str | None = None) -> int:
    """The status of the answer to a caller with a key."""
    path = route.address.format(**dict.fromkeys(route.parameters, "x"))
    return api.call(route.method, path, b"{}", token=token, headers=KEY).status


@pytest.mark.parametrize("role", Role)
def test_a_key_has_the_role_of_the_settings_on_each_route(role: Role) -> None:
    api = Api(authorizer=guarded(role))
    statuses = {route.name: asked(api, route) for route in ROUTES if route.role is not None}
    assert 401 not in statuses.values()
    forbidden = {name for name, status in statuses.items() if status == 403}
    assert forbidden == {route.name for route in ROUTES if route.role is not None and route.role > role}


def test_a_token_beside_the_key_says_who_calls_and_gives_no_more() -> None:
    made = guarded(Role.OWNER).authorize({**KEY, "authorization": f"Bearer {TOKEN}"})
    assert made.name != "functions key"
    with pytest.raises(Unauthorized):
        guarded(Role.OWNER).authorize({**KEY, "authorization": "Bearer wrong"})
    with pytest.raises(Forbidden):
        guarded(Role.READER).authorize(KEY).require(Role.SUBMITTER)


@pytest.mark.parametrize("headers", [{}, {KEY_HEADER: ""}])
def test_a_host_that_asks_for_no_key_opens_nothing(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized, match=KEY_HEADER):
        guarded(Role.OWNER).authorize(headers)


def test_the_host_asks_for_a_key_where_a_role_is_asked_for() -> None:
    app = built(MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS="Reader")
    for route in ROUTES:
        level = func.AuthLevel.ANONYMOUS if route.role is None else func.AuthLevel.FUNCTION
        assert app[f"http_{route.name}"]["authLevel"] == level, route.name
    scripts = {name for name in app if name.startswith("in_step_")}
    assert scripts == {f"in_step_{route.name}" for route in FOR_SCRIPTS}
    assert len(app) == len(ROUTES) + len(FOR_SCRIPTS)
    for route in FOR_SCRIPTS:
        trigger = app[f"in_step_{route.name}"]
        assert trigger["authLevel"] == func.AuthLevel.ANONYMOUS
        assert trigger["route"] == f"{DOOR}{PREFIX}{route.path}"
    assert not [route.path for route in ROUTES if route.path.startswith(("{", DOOR))], "they would be hidden"


def test_without_the_setting_the_host_asks_for_none() -> None:
    app = built()
    assert {trigger["authLevel"] for trigger in app.values()} == {func.AuthLevel.ANONYMOUS}
    assert len(app) == len(ROUTES)


def test_what_scripts_may_do_has_a_route_at_their_door() -> None:
    assert {route.name for route in FOR_SCRIPTS if route.role is not None} == SCRIPTS


def test_at_their_door_neither_keys_nor_tokens_open() -> None:
    api = Api(authorizer=NobodyElse())
    assert {asked(api, route, TOKEN) for route in FOR_SCRIPTS if route.role is not None} == {401}


def test_what_it_says_of_addresses_there_leads_back_there() -> None:
    api = Api()
    route, named = find("GET", "discovery")
    dispatcher = Dispatcher(api.service, NobodyElse(), door=DOOR)
    request = Request(url=f"http://h/api/{DOOR}/api/discovery", path=named, query={}, headers={}, body=b"")
    assert f'"http://h/api/{DOOR}/api"'.encode() in dispatcher.answer(route, request).body


def test_health_says_that_a_key_is_needed() -> None:
    api = Api({"MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS": "Owner"})
    assert api.call("GET", "health", token=None).json["sign_in"]["functions_key"] is True
