"""From text to values: how deep a document may be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.triggers.decoding import is_deeper
from tests.unit.triggers.calling import Api, definition


@pytest.mark.parametrize(
    ("document", "depth"),
    [
        (b"1", 0),
        (b'"[[[[{{{{"', 0),
        (b"[]", 1),
        (b'{"a": [1, [2, {"b": []}], []]}', 5),
        (b'["\\\\", [], "\\"[[[", "\\\\\\"{{", {"[": "]"}]', 2),
        (b"[" * 300 + b"]" * 300, 300),
        (b"[" + b"[],{}," * 1000 + b"[]]", 2),
    ],
)
def test_how_deep_a_document_is(document: bytes, depth: int) -> None:
    json.loads(document)
    assert not is_deeper(document, max(depth, 1))
    if depth > 1:
        assert is_deeper(document, depth - 1)


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_how_deep_any_document_is(document: Any) -> None:
    def depth(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        for most in range(1, 6):
            assert is_deeper(text.encode("utf-8", "surrogatepass"), most) == (depth(document) > most)


def test_a_body_may_be_so_deep_and_no_deeper() -> None:
    api = Api({"MILLSTREAM_BODY_DEPTH": "10"})

    def start(deep: int) -> Any:
        settings = {"script": "a.py", "extra": json.loads("[" * deep + "]" * deep)}
        steps = [{**definition()["steps"][0], "settings": settings}]
        return api.call("POST", "runs", {"experiment_name": "e", "definition": definition(steps=steps)})

    refused = start(6)
    assert (refused.status, refused.json["error"]["field"]) == (400, "body")
    assert "at most 10 levels are taken (MILLSTREAM_BODY_DEPTH)" in refused.json["error"]["message"]
    assert "nested" not in start(5).json["error"]["message"]
