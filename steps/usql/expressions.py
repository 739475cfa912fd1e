"""C# expressions -> DuckDB's, by type: what an operator means depends on what it is given.

The rules where the two differ: a comparison with null is false or true and never null; `&&`, `||`, `??` and `?:`
evaluate only what they need; whole numbers divide to whole numbers; casts cut off, they do not round; NaN equals
nothing; text that is null adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from steps.usql import tree
from steps.usql.refusal import Place, Refused
from steps.usql.types import BOOL, CHAR, DOUBLE, INT, LONG, NULL, NUMBERS, STRING, WHOLE, Type, converts, promoted

AGGREGATES: Final = ("COUNT", "SUM", "AVG", "MIN", "MAX", "ANY_VALUE")
LITERALS: Final = {
    "string": STRING,
    "char": CHAR,
    "int": INT,
    "long": LONG,
    "double": DOUBLE,
    "bool": BOOL,
    "null": NULL,
}
WORDS: Final = {"AND": "&&", "OR": "||", "NOT": "!"}


@dataclass(frozen=True, slots=True)
class Sql:
    """An expression of DuckDB and its type in C#. `fails`: it may raise an error for some values."""

    text: str
    type: Type
    fails: bool = False

    def to(self, target: Type) -> Sql:
        """Converted, where C# would do it by itself."""
        if self.type.name == target.name:
            return self
        return Sql(f"CAST({self.text} AS {target.sql})", target.maybe(self.type.nullable), self.fails)


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean at a place. `columns`: (source, column) -> expression, in order. `aggregates`: they are allowed;
    `keys`: what a query with GROUP BY may use outside of them (None: everything).
    """

    columns: Mapping[tuple[str, str], Sql] = field(default_factory=dict)
    variables: Mapping[str, Sql] = field(default_factory=dict)
    aggregates: bool = False
    keys: frozenset[str] | None = None


def quoted(name: str) -> str:
    """As an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str, at: Place) -> str:
    """As a text."""
    if "\0" in text:
        raise Refused("Text with a zero character is not in the subset.", at)
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise Refused("Half a surrogate pair is not in the subset.", at)
    return "'" + text.replace("'", "''") + "'"


def translate(node: tree.Expression, scope: Scope) -> Sql:
    """Raises Refused."""
    if scope.keys is not None and not isinstance(node, (tree.Literal, tree.Variable)):
        # The whole expression may be what the rows were grouped by.
        found = _plain(node, scope)
        if found is not None and found.text in scope.keys:
            return found
    return _DO[type(node)](node, scope)


def _plain(node: tree.Expression, scope: Scope) -> Sql | None:
    """As it would be without GROUP BY; None if it has aggregates."""
    if has_aggregate(node):
        return None
    return translate(node, Scope(scope.columns, scope.variables))


def has_aggregate(node: object) -> bool:
    """Whether there is an aggregate in it."""
    if isinstance(node, tree.Call):
        return True
    if isinstance(node, tuple):
        return any(has_aggregate(item) for item in node)
    if isinstance(node, tree.Node):
        return any(has_aggregate(getattr(node, name)) for name in _fields(node))
    return False


def _fields(node: tree.Node) -> tuple[str, ...]:
    return tuple(node.__dataclass_fields__)


def condition(node: tree.Expression, scope: Scope) -> Sql:
    """An expression that must be a bool. Raises Refused."""
    found = translate(node, scope)
    if found.type != BOOL:
        raise Refused(f"A condition must be a bool, this is {_a(found.type)}.", node.at)
    return found


def _a(type: Type) -> str:
    return f"a value of type {type}"


def _literal(node: tree.Literal, _: Scope) -> Sql:
    kind = LITERALS[node.type]
    match node.type:
        case "string":
            return Sql(literal(str(node.value), node.at), kind)
        case "null":
            return Sql("NULL", kind)
        case "bool":
            return Sql("TRUE" if node.value else "FALSE", kind)
        case "char":
            raise Refused("A character is not in the subset here; write it as a text.", node.at)
        case _:
            return Sql(f"CAST({node.value!r} AS {kind.sql})", kind)


def _variable(node: tree.Variable, scope: Scope) -> Sql:
    found = scope.variables.get(node.name)
    if found is None:
        raise Refused(f"{node.name} is not declared before.", node.at)
    return found


def _name(node: tree.Name, scope: Scope) -> Sql:
    found = [(place, sql) for place, sql in scope.columns.items() if place[1] == node.name]
    if not found:
        known = ", ".join(dict.fromkeys(column for _, column in scope.columns)) or "none"
        raise Refused(f"There is no column {node.name}; there are: {known}.", node.at)
    if len(found) > 1:
        raise Refused(
            f"{node.name} is a column of {' and of '.join(place[0] for place, _ in found)}: say which.", node.at
        )
    return _allowed(found[0][1], node, scope)


def column_of(source: str, node: tree.Member, scope: Scope) -> Sql:
    """`source.column`."""
    found = scope.columns.get((source, node.name))
    if found is None:
        known = ", ".join(column for owner, column in scope.columns if owner == source)
        raise Refused(f"{source} has no column {node.name}; it has: {known}.", node.at)
    return _allowed(found, node, scope)


def _allowed(found: Sql, node: tree.Expression, scope: Scope) -> Sql:
    if scope.keys is not None and found.text not in scope.keys:
        raise Refused("This is neither in GROUP BY nor inside an aggregate.", node.at)
    return found


def _is_source(name: str, column: str, scope: Scope) -> bool:
    """Whether `name.column` is a column of a rowset of the FROM clause, or cannot be anything else."""
    if (name, column) in scope.columns:
        return True
    owners, columns = {owner for owner, _ in scope.columns}, {known for _, known in scope.columns}
    return name in owners and name not in columns


def _member(node: tree.Member, scope: Scope) -> Sql:
    from steps.usql import methods

    if node.arguments is None and isinstance(node.of, tree.Name) and _is_source(node.of.name, node.name, scope):
        return column_of(node.of.name, node, scope)
    return methods.translate(node, scope)


def _unary(node: tree.Unary, scope: Scope) -> Sql:
    found = translate(node.operand, scope)
    if node.operator == "()":
        return found
    if WORDS.get(node.operator, node.operator) == "!":
        if found.type != BOOL:
            raise Refused(f"! needs a bool, this is {_a(found.type)}.", node.at)
        return Sql(f"(NOT {found.text})", BOOL, found.fails)
    target = promoted(found.type, INT)
    if target is None:
        raise Refused(f"{node.operator} needs a number, this is {_a(found.type)}.", node.at)
    return Sql(f"({node.operator} {found.to(target).text})", target, True)


def _binary(node: tree.Binary, scope: Scope) -> Sql:
    left, right = translate(node.left, scope), translate(node.right, scope)
    operator = WORDS.get(node.operator, node.operator)
    return _OPERATORS[operator](node, operator, left, right)


def _logical(node: tree.Binary, operator: str, left: Sql, right: Sql) -> Sql:
    for side, given in ((left, node.left), (right, node.right)):
        if side.type != BOOL:
            raise Refused(f"{node.operator} needs bools, this is {_a(side.type)}.", given.at)
    fails = left.fails or right.fails
    if not right.fails:
        return Sql(f"({left.text} {'AND' if operator == '&&' else 'OR'} {right.text})", BOOL, fails)
    if operator == "&&":
        return Sql(f"CASE WHEN {left.text} THEN {right.text} ELSE FALSE END", BOOL, fails)
    return Sql(f"CASE WHEN {left.text} THEN TRUE ELSE {right.text} END", BOOL, fails)


def _equality(node: tree.Binary, operator: str, left: Sql, right: Sql) -> Sql:
    fails = left.fails or right.fails
    wrong = operator == "!="
    for one, other in ((left, right), (right, left)):
        if other.type == NULL:
            return Sql(f"({one.text} IS {'NOT ' if wrong else ''}NULL)", BOOL, fails)
    target = promoted(left.type, right.type) or (left.type if left.type.name == right.type.name else None)
    if target is None:
        raise Refused(f"{operator} compares {_a(left.type)} with {_a(right.type)}.", node.at)
    first, second = left.to(target).text, right.to(target).text
    text = f"({first} IS NOT DISTINCT FROM {second})"
    if target.name == "double":
        text = f"({text} AND NOT coalesce(isnan({first}), FALSE))"
    return Sql(f"(NOT {text})" if wrong else text, BOOL, fails)


def _relation(node: tree.Binary, operator: str, left: Sql, right: Sql) -> Sql:
    target = promoted(left.type, right.type)
    if target is None and left.type.name == right.type.name == "DateTime":
        target = left.type
    if target is None:
        raise Refused(f"{operator} compares numbers or DateTimes, not {_a(left.type)} with {_a(right.type)}.", node.at)
    one, other = left.to(target).text, right.to(target).text
    text = f"({one} {operator} {other})"
    if target.name == "double":
        text = f"({text} AND NOT isnan({one}) AND NOT isnan({other}))"
    return Sql(f"coalesce({text}, FALSE)", BOOL, left.fails or right.fails)


def _arithmetic(node: tree.Binary, operator: str, left: Sql, right: Sql) -> Sql:
    if operator == "+" and STRING in (left.type, right.type):
        return Sql(f"({_shown(left, node.left)} || {_shown(right, node.right)})", STRING, left.fails or right.fails)
    target = promoted(left.type, right.type)
    if target is None:
        raise Refused(f"{operator} is not known for {_a(left.type)} and {_a(right.type)}.", node.at)
    if operator == "%" and target.name == "double":
        raise Refused("% of doubles is not in the subset.", node.at)
    sign = "//" if operator == "/" and target.name in WHOLE else operator
    return Sql(f"({left.to(target).text} {sign} {right.to(target).text})", target, True)


def _shown(part: Sql, node: tree.Expression) -> str:
    """What is added to a text."""
    if part.type in (STRING, NULL):
        return f"coalesce({part.text}, '')"
    if part.type.name in WHOLE:
        return f"coalesce(CAST({part.text} AS VARCHAR), '')"
    raise Refused(f"{_a(part.type).capitalize()} cannot be added to a text in the subset.", node.at)


def _coalesce(node: tree.Binary, _: str, left: Sql, right: Sql) -> Sql:
    if not left.type.nullable or left.type == NULL:
        raise Refused(f"?? needs something on its left that may be null, this is {_a(left.type)}.", node.left.at)
    target = _common(Sql(left.text, left.type.maybe(False)), right)
    if target is None:
        raise Refused(f"?? has {_a(left.type)} on its left and {_a(right.type)} on its right.", node.at)
    target = target.maybe(right.type.nullable)
    text = f"CASE WHEN {left.text} IS NOT NULL THEN {left.to(target).text} ELSE {right.to(target).text} END"
    return Sql(text, target, left.fails or right.fails)


def _common(one: Sql, other: Sql) -> Type | None:
    """The type that C# finds for both."""
    for target, source in ((one.type, other.type), (other.type, one.type)):
        both = target.maybe(target.nullable or (source.nullable and source != NULL and source.name == target.name))
        if target != NULL and converts(source, both):
            return both
    return None


def _conditional(node: tree.Conditional, scope: Scope) -> Sql:
    chosen = condition(node.condition, scope)
    yes, no = translate(node.yes, scope), translate(node.no, scope)
    target = _common(yes, no)
    if target is None:
        raise Refused(f"?: has {_a(yes.type)} and {_a(no.type)}, which have no type in common.", node.at)
    text = f"CASE WHEN {chosen.text} THEN {yes.to(target).text} ELSE {no.to(target).text} END"
    return Sql(text, target, chosen.fails or yes.fails or no.fails)


def _cast(node: tree.Cast, scope: Scope) -> Sql:
    from steps.usql.types import declared

    target, found = declared(node.type), translate(node.operand, scope)
    if found.type == NULL:
        if not target.nullable:
            raise Refused(f"null is no {target}.", node.at)
        return Sql(f"CAST(NULL AS {target.sql})", target)
    numbers = found.type.name in NUMBERS and target.name in NUMBERS
    if not numbers and found.type.name != target.name:
        raise Refused(f"A cast from {found.type} to {target} is not in the subset.", node.at)
    text = found.text
    if found.type.nullable and not target.nullable:
        text = f"usql_some({text}, 'the operand of ({target})')"
    if found.type.name == "double" and target.name in WHOLE:
        text = f"trunc({text})"
    if found.type.name != target.name:
        text = f"CAST({text} AS {target.sql})"
    return Sql(text, target, True)


def _among(node: tree.Among, scope: Scope) -> Sql:
    operand = translate(node.operand, scope)
    parts = []
    for choice in node.choices:
        compared = tree.Binary(at=choice.at, operator="==", left=node.operand, right=choice)
        parts.append(_equality(compared, "==", operand, translate(choice, scope)))
    return Sql(f"({' OR '.join(part.text for part in parts)})", BOOL, any(part.fails for part in parts))


def _static(node: tree.Static, _: Scope) -> Sql:
    raise Refused(f"{node.name} is not in the subset here.", node.at)


def _call(node: tree.Call, scope: Scope) -> Sql:
    if node.name not in AGGREGATES:
        raise Refused(f"{node.name} is not in the subset; of aggregates there are {', '.join(AGGREGATES)}.", node.at)
    if not scope.aggregates:
        raise Refused(f"{node.name} is not in the subset here.", node.at)
    if node.star:
        if node.name != "COUNT":
            raise Refused(f"{node.name}(*) is not known.", node.at)
        return Sql("count(*)", Type("long", True))
    if len(node.arguments) != 1 or node.arguments[0].name:
        raise Refused(f"{node.name} takes one argument.", node.at)
    inner = translate(node.arguments[0].value, Scope(scope.columns, scope.variables))
    return _aggregate(node, inner)


def _aggregate(node: tree.Call, inner: Sql) -> Sql:
    distinct = "DISTINCT " if node.distinct else ""
    name, kind = node.name, inner.type
    if name == "COUNT":
        return Sql(f"count({distinct}{inner.text})", Type("long", True), inner.fails)
    if name == "ANY_VALUE":
        return Sql(f"any_value({inner.text})", kind.maybe(), inner.fails)
    if name in ("SUM", "AVG") and kind.name not in NUMBERS:
        raise Refused(f"{name} needs numbers, this is {_a(kind)}.", node.at)
    if name == "AVG":
        return Sql(f"avg({distinct}CAST({inner.text} AS DOUBLE))", Type("double", True), inner.fails)
    if name == "SUM":
        target = Type("double" if kind.name == "double" else "long", True)
        return Sql(f"CAST(sum({distinct}{inner.text}) AS {target.sql})", target, True)
    if kind.name not in (*NUMBERS, "DateTime"):
        raise Refused(f"{name} of {_a(kind)} is not in the subset: how it would be ordered is not known.", node.at)
    return Sql(f"{name.lower()}({inner.text})", kind.maybe(), inner.fails)


_OPERATORS: Final[dict[str, Callable[[tree.Binary, str, Sql, Sql], Sql]]] = {
    "&&": _logical,
    "||": _logical,
    "==": _equality,
    "!=": _equality,
    **dict.fromkeys(("<", "<=", ">", ">="), _relation),
    **dict.fromkeys(("+", "-", "*", "/", "%"), _arithmetic),
    "??": _coalesce,
}
_DO: Final[dict[type, Callable[..., Sql]]] = {
    tree.Literal: _literal,
    tree.Variable: _variable,
    tree.Name: _name,
    tree.Member: _member,
    tree.Unary: _unary,
    tree.Binary: _binary,
    tree.Conditional: _conditional,
    tree.Cast: _cast,
    tree.Among: _among,
    tree.Static: _static,
    tree.Call: _call,
}
