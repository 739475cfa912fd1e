"""One run for a batch of changes, and each change in one batch."""

from __future__ import annotations

import random

import pytest

from orchestrator.changes import runs, watch
from orchestrator.ports import Commit, Merge, Refused
from tests.unit.changes.watching import QUEUE, Watching


@pytest.fixture
def at() -> Watching:
    return Watching()


def test_changes_that_come_together_start_one_run(at: Watching) -> None:
    at.schedule(per="batch", debounce_seconds=30, max_wait_seconds=300, recursive=True)
    at.upload("in/x/b.csv")
    at.pass_time(20)
    at.upload("in/x/a.csv", "in/x/sub/c.csv")
    at.pass_time(28)
    assert at.runs() == []
    at.pass_time(4)
    (info,) = at.runs()
    assert at.assigned(info).path == "in/x"
    assert at.changed(info) == ["in/x/a.csv", "in/x/b.csv", "in/x/sub/c.csv"]
    at.pass_time(900)
    assert len(at.runs()) == 1


def test_a_batch_waits_no_longer_than_the_longest_wait(at: Watching) -> None:
    at.schedule(per="batch", debounce_seconds=30, max_wait_seconds=100)
    for number in range(30):
        at.upload(f"in/{number:02}.csv")
        at.pass_time(10)
    at.pass_time(100)
    batches = [at.changed(info) for info in at.runs()]
    assert [path for batch in batches for path in batch] == [f"in/{number:02}.csv" for number in range(30)]
    assert {len(batch) for batch in batches[:-1]} <= {10, 11}


def test_without_messages_the_sweep_closes_batches(at: Watching) -> None:
    at.schedule(per="batch", debounce_seconds=30, max_wait_seconds=300)
    at.upload("in/a.csv", "in/b.csv")
    at.pass_time(91, messages=False)
    (info,) = at.runs()
    assert at.changed(info) == ["in/a.csv", "in/b.csv"]


def test_one_message_is_under_way_for_a_batch(at: Watching) -> None:
    at.schedule(per="batch", debounce_seconds=30, max_wait_seconds=300)
    at.clock.advance(1)
    at.upload(*(f"in/{number}.csv" for number in range(50)))
    assert len(at.account.queues.messages(QUEUE)) <= 10  # those that were first for a moment
    at.pass_time(32)
    assert len(at.runs()) == 1
    at.pass_time(300)
    assert at.account.queues.messages(QUEUE) == ()


def test_events_again_and_again_put_a_change_in_one_batch(at: Watching) -> None:
    at.schedule(per="batch", debounce_seconds=20, max_wait_seconds=60)
    chance = random.Random(3)
    names = [f"in/{number:03}.csv" for number in range(100)]
    for name in names:
        at.write(name)
        for told in chance.sample(names[: int(name[3:6]) + 1], k=1) * chance.randrange(3):
            at.event(told)
        at.pass_time(chance.uniform(0, 3))
    at.pass_time(400)
    changed = [path for info in at.runs() for path in at.changed(info)]
    assert sorted(changed) == names


def test_a_blob_that_changes_twice_stands_twice(at: Watching) -> None:
    at.schedule(per="batch", debounce_seconds=20, max_wait_seconds=60)
    at.upload("in/a.csv")
    at.upload("in/a.csv")
    at.pass_time(25)
    (info,) = at.runs()
    assert at.changed(info) == ["in/a.csv", "in/a.csv"]
    assert len({blob.etag for blob in at.changes(info).changes}) == 2


def test_two_that_close_a_batch_at_once_start_one_run(at: Watching) -> None:
    """One reads what waits, and is frozen until the other has closed the batch and a change has come after it."""
    schedule = at.schedule(per="batch", debounce_seconds=20, max_wait_seconds=60)
    at.upload("in/a.csv", "in/b.csv")
    at.clock.advance(21)
    found = at.world.run(watch.find(schedule.id, at.intake.datastores))
    assert found is not None
    frozen = runs.close_batch(at.submitter, found, None)
    effect = next(frozen)
    while not (isinstance(effect, Commit) and isinstance(effect.writes[0], Merge)):
        effect = frozen.send(at.world.perform(effect))
    at.deliver()
    at.upload("in/c.csv")
    with pytest.raises(Refused) as refused:
        at.world.perform(effect)
    effect = frozen.throw(refused.value)
    with pytest.raises(StopIteration):
        while True:
            effect = frozen.send(at.world.perform(effect))
    at.pass_time(100)
    assert [at.changed(info) for info in at.runs()] == [["in/a.csv", "in/b.csv"], ["in/c.csv"]]
