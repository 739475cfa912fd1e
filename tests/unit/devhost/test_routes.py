"""Route templates."""

from __future__ import annotations

import pytest

from devhost.errors import ConfigError
from devhost.routes import compile_route

YES = [
    ("api/a", "/api/a", {}),
    ("api/a", "/API/A/", {}),
    ("api/{id}", "/api/x%20y", {"id": "x y"}),
    ("api/{id}", "/api/a%2Fb", {"id": "a%2Fb"}),
    ("api/{id:int}", "/api/-5", {"id": "-5"}),
    ("api/{id?}", "/api", {}),
    ("api/{id?}", "/api/1", {"id": "1"}),
    ("api/{id:int?}", "/api", {}),
    ("api/{id=9}", "/api", {"id": "9"}),
    ("api/{id=9}", "/api/1", {"id": "1"}),
    ("api/{a}/{b?}", "/api/x", {"a": "x"}),
    ("api/{*rest}", "/api", {}),
    ("api/{*rest}", "/api/a/b/c", {"rest": "a/b/c"}),
    ("api/{**rest}", "/api/a/b", {"rest": "a/b"}),
    ("api/{name}.{ext?}", "/api/a.b.csv", {"name": "a", "ext": "b.csv"}),
    ("api/{name}.{ext?}", "/api/a", {"name": "a"}),
    ("api/v{major}-{minor}", "/api/v1-2", {"major": "1", "minor": "2"}),
    ("api/{id:guid}", "/api/123e4567-e89b-12d3-a456-426614174000", {"id": "123e4567-e89b-12d3-a456-426614174000"}),
    ("api/{x:regex(^\\d{{2}}$)}", "/api/42", {"x": "42"}),
    ("api/{x:length(2,3)}", "/api/abc", {"x": "abc"}),
    ("api/{x:min(5):max(9)}", "/api/7", {"x": "7"}),
    ("api/{x:range(1,3)}", "/api/3", {"x": "3"}),
    ("api/{x:alpha:minlength(2)}", "/api/ab", {"x": "ab"}),
    ("api/{x:bool}", "/api/TRUE", {"x": "TRUE"}),
    ("api/{x:double}", "/api/1.5e3", {"x": "1.5e3"}),
    ("api/{x:datetime}", "/api/2026-01-02", {"x": "2026-01-02"}),
    ("api/{x:long}", "/api/99999999999", {"x": "99999999999"}),
    ("", "/", {}),
]
NO = [
    ("api/a", "/api/ab"),
    ("api/a", "/api/a/b"),
    ("api/a.c", "/api/abc"),
    ("api/{id}", "/api"),
    ("api/{id}", "/api/a/b"),
    ("api/{id:int}", "/api/x"),
    ("api/{id:int}", "/api/2147483648"),
    ("api/{id:int}", "/api/1.0"),
    ("api/{id:int?}", "/api/x"),
    ("api/{x:alpha}", "/api/a1"),
    ("api/{x:guid}", "/api/123"),
    ("api/{x:regex(^\\d{{2}}$)}", "/api/421"),
    ("api/{x:length(2)}", "/api/abc"),
    ("api/{x:maxlength(2)}", "/api/abc"),
    ("api/{x:min(5)}", "/api/4"),
    ("api/{x:min(5)}", "/api/x"),
    ("api/{x:range(1,3)}", "/api/4"),
    ("api/{x:datetime}", "/api/today"),
    ("api/{x:bool}", "/api/yes"),
]


@pytest.mark.parametrize(("template", "path", "values"), YES)
def test_a_path_that_matches(template: str, path: str, values: dict[str, str]) -> None:
    assert compile_route(template).match(path) == values


@pytest.mark.parametrize(("template", "path"), NO)
def test_a_path_that_does_not(template: str, path: str) -> None:
    assert compile_route(template).match(path) is None


@pytest.mark.parametrize(
    "template",
    ["a/{b", "a/{b}}", "a/{b:odd}", "a/{b}/{b}", "a/{*rest}/b", "a/{b:length(x)}", "a/{b:regex([)}", "a/{1}"],
)
def test_a_template_that_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="route"):
        compile_route(template)
