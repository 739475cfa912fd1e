"""Who may take a claim over, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.claim import (
    Standing,
    called_off,
    deferred,
    first_claim,
    joining,
    looking,
    next_claim,
    released,
    retrying,
    settled,
    standing,
    waiting,
)
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.message import Delivery
from orchestrator.core.retry import CRASH_BUDGET, RetryPolicy, retry_delay
from orchestrator.core.states import ClaimState

FIRST = Delivery(message_id="m1", count=1)
BACK = Delivery(message_id="m1", count=2)
OTHER = Delivery(message_id="m2", count=1)
RUNNING = first_claim(owner="a", delivery=FIRST, now=5.0)
RETRYING = retrying(RUNNING, delay=30.0, result="")
DEFERRED = deferred(RUNNING, delay=30.0, result="{}", result_blob="")
DONE = settled(RUNNING, failed=False, result="{}", result_blob="")
WORN = replace(RUNNING, crashes=CRASH_BUDGET - 1)


@pytest.mark.parametrize(
    ("row", "age", "delivery", "expected"),
    [
        (RUNNING, 1.0, FIRST, Standing.HELD),
        (RUNNING, 1.0, OTHER, Standing.HELD),
        (RUNNING, 1.0, BACK, Standing.FREE),
        (RUNNING, 90.0, OTHER, Standing.HELD),
        (RUNNING, 91.0, OTHER, Standing.FREE),
        (RUNNING, 91.0, FIRST, Standing.FREE),
        (WORN, 1.0, BACK, Standing.EXHAUSTED),
        (WORN, 1.0, OTHER, Standing.HELD),
        (RETRYING, 28.9, OTHER, Standing.HELD),
        (RETRYING, 29.0, OTHER, Standing.FREE),
        (RETRYING, 28.9, BACK, Standing.HELD),
        (DEFERRED, 28.9, BACK, Standing.HELD),
        (DEFERRED, 29.0, OTHER, Standing.DUE),
        (looking(DEFERRED, owner="b", delivery=OTHER), 1.0, FIRST, Standing.HELD),
        (called_off(RUNNING), 1000.0, BACK, Standing.SETTLED),
        (DONE, 1000.0, BACK, Standing.SETTLED),
    ],
)
def test_standing(row: object, age: float, delivery: Delivery, expected: Standing) -> None:
    assert standing(row, age=age, delivery=delivery, ttl=90.0) is expected  # type: ignore[arg-type]


def test_a_take_over_counts_a_crash_and_an_attempt() -> None:
    taken = next_claim(RUNNING, owner="b", delivery=BACK, now=9.0)
    assert (taken.attempt, taken.crashes, taken.retries, taken.owner) == (2, 1, 0, "b")


def test_a_retry_counts_no_crash() -> None:
    taken = next_claim(RETRYING, owner="b", delivery=OTHER, now=9.0)
    assert (taken.attempt, taken.crashes, taken.retries, taken.state) == (2, 0, 1, ClaimState.RUNNING)


def test_a_look_is_the_same_attempt_and_what_was_left_stays() -> None:
    worn = deferred(WORN, delay=5.0, result="{}", result_blob="")
    assert (worn.crashes, worn.looks, worn.delay) == (0, 1, 5.0)
    taken = looking(worn, owner="b", delivery=OTHER)
    assert (taken.attempt, taken.owner, taken.delay, taken.result) == (1, "b", 0.0, "{}")
    after_death = next_claim(taken, owner="c", delivery=Delivery(message_id="m2", count=2), now=9.0)
    assert (after_death.attempt, after_death.crashes, after_death.looks, after_death.result) == (2, 1, 1, "{}")
    assert retrying(after_death, delay=1.0, result="").looks == 0


def test_a_settled_claim_stays() -> None:
    with pytest.raises(IllegalTransition):
        next_claim(DONE, owner="b", delivery=BACK, now=9.0)
    with pytest.raises(IllegalTransition):
        settled(DONE, failed=True, result="", result_blob="")


def test_retry_delays_grow_to_a_limit() -> None:
    policy = RetryPolicy(max_retries=4, delay_seconds=10, backoff=3, max_delay_seconds=100)
    assert [retry_delay(policy, used) for used in range(5)] == [10.0, 30.0, 90.0, 100.0, None]
    assert retry_delay(RetryPolicy(), 0) is None


def test_a_step_that_is_given_back_is_free_at_once_and_nobody_is_charged() -> None:
    given_back = released(RUNNING)
    assert standing(given_back, age=0.0, delivery=OTHER, ttl=90.0) is Standing.FREE
    taken = next_claim(given_back, owner="b", delivery=OTHER, now=9.0)
    assert (taken.attempt, taken.crashes, taken.retries, taken.releases) == (2, 0, 0, 1)


def test_what_a_step_has_become_stays_when_its_join_is_given_back() -> None:
    parked = waiting(RUNNING, child="r", result="expanded", result_blob="")
    given_back = released(joining(parked, owner="b", delivery=OTHER))
    taken = next_claim(given_back, owner="c", delivery=OTHER, now=9.0)
    assert (taken.child, taken.result, taken.crashes) == ("r", "expanded", 0)
