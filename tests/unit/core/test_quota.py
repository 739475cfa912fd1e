"""What quotas allow, as values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.quota import Quotas, Unfinished, share

BOTH = Quotas(runs=10, runs_each=4)


def there(**by: int) -> Unfinished:
    return Unfinished(seen_at=0.0, by=by)


def test_a_quota_is_what_there_may_be() -> None:
    assert BOTH.refusal(there(ann=3, bob=6), "ann", {}) is None
    refused = BOTH.refusal(there(ann=4), "ann", {"ann": ["r1", "r2", "r3", "r4"], "bob": ["r5"]})
    assert refused is not None
    assert (refused.status, refused.code, refused.retry_after) == (429, "QuotaExceeded", 60.0)
    assert '"ann" has 4 runs that are not finished, of at most 4 (MILLSTREAM_MOST_RUNS_EACH): "r1", "r2"' in str(
        refused
    )
    assert "r5" not in str(refused)
    refused = BOTH.refusal(there(ann=3, bob=7), "ann", {"ann": ["r1"], "bob": ["r2"]})
    assert refused is not None
    assert '10 runs are not finished, of at most 10 (MILLSTREAM_MOST_RUNS): "r1", "r2"' in str(refused)


def test_far_from_a_quota_is_less_than_half_of_each() -> None:
    assert BOTH.is_far(there(ann=1, bob=3), "ann")
    assert not BOTH.is_far(there(ann=2), "ann")
    assert not BOTH.is_far(there(ann=1, bob=4), "ann")
    assert Quotas(runs_each=4).is_far(there(bob=1000), "ann")
    assert Quotas(runs=10).is_far(there(ann=4), "ann")


def test_what_is_not_limited_is_not_counted() -> None:
    assert not Quotas().of_runs
    assert Quotas().refusal(there(ann=10**9), "ann", {}) is None


def test_what_has_started_since_is_counted_too() -> None:
    assert there(ann=1).with_one_more("ann").with_one_more("bob").by == {"ann": 2, "bob": 1}


@given(st.integers(1, 2_000), st.data())
def test_however_shares_are_used_a_run_never_becomes_more_than_it_may(allowed: int, data: st.DataObject) -> None:
    def grow(most: int, depth: int) -> int:
        """All steps of a run that may have `most` in all, each of whose composites takes what it may, or less."""
        size = data.draw(st.integers(0, min(most, 12)))
        composites = data.draw(st.integers(0, size)) if depth else 0
        if not composites:
            return size
        each = share(most, size, composites)
        return size + sum(grow(each, depth - 1) for _ in range(composites))

    assert grow(allowed, 2) <= allowed
