"""The token bucket, by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.token_bucket import Rate, full, take

RATE = Rate(per_second=2.0, burst=4.0)


def test_a_burst_and_then_the_rate() -> None:
    bucket = full(RATE, 100.0)
    for _ in range(4):
        bucket, wait = take(bucket, RATE, 100.0)
        assert wait == 0.0
    bucket, wait = take(bucket, RATE, 100.0)
    assert wait == 0.5
    bucket, wait = take(bucket, RATE, 100.25)
    assert wait == 0.25, "asking too early does not put it off"
    bucket, wait = take(bucket, RATE, 100.5)
    assert wait == 0.0


def test_it_holds_no_more_than_a_burst() -> None:
    bucket = full(RATE, 0.0)
    taken = 0
    while True:
        bucket, wait = take(bucket, RATE, 1e6)
        if wait:
            break
        taken += 1
    assert taken == 4


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket, _ = take(full(RATE, 100.0), RATE, 100.0)
    for _ in range(3):
        bucket, _ = take(bucket, RATE, 100.0)
    assert take(bucket, RATE, 50.0)[1] == 0.5


@given(st.floats(0.1, 100), st.floats(1, 100), st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_never_more_than_the_burst_and_what_came_in(per_second: float, burst: float, pauses: list[float]) -> None:
    rate = Rate(per_second=per_second, burst=burst)
    now, bucket, taken = 0.0, full(rate, 0.0), 0
    for pause in pauses:
        now += pause
        bucket, wait = take(bucket, rate, now)
        taken += wait == 0.0
        assert 0.0 <= bucket.tokens <= burst
        if wait:
            assert take(bucket, rate, now + wait * 1.000001)[1] < 1e-6, "who waits as long as was said is served"
    assert taken <= burst + per_second * now + 1e-6
