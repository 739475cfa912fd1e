"""Everything is in one mini-batch, every mini-batch in one group, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steps.parallel.splitting import (
    MOST_GROUPS,
    MOST_TOGETHER,
    USABLE,
    by_bytes,
    by_count,
    by_key,
    group_size,
    grouped,
)


@given(items=st.integers(0, 500), size=st.integers(1, 50))
def test_by_count(items: int, size: int) -> None:
    parts = by_count(items, size)
    assert [position for part in parts for position in part] == list(range(items))
    assert all(len(part) == size for part in parts[:-1])
    assert all(1 <= len(part) <= size for part in parts[-1:])


@given(rows=st.integers(0, 2000), average=st.integers(0, 500), size=st.integers(1, 20_000))
def test_by_bytes(rows: int, average: int, size: int) -> None:
    parts = by_bytes(rows, rows * average, size)
    assert [position for part in parts for position in part] == list(range(rows))
    assert all(len(part) == 1 or len(part) * average <= size for part in parts)
    # None is smaller than it must be.
    assert all((len(part) + 1) * average > size for part in parts[:-1])


@given(keys=st.lists(st.integers(0, 5)))
def test_by_key(keys: list[int]) -> None:
    groups = by_key(keys)
    assert sorted(position for group in groups.values() for position in group) == list(range(len(keys)))
    assert all(keys[position] == key for key, group in groups.items() for position in group)
    assert all(group == sorted(group) for group in groups.values())
    assert list(groups) == list(dict.fromkeys(keys))


@given(
    sizes=st.lists(st.integers(0, 700), max_size=4),
    nodes=st.integers(1, 30),
    processes=st.integers(1, 8),
    seconds=st.floats(0.1, 4000),
    limit=st.none() | st.floats(60, 7200),
)
def test_groups(sizes: list[int], nodes: int, processes: int, seconds: float, limit: float | None) -> None:
    size = group_size(sum(sizes), nodes=nodes, processes=processes, seconds=seconds, limit=limit)
    groups = grouped(sizes, size)
    assert [index for group in groups for index in group] == list(range(sum(sizes)))
    assert len(groups) <= MOST_GROUPS + len(sizes)
    forced = -(-sum(sizes) // MOST_GROUPS)
    assert size <= max(MOST_TOGETHER, forced)
    if size > max(1, forced):
        assert limit is None or -(-size // processes) * seconds <= limit * USABLE + seconds
    borders = {sum(sizes[:number]) for number in range(len(sizes))}
    assert not any(border in group and border != group.start for border in borders for group in groups)


def test_a_step_with_two_nodes_gets_eight_groups() -> None:
    assert group_size(80, nodes=2, processes=1, seconds=60, limit=None) == 10
    assert group_size(10_000, nodes=2, processes=1, seconds=60, limit=None) == MOST_TOGETHER


def test_a_group_fits_in_the_time_of_the_host() -> None:
    assert group_size(10_000, nodes=2, processes=1, seconds=60, limit=1800) == 27
    assert group_size(10_000, nodes=2, processes=2, seconds=60, limit=1800) == 54
