"""What a condition compares, and how."""

from __future__ import annotations

import pytest

from orchestrator.core.conditions import Comparable, Operator, holds, shown_value
from orchestrator.core.errors import Broken


@pytest.mark.parametrize(
    ("value", "how", "than", "expected"),
    [
        (0.91, ">=", 0.9, True),
        (0.9, ">", 0.9, False),
        ("0.91", ">", 0.9, True),
        ("10", "<", "9", False),
        (3, "==", "3.0", True),
        (3, "!=", 3.0, False),
        ("yes", "==", "yes", True),
        ("yes", "!=", "Yes", True),
        (True, "==", "true", True),
        ("True", "==", True, True),
        ("False", "==", True, False),
        (True, "==", 1, False),
        ("nan", "==", "nan", True),
        (2**53, "<=", 2**53, True),
    ],
)
def test_numbers_are_compared_as_numbers_the_rest_as_texts(
    value: Comparable, how: Operator, than: Comparable, expected: bool
) -> None:
    assert holds(value, how, than) is expected


@pytest.mark.parametrize(("value", "than"), [("a", "b"), (True, 1), ("nan", 1.0)])
def test_texts_have_no_order(value: Comparable, than: Comparable) -> None:
    with pytest.raises(Broken, match="only numbers have an order"):
        holds(value, "<", than)


def test_a_long_value_is_cut_in_a_reason() -> None:
    assert shown_value("x" * 500) == '"' + "x" * 79 + "..."
    assert shown_value(0.5) == "0.5"
