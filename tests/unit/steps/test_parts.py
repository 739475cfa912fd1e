from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from steps.parts import Parts


@pytest.fixture
def parts() -> Iterator[Parts]:
    parts = Parts(3)
    yield parts
    parts.close()


def test_results_come_in_order_and_no_more_are_taken_than_there_is_room(parts: Parts) -> None:
    taken = used = most = 0

    def calls() -> Iterator[Callable[[], int]]:
        nonlocal taken, most
        for number in range(50):
            taken += 1
            most = max(most, taken - used)
            yield partial(int, number)

    got = []
    for number in parts.each(calls()):
        got.append(number)
        used += 1
    assert got == list(range(50))
    assert most <= 4  # three hold their room, and one has given its result but not yet its room


def test_an_error_comes_in_its_turn_and_gives_all_room_back(parts: Parts) -> None:
    def fail() -> int:
        raise ValueError("third")

    calls: list[Callable[[], int]] = [partial(int, 1), partial(int, 2), fail, partial(int, 4), partial(int, 5)]
    results = parts.each(iter(calls))
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(results)

    def broken() -> Iterator[Callable[[], int]]:
        yield partial(int, 1)
        raise OSError("source")

    with pytest.raises(OSError, match="source"):
        parts.run(broken())
    left = parts.each(partial(int, number) for number in range(9))
    assert next(left) == 0
    left.close()
    assert list(parts.each(partial(int, number) for number in range(9))) == list(range(9))


def test_transfers_that_share_the_room_do_not_wait_for_each_other(parts: Parts) -> None:
    results: dict[int, list[int]] = {}

    def transfer(which: int) -> None:
        results[which] = list(parts.each(partial(int, number) for number in range(200)))

    threads = [threading.Thread(target=transfer, args=(which,)) for which in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {which: list(range(200)) for which in range(8)}
