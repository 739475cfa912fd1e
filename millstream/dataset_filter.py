"""Conditions written with operators: `dataset["age"] > 30`, `(a == 1) & ~b.is_null()`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Literal

from orchestrator.core import dataset_filter as core

Operator = Literal["==", "!=", "<", "<=", ">", ">="]


class FilterExpression:
    """A condition. Join conditions by `&`, `|` and `~`, in brackets."""

    def __init__(self, condition: core.Condition) -> None:
        self.condition = condition

    def __and__(self, other: FilterExpression) -> FilterExpression:
        return FilterExpression(core.AllOf(conditions=(self.condition, condition_of(other))))

    def __or__(self, other: FilterExpression) -> FilterExpression:
        return FilterExpression(core.AnyOf(conditions=(self.condition, condition_of(other))))

    def __invert__(self) -> FilterExpression:
        return FilterExpression(core.Negation(condition=self.condition))

    def __bool__(self) -> bool:
        raise TypeError("A condition of a dataset is not true or false by itself. Join with & | ~, not and or not.")

    def __repr__(self) -> str:
        return f"FilterExpression({self.condition!r})"


class ColumnExpression:
    """A column, or a property of files, to be compared."""

    def __init__(self, operand: core.Operand) -> None:
        self._operand = operand

    def _compare(self, operator: Operator, other: Any) -> FilterExpression:
        if other is None:
            if operator == "==":
                return self.is_null()
            if operator == "!=":
                return ~self.is_null()
        right = other._operand if isinstance(other, ColumnExpression) else constant(other)
        return FilterExpression(core.Comparison(left=self._operand, operator=operator, right=right))

    def __eq__(self, other: object) -> FilterExpression:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> FilterExpression:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: Any) -> FilterExpression:
        return self._compare("<", other)

    def __le__(self, other: Any) -> FilterExpression:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> FilterExpression:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> FilterExpression:
        return self._compare(">=", other)

    __hash__ = None  # type: ignore[assignment]

    def is_null(self) -> FilterExpression:
        return FilterExpression(core.NullTest(value=self._operand))

    def starts_with(self, value: str) -> FilterExpression:
        return FilterExpression(core.TextTest(value=self._operand, test="starts_with", text=value))

    def ends_with(self, value: str) -> FilterExpression:
        return FilterExpression(core.TextTest(value=self._operand, test="ends_with", text=value))

    def contains(self, value: str) -> FilterExpression:
        return FilterExpression(core.TextTest(value=self._operand, test="contains", text=value))

    def __repr__(self) -> str:
        return f"ColumnExpression({self._operand!r})"


def condition_of(expression: Any) -> core.Condition:
    """Raises TypeError for what is no condition."""
    if not isinstance(expression, FilterExpression):
        raise TypeError(f"{expression!r} is no condition. Write one like dataset['age'] > 30.")
    return expression.condition


def constant(value: Any) -> core.ConstantValue | core.MomentValue:
    """A value as a document has it. Raises TypeError."""
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
    elif hasattr(value, "item"):
        value = value.item()
    if isinstance(value, date):
        return core.MomentValue(value=moment(value))
    if not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"A column cannot be compared with {value!r}. Use a number, a text, True, False or a moment.")
    return core.ConstantValue(value=value)


def moment(value: date) -> str:
    """A moment as a document has it: in UTC. One without a zone is taken to be in UTC already."""
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat()
