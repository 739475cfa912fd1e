"""Versions of what is stored: older ones are brought up to date, newer ones refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.core import message, notice, stored
from orchestrator.core.errors import InvalidRequest, NewerVersion
from orchestrator.core.message import StepMessage
from orchestrator.core.notice import NoticeMessage
from orchestrator.core.stored import MIGRATIONS, kind_of, newest, upgraded


@pytest.fixture
def thrice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that has changed twice: a field was renamed, then split."""

    def renamed(fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**fields, "full": fields["name"]}

    def split(fields: Mapping[str, Any]) -> Mapping[str, Any]:
        first, _, last = fields["full"].partition(" ")
        return {**fields, "first": first, "last": last}

    monkeypatch.setattr(stored, "MIGRATIONS", {"t/x": (renamed, split)})


@pytest.mark.parametrize(
    "fields", [{"name": "a b"}, {"v": 1, "name": "a b"}, {"v": 2, "full": "a b"}, {"v": 3, "first": "a", "last": "b"}]
)
@pytest.mark.usefixtures("thrice")
def test_every_older_version_becomes_the_newest(fields: dict[str, Any]) -> None:
    before = dict(fields)
    made = upgraded("t/x", fields)
    assert (made["first"], made["last"], made["v"]) == ("a", "b", 3)
    assert fields == before
    assert upgraded("t/x", made) is made


@pytest.mark.usefixtures("thrice")
def test_a_newer_one_is_refused_in_words_that_say_what_to_do() -> None:
    with pytest.raises(NewerVersion, match=r"t/x, version 4; this one reads up to 3.*Upgrade this app"):
        upgraded("t/x", {"v": 4})
    with pytest.raises(NewerVersion):
        upgraded("t/other", {"v": 2})
    assert upgraded("t/other", {"a": 1}) == {"a": 1}
    assert (newest("t/x"), newest("t/other"), stored.generation()) == (3, 1, 3)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (("runs", "1050a543", "h"), "runs/h"),
        (("runs", "1050a543", "c|000003"), "runs/c"),
        (("runs", "1050a543", "d|000003|abc"), "runs/d"),
        (("catalog", "pipeline", "p|1"), "catalog/pipeline"),
        (("index", "e|some experiment", "98|1"), "index/e"),
        (("index", "active", "1050a543"), "index/active"),
        (("reuse", "lineage", "e|fingerprint"), "reuse/e"),
        (("webhooks", "registered", "ear"), "webhooks/registered"),
    ],
)
def test_the_place_of_a_row_says_what_kind_it_is(place: tuple[str, str, str], kind: str) -> None:
    assert kind_of(*place) == kind


@pytest.mark.parametrize("kind", MIGRATIONS)
def test_a_migration_takes_what_a_projection_has_left(kind: str) -> None:
    assert upgraded(kind, {})["v"] == newest(kind)


def test_messages_say_their_version_and_newer_ones_are_not_decoded() -> None:
    step = StepMessage(run="r", definition="d", position=0, queue="q")
    told = NoticeMessage(run="r", webhook="w", attempt=1)
    assert message.decode(message.encode(step)) == step
    assert notice.decode(notice.encode(told)) == told
    assert '"v":1' in message.encode(step)
    with pytest.raises(NewerVersion):
        message.decode('{"v": 2, "who knows": []}')
    with pytest.raises(NewerVersion):
        notice.decode(b'{"v": 2}')
    for body in ("", "{", "[]", '{"v": "2"}', '{"v": 1}', "\xff"):
        with pytest.raises(InvalidRequest):
            message.decode(body)
