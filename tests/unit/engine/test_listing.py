"""The list of runs: newest first, narrowed, in pages, and what it says of a run that changes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.states import RunStatus
from orchestrator.engine import index
from orchestrator.engine.cancel import cancel
from orchestrator.engine.listing import RunFilter, RunSummary, list_runs
from orchestrator.engine.tags import change_tags
from orchestrator.ports import Commit, Delete, Effect, Get, Query, Row, Unanswered
from tests.unit.engine.running import Runner, step


def listed(runner: Runner, wanted: RunFilter, limit: int = 100) -> list[RunSummary]:
    """All pages."""
    found: list[RunSummary] = []
    continuation: str | None = None
    while True:
        page = runner.world.run(list_runs(wanted, limit=limit, continuation=continuation))
        assert len(page.items) <= limit
        found += page.items
        continuation = page.continuation
        if continuation is None:
            return found


def start_many(runner: Runner) -> float:
    """Six runs, a second apart; when the first was submitted."""
    first = runner.clock.now() + 1
    for number in range(6):
        runner.clock.advance(1)
        runner.start(
            f"run{number}",
            experiment="even" if number % 2 == 0 else "odd",
            pipeline_id=f"p{number // 3}",
            source="schedule" if number == 1 else "sdk",
            parent_run="run0" if number in (2, 3) else "",
            tags={"n": str(number)} | ({"good": ""} if number > 3 else {}),
            properties={"schedule": "nightly"} if number in (1, 5) else {},
        )
    runner.world.run(cancel(runner.memory, "run4"))
    return first


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RunFilter(), [5, 4, 3, 2, 1, 0]),
        (RunFilter(experiment="odd"), [5, 3, 1]),
        (RunFilter(status=RunStatus.CANCELED), [4]),
        (RunFilter(status=RunStatus.RUNNING, experiment="even"), [2, 0]),
        (RunFilter(pipeline_id="p0"), [2, 1, 0]),
        (RunFilter(experiment="none"), []),
        (RunFilter(source="schedule"), [1]),
        (RunFilter(parent_run="run0"), [3, 2]),
        (RunFilter(tags={"n": "3"}), [3]),
        (RunFilter(tags={"good": None}), [5, 4]),
        (RunFilter(tags={"good": None, "n": "4"}), [4]),
        (RunFilter(tags={"n": "30"}), []),
        (RunFilter(properties={"schedule": "nightly"}), [5, 1]),
        (RunFilter(properties={"schedule": None}, experiment="odd", tags={"n": "1"}), [1]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_runs_are_listed_newest_first(wanted: RunFilter, expected: list[int], limit: int) -> None:
    runner = Runner(step("a"))
    start_many(runner)
    assert [run.id for run in listed(runner, wanted, limit)] == [f"run{number}" for number in expected]


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        (2, None, [5, 4, 3, 2]),
        (2.001, None, [5, 4, 3]),
        (None, 2, [1, 0]),
        (None, 2.0005, [2, 1, 0]),
        (1, 4, [3, 2, 1]),
        (4, 1, []),
        (9, None, []),
    ],
)
@pytest.mark.parametrize("experiment", [None, "even"])
def test_times_become_ranges_of_keys(
    after: float | None, before: float | None, expected: list[int], experiment: str | None
) -> None:
    runner = Runner(step("a"))
    first = start_many(runner)
    wanted = RunFilter(
        experiment=experiment,
        submitted_after=None if after is None else first + after,
        submitted_before=None if before is None else first + before,
    )
    expected = [number for number in expected if experiment is None or number % 2 == 0]
    read = count_rows(runner)
    assert [run.id for run in listed(runner, wanted)] == [f"run{number}" for number in expected]
    assert read["rows"] <= len(expected) + 1  # one more: a submission in the same millisecond as the end


def count_rows(runner: Runner) -> Counter[str]:
    """Counts the rows that queries bring from now on."""
    counts: Counter[str] = Counter()
    query = runner.world.account.tables.query

    def counting(effect: Query) -> tuple[Row, ...]:
        rows = query(effect)
        counts["rows"] += len(rows)
        return rows

    runner.world.register(Query, counting)
    return counts


def test_listing_an_experiment_reads_none_of_the_other_runs_and_no_run_itself() -> None:
    runner = Runner(step("a"))
    start_many(runner)
    for number in range(50):
        runner.start(f"other{number}", experiment="other")
    read = count_rows(runner)
    runner.world.register(Get, _refuse)
    assert len(listed(runner, RunFilter(experiment="odd", tags={"n": None}))) == 3
    assert read["rows"] == 3


def _refuse(effect: Get) -> None:
    raise AssertionError(f"a single row is read: {effect}")


def test_the_list_follows_the_tags_of_a_run_also_after_its_end() -> None:
    runner = Runner(step("a"))
    runner.start()
    runner.world.run(change_tags(runner.memory, "run1", {"q": "1"}, most_bytes=1000, properties={"p": "x"}))
    for experiment in (None, "e"):
        (line,) = listed(runner, RunFilter(experiment=experiment, tags={"q": "1"}))
        assert (line.tags, line.properties) == ({"k": "v", "q": "1"}, {"p": "x"})
    runner.finish()
    (line,) = listed(runner, RunFilter(tags={"q": None}))
    assert line.status is RunStatus.COMPLETED
    runner.world.run(change_tags(runner.memory, "run1", {"q": None}, most_bytes=1000))
    assert listed(runner, RunFilter(tags={"q": None})) == []
    assert [line.status for line in listed(runner, RunFilter(experiment="e"))] == [RunStatus.COMPLETED]


def test_an_end_that_a_process_notes_keeps_the_tags_that_another_has_set() -> None:
    """What the first remembers of the run's tags is old."""
    runner = Runner(step("a"))
    runner.start()
    other = type(runner.memory)()
    runner.world.run(change_tags(other, "run1", {"theirs": "1"}, most_bytes=1000))
    runner.finish()
    (line,) = listed(runner, RunFilter(tags={"theirs": "1"}))
    assert line.status is RunStatus.COMPLETED


def test_a_change_that_was_copied_to_the_lists_too_early_is_copied_again() -> None:
    """Ours is committed, theirs too; theirs is copied, and then ours, which is older."""
    runner = Runner(step("a"))
    runner.start()
    commit = runner.world.account.tables.commit

    def race(effect: Commit) -> tuple[str, ...]:
        if effect.table == index.INDEX:
            runner.world.register(Commit, commit)
            runner.world.run(change_tags(runner.memory, "run1", {"theirs": "1"}, most_bytes=1000))
        return commit(effect)

    runner.world.register(Commit, race)
    runner.world.run(change_tags(runner.memory, "run1", {"ours": "2"}, most_bytes=1000))
    (line,) = listed(runner, RunFilter())
    assert line.tags == {"k": "v", "theirs": "1", "ours": "2"}


def test_a_change_cut_off_before_the_lists_is_mended_by_its_repetition() -> None:
    runner = Runner(step("a"))
    runner.start()
    commit = runner.world.account.tables.commit

    def cut(effect: Commit) -> tuple[str, ...]:
        if effect.table == index.INDEX:
            raise ConnectionError("the process dies here")
        return commit(effect)

    runner.world.register(Commit, cut)
    with pytest.raises(ConnectionError):
        runner.world.run(change_tags(runner.memory, "run1", {"q": "1"}, most_bytes=1000))
    runner.world.register(Commit, commit)
    assert listed(runner, RunFilter(tags={"q": None})) == []
    runner.world.run(change_tags(runner.memory, "run1", {"q": "1"}, most_bytes=1000))
    assert len(listed(runner, RunFilter(tags={"q": None}))) == 1


def test_a_run_that_was_never_listed_is_listed_by_its_end() -> None:
    """Whoever started it died between the run and its lines; the tags in the lines are the run's own."""
    runner = Runner(step("a"))
    info = runner.start()
    for pk in (index.ALL_RUNS, index.of_experiment("e")):
        runner.world.run(_remove(pk, index.newest_first(info)))
    runner.world.run(change_tags(type(runner.memory)(), "run1", {"q": "1"}, most_bytes=1000))
    assert listed(runner, RunFilter()) == []
    runner.finish()
    for wanted in (RunFilter(), RunFilter(experiment="e")):
        (line,) = listed(runner, wanted)
        assert (line.status, line.tags) == (RunStatus.COMPLETED, {"k": "v", "q": "1"})
        assert line.ended_at is not None


def _remove(pk: str, rk: str):  # type: ignore[no-untyped-def]
    return (yield from Commit(table=index.INDEX, pk=pk, writes=(Delete(rk=rk),)))


def test_a_silent_index_is_asked_again_and_then_given_up() -> None:
    runner = Runner(step("a"))
    runner.start()
    commit, silences = runner.world.account.tables.commit, [1, 1]

    def silent(effect: Commit) -> tuple[str, ...]:
        if effect.table == index.INDEX and silences:
            silences.pop()
            raise Unanswered("lost")
        return commit(effect)

    runner.world.register(Commit, silent)
    runner.world.run(change_tags(runner.memory, "run1", {"q": "1"}, most_bytes=1000))
    assert len(listed(runner, RunFilter(tags={"q": "1"}))) == 1


@pytest.mark.parametrize("continuation", ["", "x", ":", "0/1", "0\n"])
def test_a_made_up_continuation_is_refused(continuation: str) -> None:
    runner = Runner(step("a"))
    with pytest.raises(InvalidRequest):
        runner.world.run(list_runs(RunFilter(), limit=1, continuation=continuation))


def test_what_the_lists_cost_a_run() -> None:
    """One transaction more at the start and one at the end than a list of all runs alone would."""
    runner = Runner(step("a"))
    told: list[str] = []

    def observe(effect: Effect[Any], *_: float) -> None:
        if isinstance(effect, Get | Commit | Query):
            told.append(f"{type(effect).__name__.lower()} {effect.table}/{effect.pk}")

    runner.world.observer = observe
    runner.start()
    assert told == ["commit runs/run1", "commit index/active", "commit index/runs", "commit index/e|e"]
    told.clear()
    runner.world.run(cancel(runner.memory, "run1"))
    ends = ["get index/runs", "commit index/e|e", "commit index/runs", "commit index/active"]
    assert told == ["get runs/run1", "commit runs/run1", *ends]
