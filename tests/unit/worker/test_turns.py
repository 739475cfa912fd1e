"""Which queue a worker looks at next."""

from __future__ import annotations

from worker.turns import LOOK_SECONDS, MOST_AHEAD, Turns


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_urgent_queue_comes_first() -> None:
    assert Turns(["urgent", "usual"], Clock()).order() == ("urgent", "usual")
    assert Turns(["usual"], Clock()).order() == ("usual",)


def test_while_it_is_empty_it_is_looked_at_once_a_second() -> None:
    clock = Clock()
    turns = Turns(["urgent", "usual"], clock)
    turns.saw("urgent", found=False)
    turns.saw("usual", found=True)
    assert turns.order() == ("usual",), "a busy worker pays one more look a second, not one more a message"
    clock.now += LOOK_SECONDS
    assert turns.order() == ("urgent", "usual")


def test_a_stream_of_urgent_messages_leaves_the_others_a_turn() -> None:
    turns = Turns(["urgent", "usual"], Clock())
    for _ in range(MOST_AHEAD):
        assert turns.order() == ("urgent", "usual")
        turns.saw("urgent", found=True)
    assert turns.order() == ("usual", "urgent")
    turns.saw("usual", found=True)
    assert turns.order() == ("urgent", "usual")
