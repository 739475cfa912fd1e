"""The API document says what the routes do."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import azure.functions as func
import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from orchestrator.triggers import http, openapi
from orchestrator.triggers.api import ROUTES
from orchestrator.triggers.routes import PREFIX, Route
from orchestrator.version import VERSION
from tests.unit.triggers.calling import Api

ROOT = Path(__file__).parents[3]
DOCUMENT = json.loads(openapi.document())
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def test_the_document_is_fresh() -> None:
    path = ROOT / "docs" / "openapi.json"
    if os.environ.get("MILLSTREAM_RENEW_DOCS"):
        path.write_bytes(openapi.document())
    assert path.read_bytes() == openapi.document(), "renew it with MILLSTREAM_RENEW_DOCS=1"


def test_it_is_served_as_it_is() -> None:
    served = Api().call("GET", "openapi.json", token=None)
    assert (served.status, served.json) == (200, DOCUMENT)


def test_the_functions_are_the_documented_operations() -> None:
    """What the host is told, against what the document tells."""
    app = func.FunctionApp()
    app.register_functions(http.blueprint(Api().dispatcher, ROUTES, "steps"))
    routed = set()
    for function in app.get_functions():
        trigger = function.get_trigger()
        assert trigger is not None
        binding = trigger.get_dict_repr()
        routed |= {
            (getattr(method, "value", method), PREFIX + binding["route"].replace("{*", "{"))
            for method in binding["methods"]
        }
        assert binding["authLevel"] == func.AuthLevel.ANONYMOUS
    assert routed == set(OPERATIONS)


def fitting_all(path: str) -> str:
    """A pattern of the paths that a route takes."""
    return re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{\*\w+\}", ".*", path))


def test_routes_do_not_overlap() -> None:
    """The host takes the first route that matches, so no path may fit two of a method."""
    for one in ROUTES:
        sample = re.sub(r"\{\*?\w+\}", "x", one.path)
        fitting = [
            other.name
            for other in ROUTES
            if other.method == one.method and re.fullmatch(fitting_all(other.path), sample)
        ]
        assert fitting == [one.name]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_operation_is_described(route: Route) -> None:
    operation = OPERATIONS[route.method, PREFIX + route.address]
    assert operation["operationId"] == route.name
    assert not operation["summary"].endswith(".")
    assert route.description.endswith(".")
    assert operation["security"] == ([{"token": []}] if route.role is not None else [])
    assert {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"} == set(
        route.parameters
    )
    assert all(parameter["description"] for parameter in operation["parameters"])
    statuses = set(operation["responses"])
    assert {"500"} <= statuses
    assert ("401" in statuses) == (route.role is not None)
    assert ("400" in statuses) == (route.query is not None or route.body is not None)
    # Naming what is not there is an error, except where that makes it.
    assert ("404" in statuses) >= (set(route.parameters) != set() and route.method != "PUT")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.name)
def test_every_example_is_a_good_request(route: Route) -> None:
    assert route.example is not None
    assert route.body is not None
    msgspec.convert(route.example, route.body)
    schema = OPERATIONS[route.method, PREFIX + route.address]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate(route.example, {**schema, "components": DOCUMENT["components"]})


def test_every_schema_can_be_found() -> None:
    text = json.dumps(DOCUMENT)
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in DOCUMENT["components"]["schemas"]
    assert set(DOCUMENT["components"]["schemas"]) == set(re.findall(r"#/components/schemas/(\w+)", text))


def test_groups_are_used_and_described() -> None:
    assert {route.group for route in ROUTES} == set(openapi.GROUPS)


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["version"] == VERSION == project["version"]
