"""Blob patterns and binding expressions."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from devhost.blob_pattern import compile_blob_pattern
from devhost.errors import ConfigError
from devhost.expressions import UnknownExpression, json_fields, resolve

NOW = datetime.datetime(2026, 11, 21, 9, 8, 7, 654321, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("path", "blob", "values"),
    [
        ("box/{name}", "a/b.csv", {"name": "a/b.csv"}),
        ("box/raw/{name}.csv", "raw/x.y.csv", {"name": "x.y"}),
        ("box/{name}.{ext}", "a.b.c", {"name": "a.b", "ext": "c"}),
        ("box/raw.csv", "raw.csv", {}),
        ("box/{{{name}}}.csv", "{x}.csv", {"name": "x"}),
        ("box", "any/thing", {"name": "any/thing"}),
        ("box/{name}", "two\nlines", {"name": "two\nlines"}),
    ],
)
def test_a_blob_that_is_meant(path: str, blob: str, values: dict[str, str]) -> None:
    assert compile_blob_pattern(path, where="x").match("box", blob) == values


@pytest.mark.parametrize(
    ("path", "container", "blob"),
    [
        ("box/raw/{name}.csv", "box", "raw/x.CSV"),
        ("box/raw/{name}.csv", "box", "raw/x.csv.gz"),
        ("box/raw/{name}.csv", "box", "old/raw/x.csv"),
        ("box/a.csv", "box", "aXcsv"),
        ("box/{name}", "other", "a"),
    ],
)
def test_a_blob_that_is_not(path: str, container: str, blob: str) -> None:
    assert compile_blob_pattern(path, where="x").match(container, blob) is None


@pytest.mark.parametrize("path", ["", "/a", "box/", "{box}/a", "box/{a", "box/a}", "box/{a}/{a}", "Box/a", "b/a"])
def test_a_path_that_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="here"):
        compile_blob_pattern(path, where="here")


DATA: dict[str, Any] = {"name": "n", "Query": {"To": "t"}, "count": 3, "deep": {"a": {"b": "c"}}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{name}.txt", "n.txt"),
        ("{NAME}", "n"),
        ("{Query.to}", "t"),
        ("{deep.a.b}-{count}", "c-3"),
        ("{{name}}", "{name}"),
        ("{datetime:yyyy-MM-dd}/{datetime:HHmmss}", "2026-11-21/090807"),
        ("{datetime:fff}", "654"),
        ("{sys.utcnow}", "2026-11-21T09-08-07Z"),
    ],
)
def test_expressions(template: str, expected: str) -> None:
    assert resolve(template, DATA, NOW) == expected


def test_fresh_names() -> None:
    plain = resolve("{rand-guid}", {}, NOW)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", plain)
    assert plain != resolve("{rand-guid}", {}, NOW)
    assert re.fullmatch(r"[0-9a-f]{32}", resolve("{rand-guid:N}", {}, NOW))


@pytest.mark.parametrize("template", ["{absent}", "{Query.absent}", "{name.more}"])
def test_an_expression_without_a_value(template: str) -> None:
    with pytest.raises(UnknownExpression):
        resolve(template, DATA, NOW)


@pytest.mark.parametrize(
    ("body", "fields"), [(b' {"a": 1}', {"a": 1}), (b"[1]", {}), (b"{bad", {}), (b"", {}), (b"\xff", {})]
)
def test_the_fields_of_a_body(body: bytes, fields: dict[str, Any]) -> None:
    assert json_fields(body) == fields
