"""A script as values. `at` is where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from steps.usql.refusal import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    at: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeName(Node):
    """`name` as in C#, `nullable` with a `?` behind it."""

    name: str
    nullable: bool


# Expressions


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Node):
    """`type`: string, char, int, long, double, bool or null; `value` in Python."""

    type: str
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Node):
    """`@name`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Node):
    """`of.name`; a method call if `arguments` is not None."""

    of: Expression
    name: str
    arguments: tuple[Argument, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """`NAME(...)`: an aggregate. `star`: COUNT(*)."""

    name: str
    arguments: tuple[Argument, ...]
    distinct: bool = False
    star: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Node):
    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Node):
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(Node):
    condition: Expression
    yes: Expression
    no: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast(Node):
    type: TypeName
    operand: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Among(Node):
    """`operand IN (choices)`."""

    operand: Expression
    choices: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Static(Node):
    """A type's keyword, before a dot: `int.Parse`."""

    name: str


Expression = Literal | Variable | Name | Member | Call | Unary | Binary | Conditional | Cast | Among | Static


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument(Node):
    """`name` "": by its place."""

    name: str
    value: Expression


# Rowsets


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Node):
    """A column of a SELECT: an expression, or with `expression` None a star, of the source `source` or of all ("")."""

    expression: Expression | None
    alias: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Node):
    expression: Expression
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Node):
    """What stands after FROM or JOIN: a rowset variable, a query in brackets, or VALUES."""

    rowset: Variable | Query | Values
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Values(Node):
    rows: tuple[tuple[Expression, ...], ...]
    columns: tuple[Name, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Node):
    """`kind`: INNER, LEFT, RIGHT, FULL or CROSS."""

    kind: str
    source: Source
    on: Expression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Node):
    items: tuple[Item, ...]
    source: Source
    joins: tuple[Join, ...] = ()
    distinct: bool = False
    where: Expression | None = None
    group: tuple[Expression, ...] = ()
    having: Expression | None = None
    order: tuple[Order, ...] = ()
    offset: int | None = None
    fetch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Node):
    """Selects, put together by `unions`: ALL or DISTINCT."""

    selects: tuple[Select, ...]
    unions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Format(Node):
    """`family`: Extractors or Outputters; `name`: Csv, Tsv, Text."""

    family: str
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Node):
    name: str
    type: TypeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract(Node):
    columns: tuple[Column, ...]
    paths: tuple[Expression, ...]
    format: Format


# Statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Declare(Node):
    name: str
    type: TypeName
    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign(Node):
    name: str
    rowset: Extract | Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Node):
    rowset: Variable
    path: Expression
    order: tuple[Order, ...]
    format: Format


Statement = Declare | Assign | Output
