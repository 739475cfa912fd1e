"""The methods and properties of C# that are understood.

A call on a null fails, as it does in C#. Arguments have the types that are said here, or convert to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from steps.usql import expressions, tree
from steps.usql.expressions import Scope, Sql
from steps.usql.refusal import Refused
from steps.usql.types import BOOL, DOUBLE, INT, LONG, NULL, STRING, WHOLE, Type, converts


@dataclass(frozen=True, slots=True)
class Method:
    """`takes`: the types of the arguments, None for a property. `sql`: of the texts of object and arguments."""

    takes: tuple[Type, ...] | None
    gives: Type
    sql: Callable[..., str]
    fails: bool = True


def _sides(what: str, name: str) -> Callable[..., str]:
    return lambda v, x: f"{name}(usql_plain({v}, '{what}'), usql_plain({_some(x, what)}, '{what}'))"


def _some(text: str, what: str) -> str:
    return f"usql_some({text}, 'the argument of {what}')"


_OF_STRING: Final[dict[tuple[str, int | None], Method]] = {
    ("Length", None): Method(None, INT, lambda v: f"usql_length({v})"),
    ("ToUpper", 0): Method((), STRING, lambda v: f"upper(usql_cased({v}, 'ToUpper'))"),
    ("ToLower", 0): Method((), STRING, lambda v: f"lower(usql_cased({v}, 'ToLower'))"),
    ("ToUpperInvariant", 0): Method((), STRING, lambda v: f"upper(usql_cased({v}, 'ToUpperInvariant'))"),
    ("ToLowerInvariant", 0): Method((), STRING, lambda v: f"lower(usql_cased({v}, 'ToLowerInvariant'))"),
    ("Trim", 0): Method((), STRING, lambda v: f"usql_trim({v})"),
    ("TrimStart", 0): Method((), STRING, lambda v: f"usql_trim_start({v})"),
    ("TrimEnd", 0): Method((), STRING, lambda v: f"usql_trim_end({v})"),
    ("ToString", 0): Method((), STRING, lambda v: v),
    ("Contains", 1): Method((STRING,), BOOL, lambda v, x: f"contains({v}, {_some(x, 'Contains')})"),
    ("StartsWith", 1): Method((STRING,), BOOL, _sides("StartsWith", "starts_with")),
    ("EndsWith", 1): Method((STRING,), BOOL, _sides("EndsWith", "ends_with")),
    ("IndexOf", 1): Method((STRING,), INT, lambda v, x: f"CAST({_sides('IndexOf', 'instr')(v, x)} - 1 AS INTEGER)"),
    ("Replace", 2): Method(
        (STRING, STRING), STRING, lambda v, old, new: f"usql_replace({v}, {_some(old, 'Replace')}, {new})"
    ),
    ("Substring", 1): Method(
        (INT,),
        STRING,
        lambda v, start: f"usql_substring(usql_units({v}, 'Substring'), {start}, length({v}) - {start})",
    ),
    ("Substring", 2): Method(
        (INT, INT), STRING, lambda v, start, n: f"usql_substring(usql_units({v}, 'Substring'), {start}, {n})"
    ),
}
_PARTS: Final = ("Year", "Month", "Day", "Hour", "Minute", "Second")
_OF_DATE: Final[dict[tuple[str, int | None], Method]] = {
    **{
        (part, None): Method(None, INT, lambda v, part=part: f"CAST({part.lower()}({v}) AS INTEGER)") for part in _PARTS
    },
    ("Date", None): Method(None, Type("DateTime"), lambda v: f"CAST(date_trunc('day', {v}) AS TIMESTAMP)"),
}
_OF_WHOLE: Final[dict[tuple[str, int | None], Method]] = {
    ("ToString", 0): Method((), STRING, lambda v: f"CAST({v} AS VARCHAR)"),
}
_TEXTS: Final[dict[tuple[str, int | None], Method]] = {
    ("IsNullOrEmpty", 1): Method((STRING,), BOOL, lambda x: f"({x} IS NULL OR {x} = '')", False),
    ("IsNullOrWhiteSpace", 1): Method((STRING,), BOOL, lambda x: f"usql_blank({x})", False),
}


def _parsing(kind: Type) -> dict[tuple[str, int | None], Method]:
    what = f"{kind.name}.Parse"
    return {
        ("Parse", 1): Method((STRING,), kind, lambda x: f"usql_{kind.name}({_some(x, what)}, '{what}')"),
    }


_STATICS: Final[dict[str, dict[tuple[str, int | None], Method]]] = {
    **dict.fromkeys(("string", "String"), _TEXTS),
    **dict.fromkeys(("int", "Int32"), _parsing(INT)),
    **dict.fromkeys(("long", "Int64"), _parsing(LONG)),
    **dict.fromkeys(("double", "Double"), _parsing(DOUBLE)),
    **dict.fromkeys(("bool", "Boolean"), _parsing(BOOL)),
    "Math": {
        ("Sqrt", 1): Method((DOUBLE,), DOUBLE, lambda x: f"CASE WHEN {x} < 0 THEN 'nan'::DOUBLE ELSE sqrt({x}) END"),
        ("Floor", 1): Method((DOUBLE,), DOUBLE, lambda x: f"floor({x})"),
        ("Ceiling", 1): Method((DOUBLE,), DOUBLE, lambda x: f"ceil({x})"),
        ("Truncate", 1): Method((DOUBLE,), DOUBLE, lambda x: f"trunc({x})"),
    },
}


def translate(node: tree.Member, scope: Scope) -> Sql:
    """Raises Refused."""
    if statics := _statics(node.of, scope):
        return _applied(node, statics[1], f"{statics[0]}.{node.name}", (), scope)
    of = expressions.translate(node.of, scope)
    if of.type == NULL:
        raise Refused(f"null has no {node.name}.", node.at)
    if (special := _of_nullable(node, of)) is not None:
        return special
    known = {"string": _OF_STRING, "DateTime": _OF_DATE, **dict.fromkeys(WHOLE, _OF_WHOLE)}.get(of.type.name, {})
    if of.type.nullable:
        if of.type.name != "string":
            raise Refused(f"{of.type} has no {node.name} in the subset; its .Value may have.", node.at)
        of = Sql(f"usql_some({of.text}, 'the object of {node.name}')", of.type, True)
    return _applied(node, known, f"{of.type}.{node.name}", (of.text,), scope, fails=of.fails)


def _statics(of: tree.Expression, scope: Scope) -> tuple[str, dict[tuple[str, int | None], Method]] | None:
    if isinstance(of, tree.Static):
        return of.name, _STATICS.get(of.name, {})
    if isinstance(of, tree.Name) and of.name in _STATICS and not any(name == of.name for _, name in scope.columns):
        return of.name, _STATICS[of.name]
    return None


def _of_nullable(node: tree.Member, of: Sql) -> Sql | None:
    """`.HasValue`, `.Value` and `.GetValueOrDefault()` of an `int?` and its like."""
    if not of.type.nullable or of.type.name == "string":
        return None
    bare = of.type.maybe(False)
    if node.name == "HasValue" and node.arguments is None:
        return Sql(f"({of.text} IS NOT NULL)", BOOL, of.fails)
    if node.name == "Value" and node.arguments is None:
        return Sql(f"usql_some({of.text}, 'the object of Value')", bare, True)
    if node.name == "GetValueOrDefault" and node.arguments == () and bare.name != "DateTime":
        return Sql(f"coalesce({of.text}, CAST(0 AS {bare.sql}))", bare, of.fails)
    return None


def _applied(
    node: tree.Member,
    known: dict[tuple[str, int | None], Method],
    what: str,
    before: Sequence[str],
    scope: Scope,
    *,
    fails: bool = False,
) -> Sql:
    count = None if node.arguments is None else len(node.arguments)
    method = known.get((node.name, count))
    if method is None:
        raise Refused(f"{what} is not in the subset{'' if count is None else f' with {count} arguments'}.", node.at)
    texts = list(before)
    for argument, wanted in zip(node.arguments or (), method.takes or (), strict=True):
        if argument.name:
            raise Refused("Arguments by name are not in the subset here.", argument.at)
        given = expressions.translate(argument.value, scope)
        if not converts(given.type, wanted):
            raise Refused(f"{what} takes {wanted} here, this is {given.type}.", argument.value.at)
        fails = fails or given.fails
        texts.append("CAST(NULL AS VARCHAR)" if given.type == NULL else given.to(wanted).text)
    return Sql(method.sql(*texts), method.gives, fails or method.fails)
