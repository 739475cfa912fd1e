"""How failures are counted, and when they are too many."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.kinds.parallel_run import ParallelRun
from steps.parallel.verdicts import Count, Verdict, complaint, count, first_errors

BAD = Verdict(index=1, items=10, tries=3, error="ValueError: bad")
SHORT = Verdict(index=2, items=10, returned=7)
MANY = Verdict(index=3, items=10, returned=12)
FOUND = count([Verdict(index=0, items=10, returned=10), BAD, SHORT, MANY])


def allowing(**changes: Any) -> ParallelRun:
    return ParallelRun(entry_script="a.py", inputs=("data",), output="out", **changes)


def test_a_failed_mini_batch_counts_all_its_items_and_a_short_one_what_it_lacks() -> None:
    assert Count(batches=4, failed_batches=1, items=40, failed_items=13) == FOUND


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"error_threshold": 13}, None),
        ({"error_threshold": -1}, None),
        ({"error_threshold": 12}, "13 of 40 items failed; error_threshold allows 12."),
        ({"allowed_failed_count": 1}, None),
        ({"allowed_failed_count": 0}, "1 of 4 mini-batches failed; allowed_failed_count allows 0."),
        ({"allowed_failed_percent": 25.0}, None),
        ({"allowed_failed_percent": 24.9}, "1 of 4 mini-batches failed; allowed_failed_percent allows 24.9 %."),
    ],
)
def test_what_is_too_many(changes: dict[str, Any], says: str | None) -> None:
    assert complaint(FOUND, allowing(**changes)) == says


def test_the_first_errors_are_named() -> None:
    assert first_errors([BAD, SHORT, MANY]) == [
        "Mini-batch 1, after 3 tries: ValueError: bad",
        "Mini-batch 2: run() returned 7 results for 10 items.",
    ]
    assert first_errors([BAD] * 7)[-1] == "... and 2 more."
