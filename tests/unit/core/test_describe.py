"""docs/definition.* say what the code does. They are renewed by running this file with MILLSTREAM_RENEW_DOCS=1."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from orchestrator.core import definition as document
from orchestrator.core import describe
from orchestrator.core.validation import RULES, validate

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads(describe.schema())


@pytest.mark.parametrize(
    ("name", "text"), [("definition.schema.json", describe.schema().decode()), ("definition.md", describe.page())]
)
def test_the_documents_are_fresh(name: str, text: str) -> None:
    if os.environ.get("MILLSTREAM_RENEW_DOCS"):
        (DOCS / name).write_text(text)
    assert (DOCS / name).read_text() == text, "renew it with MILLSTREAM_RENEW_DOCS=1"


def test_the_example_is_a_good_pipeline() -> None:
    assert validate(describe.EXAMPLE, computes=["function"], datastores=["workspaceblobstore"]) == []


def test_the_schema_accepts_what_the_service_accepts() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(document.encode(describe.EXAMPLE)), SCHEMA)


def example() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(document.encode(describe.EXAMPLE))
    return whole


BROKEN = [
    lambda whole: whole.pop("name"),
    lambda whole: whole.update(extra=1),
    lambda whole: whole["steps"][0].pop("kind"),
    lambda whole: whole["steps"][0].update(timeout_seconds="long"),
    lambda whole: whole["steps"][0]["settings"].pop("script"),
    lambda whole: whole["steps"][0]["settings"].update(scrpt="x"),
    lambda whole: whole["steps"][0]["arguments"][0].update(kind="lambda"),
    lambda whole: whole["steps"][0]["inputs"][0]["source"].pop("path"),
]


@pytest.mark.parametrize("spoil", BROKEN)
def test_the_schema_refuses_what_the_service_refuses(spoil: Any) -> None:
    whole = example()
    spoil(whole)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole, SCHEMA)


def test_the_page_names_every_field_and_every_rule() -> None:
    page = describe.page()
    for name in ("timeout_seconds", "path_on_compute", "max_delay_seconds", "`script`", "schema"):
        assert name in page
    assert page.count("\n- ") == len(RULES)
