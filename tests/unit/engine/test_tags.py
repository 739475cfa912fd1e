"""Tags of a run: changed one by one, whoever else changes them."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import Conflict, TooLarge, Unavailable
from orchestrator.engine.tags import change_tags
from orchestrator.engine.view import run_view
from orchestrator.ports import Commit, Reason, Refused, Unanswered
from tests.unit.engine.running import Runner, step


@pytest.fixture
def runner() -> Runner:
    runner = Runner(step("a"))
    runner.start()
    return runner


def tags(runner: Runner) -> dict[str, str]:
    return runner.world.run(run_view(runner.memory, "run1")).tags


def test_tags_are_set_and_removed_one_by_one(runner: Runner) -> None:
    runner.world.run(change_tags(runner.memory, "run1", {"new": "1"}, most_bytes=1000))
    assert tags(runner) == {"k": "v", "new": "1"}
    runner.world.run(change_tags(runner.memory, "run1", {"k": None, "none": None}, most_bytes=1000))
    assert tags(runner) == {"new": "1"}


def test_a_run_that_has_ended_can_be_tagged(runner: Runner) -> None:
    runner.finish()
    runner.world.run(change_tags(runner.memory, "run1", {"late": "yes"}, most_bytes=1000))
    assert tags(runner)["late"] == "yes"


def test_too_large_tags_are_refused(runner: Runner) -> None:
    with pytest.raises(TooLarge) as caught:
        runner.world.run(change_tags(runner.memory, "run1", {"x": "y" * 1000}, most_bytes=1000))
    assert caught.value.field == "tags"
    assert tags(runner) == {"k": "v"}


def test_a_change_meanwhile_is_kept(runner: Runner) -> None:
    """Another process sets a tag between our read and our write."""
    commit = runner.world.account.tables.commit

    def race(effect: Commit) -> tuple[str, ...]:
        runner.world.register(Commit, commit)
        runner.world.run(change_tags(runner.memory, "run1", {"theirs": "1"}, most_bytes=1000))
        return commit(effect)

    runner.world.register(Commit, race)
    runner.world.run(change_tags(runner.memory, "run1", {"ours": "2"}, most_bytes=1000))
    assert tags(runner) == {"k": "v", "theirs": "1", "ours": "2"}


def test_a_lost_answer_is_looked_up(runner: Runner) -> None:
    commit = runner.world.account.tables.commit

    def lose(effect: Commit) -> tuple[str, ...]:
        runner.world.register(Commit, commit)
        commit(effect)
        raise Unanswered("lost")

    runner.world.register(Commit, lose)
    runner.world.run(change_tags(runner.memory, "run1", {"x": "1"}, most_bytes=1000))
    assert tags(runner)["x"] == "1"


def test_it_gives_up_in_the_end(runner: Runner) -> None:
    def refuse(effect: Commit) -> tuple[str, ...]:
        raise Refused(0, Reason.CHANGED)

    runner.world.register(Commit, refuse)
    with pytest.raises(Unavailable):
        runner.world.run(change_tags(runner.memory, "run1", {"x": "1"}, most_bytes=1000))


def properties(runner: Runner) -> dict[str, str]:
    return runner.world.run(run_view(runner.memory, "run1")).properties


def test_properties_are_added_and_never_changed(runner: Runner) -> None:
    for _ in range(2):
        runner.world.run(change_tags(runner.memory, "run1", {}, most_bytes=1000, properties={"author": "x"}))
    before = properties(runner)
    assert before["author"] == "x"
    with pytest.raises(Conflict) as caught:
        runner.world.run(change_tags(runner.memory, "run1", {"t": "1"}, most_bytes=1000, properties={"author": "y"}))
    assert caught.value.field == "properties.author"
    assert properties(runner) == before
    assert "t" not in tags(runner)
