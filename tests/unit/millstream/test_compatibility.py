"""docs/v1-compatibility.md is true: what it says works is there, and what it says is missing is missing.

It is renewed by running this file with MILLSTREAM_RENEW_DOCS=1.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from millstream.shim.members import ABSENT, IGNORED, WITHOUT
from tests.compatibility import Class, classes, has, look_up, page, place_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "v1-compatibility.md"
THERE = [known for known in classes() if known.ours]


def test_the_document_is_fresh() -> None:
    if os.environ.get("MILLSTREAM_RENEW_DOCS"):
        DOCUMENT.write_text(page(), encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == page(), "renew it with MILLSTREAM_RENEW_DOCS=1"


@pytest.mark.parametrize("known", THERE, ids=lambda known: known.name)
class TestClass:
    def test_what_is_missing_has_an_alternative(self, known: Class) -> None:
        silent = [member.name for member in known.members if member.state == "not there" and not member.note]
        assert silent == []

    def test_what_has_an_alternative_is_missing(self, known: Class) -> None:
        assert known.ours is not None
        gone = [member.name for member in known.members if member.state == "not there"]
        assert [name for name in gone if has(known.ours, name)] == []

    def test_parameters_that_are_not_taken_have_a_reason(self, known: Class) -> None:
        assert known.ours is not None
        silent = {
            f"{member.name}({parameter})"
            for member in known.members
            for parameter in member.lacking
            if parameter not in (look_up(WITHOUT, place_of(known.ours, member.name), member.name) or {})
        }
        assert silent == set()

    def test_properties_are_properties_and_methods_methods(self, known: Class) -> None:
        assert known.ours is not None
        wrong = [
            member.name
            for member in known.members
            if member.state != "not there"
            if member.name != "__init__"
            if callable(getattr(place_of(known.ours, member.name), member.name, None)) != (member.kind != "property")
        ]
        assert wrong == []


def test_every_class_that_is_missing_has_an_alternative() -> None:
    silent = [known.name for known in classes() if not known.ours and known.note.startswith("Nothing")]
    assert silent == []


@pytest.mark.parametrize("table", [ABSENT, IGNORED, WITHOUT])
def test_the_tables_speak_of_members_that_v1_has(table: dict[str, dict[str, object]]) -> None:
    known: dict[str, set[str]] = {}
    for found in THERE:
        assert found.ours is not None
        known.setdefault(found.ours.__name__, set()).update(member.name for member in found.members)
    strangers = {
        f"{name}.{member}" for name, members in table.items() for member in members if member not in known.get(name, ())
    }
    assert strangers == set()


def test_most_of_what_is_there_works() -> None:
    members = [member for known in THERE for member in known.members]
    assert sum(member.state != "not there" for member in members) / len(members) > 0.6
