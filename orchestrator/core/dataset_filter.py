"""Filters of datasets: a condition on columns or on properties of files, as data.

A condition is evaluated where the dataset is consumed. A row for which it is neither true nor false, because a value
is missing, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

FILE_PROPERTIES = ("Path", "Size", "ModifiedTime")
"""What can be asked of a file: its path in the dataset, its size in bytes, and when it was last written."""

DEEPEST = 40


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class ColumnValue(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="column"):
    """The value of a column; of a file dataset, that of a column made by `partition_format`."""

    name: str


class FileValue(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """A property of the file: "Path", "Size" or "ModifiedTime"."""

    name: str


class ConstantValue(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="constant"):
    """The value itself."""

    value: bool | int | float | str


class MomentValue(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="moment"):
    """A moment in UTC, in ISO 8601 without a zone: "2020-01-31T12:00:00"."""

    value: str


Operand = ColumnValue | FileValue | ConstantValue | MomentValue


class Comparison(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="compare"):
    left: Operand
    operator: Literal["==", "!=", "<", "<=", ">", ">="]
    right: Operand


class NullTest(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="is_null"):
    """Whether the value is missing."""

    value: Operand


class TextTest(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """Whether a text begins with, ends with, or contains `text`."""

    value: Operand
    test: Literal["starts_with", "ends_with", "contains"]
    text: str


class Negation(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="not"):
    condition: Condition


class AllOf(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="and"):
    conditions: tuple[Condition, ...]


class AnyOf(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="or"):
    conditions: tuple[Condition, ...]


Condition = Comparison | NullTest | TextTest | Negation | AllOf | AnyOf


def operands(condition: Condition) -> Iterator[Operand]:
    """Every operand of a condition, from left to right."""
    match condition:
        case Comparison():
            yield condition.left
            yield condition.right
        case NullTest() | TextTest():
            yield condition.value
        case _:
            for part in parts(condition):
                yield from operands(part)


def parts(condition: Condition) -> tuple[Condition, ...]:
    """The conditions of which a condition is made; none of a plain test."""
    match condition:
        case AllOf() | AnyOf():
            return condition.conditions
        case Negation():
            return (condition.condition,)
        case _:
            return ()


def depth(condition: Condition) -> int:
    """How deep conditions are nested, 1 for a plain test. Stops counting beyond DEEPEST."""
    level, deep = [condition], 0
    while level and deep <= DEEPEST:
        deep += 1
        level = [part for one in level for part in parts(one)]
    return deep
