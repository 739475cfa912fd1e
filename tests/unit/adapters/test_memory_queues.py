from __future__ import annotations

from orchestrator.adapters.memory import ManualClock
from orchestrator.adapters.memory_queues import MemoryQueues


def test_a_received_message_is_hidden_until_its_time_and_its_count_rises() -> None:
    clock = ManualClock()
    queues = MemoryQueues(clock.now)
    sent = queues.put("q", "body")
    (first,) = queues.receive("q", visibility=30)
    assert (first.id, first.body, first.count) == (sent, "body", 1)
    assert queues.receive("q") == ()
    clock.advance(30)
    (second,) = queues.receive("q", visibility=30)
    assert (second.id, second.count) == (sent, 2)


def test_a_delayed_message_appears_when_it_is_due() -> None:
    clock = ManualClock()
    queues = MemoryQueues(clock.now)
    queues.put("q", "later", delay=5)
    clock.advance(4.9)
    assert queues.receive("q") == ()
    clock.advance(0.1)
    assert len(queues.receive("q")) == 1


def test_only_the_newest_receipt_counts() -> None:
    clock = ManualClock()
    queues = MemoryQueues(clock.now)
    queues.put("q", "body")
    (stale,) = queues.receive("q", visibility=10)
    clock.advance(10)
    (held,) = queues.receive("q", visibility=10)
    assert not queues.delete("q", stale)
    assert queues.update("q", stale, visibility=0) is None
    renewed = queues.update("q", held, visibility=60)
    assert renewed is not None
    assert not queues.delete("q", held)
    assert queues.delete("q", renewed)
    assert not queues.delete("q", renewed)
    assert queues.messages("q") == ()


def test_a_message_given_back_is_visible_at_once() -> None:
    queues = MemoryQueues(ManualClock().now)
    for body in "abc":
        queues.put("q", body)
    held = queues.receive("q", count=2, visibility=600)
    assert [message.body for message in held] == ["a", "b"]
    assert queues.update("q", held[0], visibility=0) is not None
    assert [message.body for message in queues.receive("q", count=9)] == ["a", "c"]
