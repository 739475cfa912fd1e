"""A translated script: statements of DuckDB, in their order."""

from __future__ import annotations

from dataclasses import dataclass

from steps.usql.refusal import Place
from steps.usql.types import Type

Columns = tuple[tuple[str, Type], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file of rows is written. `null`: what stands for a null besides nothing; `header`: of an output."""

    delimiter: str
    encoding: str = "utf-8"
    quoting: bool = True
    skip: int = 0
    header: bool = False
    null: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`sql` gives one row with one bool; if it is true, the script fails with `message`."""

    sql: str
    message: str
    at: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Files -> `table`. `paths`: expressions that give them."""

    table: str
    columns: Columns
    paths: tuple[str, ...]
    layout: Layout
    at: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A query -> `table`, if no check speaks against it."""

    table: str
    sql: str
    checks: tuple[Check, ...]
    at: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The rows of a query -> a file. `path`: an expression that gives it."""

    sql: str
    columns: Columns
    path: str
    layout: Layout
    at: Place


Program = tuple[Extracted | Made | Written, ...]
