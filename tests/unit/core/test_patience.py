from __future__ import annotations

from itertools import pairwise

from orchestrator.core.patience import MOST_DOUBLINGS, Patience, look


def sweeps(times: int, waiting: int = 0b111) -> list[int]:
    """At which sweeps, from 0, everything is sent again."""
    patience, sent = Patience(), []
    for number in range(times):
        patience, now = look(patience, waiting)
        if now:
            assert now == waiting
            sent.append(number)
    return sent


def test_what_stands_still_is_sent_at_once_and_then_less_and_less_often() -> None:
    assert sweeps(40) == [0, 1, 3, 7, 15, 31]


def test_in_the_end_it_is_sent_once_in_so_many_sweeps_for_ever() -> None:
    sent = sweeps(1000)
    assert {later - sooner for sooner, later in pairwise(sent[8:])} == {2**MOST_DOUBLINGS}


def test_a_step_that_stands_still_for_the_first_time_does_not_wait_for_the_others() -> None:
    patience = Patience(sent=0b011, looks=0, rounds=5)
    patience, sent = look(patience, 0b111)
    assert sent == 0b100
    assert patience == Patience(sent=0b111, looks=1, rounds=5)


def test_a_step_that_moved_and_stands_still_again_is_new() -> None:
    patience, _ = look(Patience(sent=0b011, rounds=5), 0b010)
    assert patience.sent == 0b010
    _, sent = look(patience, 0b011)
    assert sent == 0b001


def test_when_nothing_that_was_sent_stands_still_patience_is_new() -> None:
    assert look(Patience(sent=0b011, looks=7, rounds=5), 0b100) == (Patience(sent=0b100), 0b100)
    assert look(Patience(sent=0b011, looks=7, rounds=5), 0) == (Patience(), 0)
    assert look(Patience(), 0) == (Patience(), 0)
