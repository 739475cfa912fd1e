"""Members that v1 has and a class of ours has not say so; what nobody has is the ordinary error."""

from __future__ import annotations

from typing import Any

import pytest

from millstream import Datastore, Experiment, PipelineData, Workspace
from millstream.shim.members import ABSENT

WORKSPACE = Workspace(url="http://127.0.0.1:9", token="x")


@pytest.mark.parametrize(
    ("thing", "name", "words"),
    [
        (WORKSPACE, "get_default_keyvault", r"^Workspace\.get_default_keyvault of v1 is not there: .*secrets"),
        (Workspace, "setup", "Azure's own tools"),
        (Datastore, "register_hdfs", "blob container"),
        (Experiment(WORKSPACE, "e"), "start_logging", "ScriptRunConfig"),
    ],
)
def test_what_v1_has_is_explained(thing: Any, name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(thing, name)
    assert not hasattr(thing, name)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (WORKSPACE, "'Workspace' object has no attribute 'nonsense'"),
        (Workspace, "type object 'Workspace' has no attribute 'nonsense'"),
        (PipelineData("x"), "'PipelineData' object has no attribute 'nonsense'"),
    ],
)
def test_what_nobody_has_is_the_ordinary_error(thing: Any, words: str) -> None:
    with pytest.raises(AttributeError, match=f"^{words}$"):
        _ = thing.nonsense


def test_every_reason_is_half_a_sentence() -> None:
    reasons = [reason for members in ABSENT.values() for reason in members.values()]
    assert [reason for reason in reasons if reason.endswith(".") or not reason[0].islower()] == []
