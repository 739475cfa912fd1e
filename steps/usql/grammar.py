"""From the text of a script to its tree."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, v_args
from lark.exceptions import VisitError

from steps.usql import tree
from steps.usql.refusal import Place, Refused

GRAMMAR: Final = r"""
start: statement+
?statement: declare | assign | output
declare: "DECLARE" ("EXTERNAL" | "CONST")? VARIABLE type "=" expression ";"
assign: VARIABLE "=" (extract | query) ";"
output: "OUTPUT" variable "TO" expression order? "USING" format ";"

extract: "EXTRACT" column ("," column)* "FROM" paths "USING" format
paths: expression ("," expression)*
column: name type
type: TYPE [NULLABLE]
NULLABLE: "?"
format: NAME "." NAME "(" [arguments] ")"
arguments: argument ("," argument)*
argument: NAME ":" expression -> named
        | expression -> placed

query: select (union select)*
union: "UNION" (ALL | DISTINCT)
ALL: "ALL"
DISTINCT: "DISTINCT"
select: "SELECT" [DISTINCT] items "FROM" source join* where? group? having? order? offset? fetch?
items: item ("," item)*
item: "*" -> star
    | postfix "." "*" -> star_of
    | expression ["AS" name] -> item
where: "WHERE" expression
group: "GROUP" "BY" expression ("," expression)*
having: "HAVING" expression
order: "ORDER" "BY" by ("," by)*
by: expression [DIRECTION]
DIRECTION.2: /(?:ASC|DESC)\b/
offset: "OFFSET" INTEGER _ROWS
fetch: "FETCH" ("FIRST" | "NEXT")? INTEGER _ROWS "ONLY"?
_ROWS.2: /ROWS?\b/
source: variable ["AS" name] -> rowset_source
      | "(" query ")" "AS" name -> query_source
      | "(" "VALUES" row ("," row)* ")" "AS" name "(" name ("," name)* ")" -> values_source
row: "(" expression ("," expression)* ")"
join: "INNER"? "JOIN" source "ON" expression -> inner_join
    | SIDE "OUTER"? "JOIN" source "ON" expression -> outer_join
    | "CROSS" "JOIN" source -> cross_join
SIDE.2: /(?:LEFT|RIGHT|FULL)\b/

?expression: conditional
?conditional: coalesce
            | coalesce "?" expression ":" expression -> conditional
?coalesce: or_ | or_ COALESCE coalesce -> right_binary
?or_: and_ | or_ (OR | OR_WORD) and_ -> binary
?and_: negation | and_ (AND | AND_WORD) negation -> binary
?negation: equality | NOT_WORD negation -> unary
?equality: relation | equality EQUALITY relation -> binary
?relation: sum
         | relation RELATION sum -> binary
         | sum "IN" "(" expression ("," expression)* ")" -> among
         | sum "BETWEEN" sum AND_WORD sum -> between
?sum: product | sum SIGN product -> binary
?product: unary | product (STAR | FACTOR) unary -> binary
?unary: postfix
      | SIGN unary -> unary
      | NOT unary -> unary
      | "(" type ")" unary -> cast
?postfix: primary
        | postfix "." NAME -> property
        | postfix "." NAME "(" [arguments] ")" -> method
?primary: literal
        | variable
        | name -> column_name
        | "(" expression ")" -> bracketed
        | TYPE "." NAME "(" [arguments] ")" -> static_method
        | TYPE "." NAME -> static_property
        | NAME "(" "*" ")" -> count_star
        | NAME "(" DISTINCT expression ")" -> distinct_call
        | NAME "(" [arguments] ")" -> call

literal: STRING | VERBATIM | CHARACTER | INTEGER | REAL | TRUE | FALSE | NULL
variable: VARIABLE
name: NAME | BRACKETED

COALESCE: "??"
OR: "||"
AND: "&&"
OR_WORD: "OR"
AND_WORD: "AND"
EQUALITY: "==" | "!="
RELATION: "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
STAR: "*"
FACTOR: "/" | "%"
NOT: "!"
NOT_WORD: "NOT"
TRUE: "true"
FALSE: "false"
NULL: "null"
TYPE.2: /(?:string|int|long|short|byte|double|bool|DateTime|decimal|float|sbyte|uint|ulong|ushort|char|Guid|object)\b/
STRING: /"(?:\\[^\r\n]|[^"\\\r\n])*"/
VERBATIM: /@"(?:""|[^"])*"/
CHARACTER: /'(?:\\[^\r\n]+?|[^'\\\r\n])'/
REAL.2: /(?:\d*\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[dDfFmM]?|\d+[dDfFmM]\b/
INTEGER: /\d+(?:[lLuU]{1,2})?\b/
VARIABLE: /@[A-Za-z_]\w*/
BRACKETED: /\[[^\]\r\n]+\]/
NAME: /[A-Za-z_]\w*/
COMMENT: /\/\/[^\n]*/ | /\/\*(?:.|\n)*?\*\//
%ignore COMMENT
%ignore /\s+/
"""

_KNOWN: Final = frozenset(
    """
    PROCESS REDUCE COMBINE PRODUCE CREATE DROP ALTER INSERT TRUNCATE USE REFERENCE ASSEMBLY RESOURCE DEPLOY IF ELSE
    BEGIN END FUNCTION PROCEDURE VIEW TABLE DATABASE SCHEMA TYPE OVER PARTITION APPLY OUTER CROSS EXPLODE PIVOT UNPIVOT
    INTERSECT EXCEPT SEMIJOIN ANTISEMIJOIN LEFT RIGHT FULL EXISTS LIKE IS ANY SAMPLE READONLY REQUIRED PRESORT IMPORT
    EXPORT PACKAGE SET BROADCASTLEFT BROADCASTRIGHT SKEWFACTOR OPTION ROLLUP CUBE GROUPING SETS USING TO NULL
    """.split()  # noqa: SIM905
)
"""Words of U-SQL that are in the subset in other places, or not at all. They are no names."""
_WORDS: Final = frozenset("new is as typeof checked unchecked default delegate sizeof stackalloc".split())  # noqa: SIM905
_ESCAPES: Final = dict(zip("'\"\\0abfnrtv", "'\"\\\0\a\b\f\n\r\t\v", strict=True))
_SHORT: Final = ("&&", "||")
_WORDED: Final = ("AND", "OR", "NOT")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{1,4}|.)", re.DOTALL)
_LONGEST_INT: Final = 2**31 - 1
_LONGEST_LONG: Final = 2**63 - 1


@cache
def _parser() -> Lark:
    return Lark(
        GRAMMAR,
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
        maybe_placeholders=True,
        lexer_callbacks={"NAME": _no_word},
    )


def _no_word(token: Token) -> Token:
    """Words that have a meaning elsewhere are no names. Raises Refused."""
    if token.value in _KNOWN or token.value in _WORDS:
        raise Refused(f"{token.value} is not in the subset here.", _place(token))
    return token


def parse(text: str) -> tuple[tree.Statement, ...]:
    """The statements of a script. Raises Refused."""
    try:
        parsed = _parser().parse(text)
        statements: tuple[tree.Statement, ...] = _Builder().transform(parsed)
    except UnexpectedEOF as error:
        raise Refused(f"The script ends where {_wanted(error.expected)} was expected.", _end(text)) from None
    except UnexpectedToken as error:
        place = Place(error.line, error.column) if error.token.type != "$END" else _end(text)
        raise Refused(_unexpected(error.token, error.accepts or error.expected), place) from None
    except UnexpectedCharacters as error:
        raise Refused(
            f"{text[error.pos_in_stream or 0]!r} is not in the subset here.", Place(error.line, error.column)
        ) from None
    except VisitError as error:
        if isinstance(error.orig_exc, Refused):
            raise error.orig_exc from None
        raise
    return statements


def _end(text: str) -> Place:
    return Place(text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)


def _unexpected(token: Token, wanted: Any) -> str:
    if token.type == "$END":
        return f"The script ends where {_wanted(wanted)} was expected."
    if token.value in _KNOWN or token.value in _WORDS:
        return f"{token.value} is not in the subset here."
    return f"{token.value!r} was not expected here, but {_wanted(wanted)}."


def _wanted(names: Any) -> str:
    shown = []
    for name in sorted(names):
        terminal = _parser().get_terminal(name) if name != "$END" else None
        pattern = terminal.pattern if terminal is not None else None
        shown.append(str(pattern.value) if pattern is not None and pattern.type == "str" else name.lower())
    return "one of " + ", ".join(shown[:12]) if len(shown) > 1 else "".join(shown) or "nothing"


def _place(token: Token) -> Place:
    return Place(token.line or 0, token.column or 0)


def _name(token: Token) -> str:
    if token.type == "BRACKETED":
        return str(token[1:-1])
    return str(token.value)


def _text(token: Token) -> str:
    """The value of a string or character literal."""
    if token.type == "VERBATIM":
        return str(token[2:-1].replace('""', '"'))

    def value(found: re.Match[str]) -> str:
        code = found[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise Refused(f"\\{code} is no escape of C#.", _place(token))
        return _ESCAPES[code]

    return _ESCAPE.sub(value, str(token[1:-1]))


def _integer(token: Token) -> tree.Literal:
    digits = token.rstrip("lLuU")
    suffix = token[len(digits) :].lower()
    if "u" in suffix:
        raise Refused("Unsigned numbers are not in the subset.", _place(token))
    value = int(digits)
    if value > _LONGEST_LONG:
        raise Refused(f"{digits} is too large for a long.", _place(token))
    return tree.Literal(at=_place(token), type="long" if suffix or value > _LONGEST_INT else "int", value=value)


def _real(token: Token) -> tree.Literal:
    if token[-1] in "fFmM":
        raise Refused(f"{token}: float and decimal are not in the subset, double is.", _place(token))
    return tree.Literal(at=_place(token), type="double", value=float(token.rstrip("dD")))


def _character(token: Token) -> tree.Literal:
    value = _text(token)
    if len(value) != 1:
        raise Refused(f"{token} is not one character.", _place(token))
    return tree.Literal(at=_place(token), type="char", value=value)


def _whole(token: Token) -> int:
    value = _integer(token).value
    assert isinstance(value, int)
    return value


class _Clause:
    """A clause of a SELECT on its way into it."""

    def __init__(self, **values: Any) -> None:
        self.values = values


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Lark's tree -> ours."""

    def start(self, *statements: tree.Statement) -> tuple[tree.Statement, ...]:
        return statements

    def declare(self, name: Token, type: tree.TypeName, value: tree.Expression) -> tree.Declare:
        return tree.Declare(at=_place(name), name=str(name), type=type, value=value)

    def assign(self, name: Token, rowset: Any) -> tree.Assign:
        return tree.Assign(at=_place(name), name=str(name), rowset=rowset)

    def output(self, rowset: tree.Variable, path: tree.Expression, *rest: Any) -> tree.Output:
        order = rest[0].values["order"] if len(rest) == 2 else ()
        return tree.Output(at=rowset.at, rowset=rowset, path=path, order=order, format=rest[-1])

    def extract(self, *parts: Any) -> tree.Extract:
        *columns, paths, form = parts
        return tree.Extract(at=columns[0].at, columns=tuple(columns), paths=paths, format=form)

    def paths(self, *paths: tree.Expression) -> tuple[tree.Expression, ...]:
        return paths

    def column(self, name: tree.Name, type: tree.TypeName) -> tree.Column:
        return tree.Column(at=name.at, name=name.name, type=type)

    def type(self, name: Token, nullable: Token | None) -> tree.TypeName:
        return tree.TypeName(at=_place(name), name=str(name), nullable=nullable is not None)

    def format(self, family: Token, name: Token, arguments: Any) -> tree.Format:
        return tree.Format(at=_place(family), family=str(family), name=str(name), arguments=arguments or ())

    def arguments(self, *arguments: tree.Argument) -> tuple[tree.Argument, ...]:
        return arguments

    def named(self, name: Token, value: tree.Expression) -> tree.Argument:
        return tree.Argument(at=_place(name), name=str(name), value=value)

    def placed(self, value: tree.Expression) -> tree.Argument:
        return tree.Argument(at=value.at, name="", value=value)

    def query(self, *parts: Any) -> tree.Query:
        return tree.Query(at=parts[0].at, selects=parts[::2], unions=parts[1::2])

    def union(self, kind: Token) -> str:
        return str(kind)

    def select(
        self, distinct: Token | None, items: tuple[tree.Item, ...], source: tree.Source, *rest: Any
    ) -> tree.Select:
        joins = tuple(part for part in rest if isinstance(part, tree.Join))
        clauses: dict[str, Any] = {}
        for part in rest:
            if isinstance(part, _Clause):
                clauses |= part.values
        at = items[0].at
        return tree.Select(at=at, items=items, source=source, joins=joins, distinct=distinct is not None, **clauses)

    def items(self, *items: tree.Item) -> tuple[tree.Item, ...]:
        return items

    @v_args(meta=True, inline=True)
    def star(self, meta: Any) -> tree.Item:
        return tree.Item(at=Place(meta.line, meta.column), expression=None)

    def star_of(self, source: tree.Expression) -> tree.Item:
        if not isinstance(source, tree.Name):
            raise Refused("Only a rowset's name may stand before .*", source.at)
        return tree.Item(at=source.at, expression=None, source=source.name)

    def item(self, expression: tree.Expression, alias: tree.Name | None) -> tree.Item:
        return tree.Item(at=expression.at, expression=expression, alias="" if alias is None else alias.name)

    def where(self, condition: tree.Expression) -> _Clause:
        return _Clause(where=condition)

    def group(self, *expressions: tree.Expression) -> _Clause:
        return _Clause(group=expressions)

    def having(self, condition: tree.Expression) -> _Clause:
        return _Clause(having=condition)

    def order(self, *orders: tree.Order) -> _Clause:
        return _Clause(order=orders)

    def by(self, expression: tree.Expression, direction: Token | None) -> tree.Order:
        return tree.Order(at=expression.at, expression=expression, descending=direction == "DESC")

    def offset(self, count: Token) -> _Clause:
        return _Clause(offset=_whole(count))

    def fetch(self, count: Token) -> _Clause:
        return _Clause(fetch=_whole(count))

    def rowset_source(self, rowset: tree.Variable, alias: tree.Name | None) -> tree.Source:
        return tree.Source(at=rowset.at, rowset=rowset, alias="" if alias is None else alias.name)

    def query_source(self, query: tree.Query, alias: tree.Name) -> tree.Source:
        return tree.Source(at=alias.at, rowset=query, alias=alias.name)

    def values_source(self, *parts: Any) -> tree.Source:
        rows = tuple(part for part in parts if isinstance(part, tuple))
        alias, *columns = parts[len(rows) :]
        values = tree.Values(at=alias.at, rows=rows, columns=tuple(columns))
        return tree.Source(at=alias.at, rowset=values, alias=alias.name)

    def row(self, *values: tree.Expression) -> tuple[tree.Expression, ...]:
        return values

    def inner_join(self, source: tree.Source, on: tree.Expression) -> tree.Join:
        return tree.Join(at=source.at, kind="INNER", source=source, on=on)

    def outer_join(self, side: Token, source: tree.Source, on: tree.Expression) -> tree.Join:
        return tree.Join(at=source.at, kind=str(side), source=source, on=on)

    def cross_join(self, source: tree.Source) -> tree.Join:
        return tree.Join(at=source.at, kind="CROSS", source=source, on=None)

    def conditional(self, condition: tree.Expression, yes: tree.Expression, no: tree.Expression) -> tree.Conditional:
        return tree.Conditional(at=condition.at, condition=condition, yes=yes, no=no)

    def binary(self, left: tree.Expression, operator: Token, right: tree.Expression) -> tree.Binary:
        for others in (_SHORT, _WORDED):
            if operator not in others and operator in (*_SHORT, *_WORDED):
                for side in (left, right):
                    if isinstance(side, (tree.Binary, tree.Unary)) and side.operator in others:
                        raise Refused(
                            f"{operator} beside {side.operator}: brackets must say what belongs together.",
                            _place(operator),
                        )
        return tree.Binary(at=_place(operator), operator=str(operator), left=left, right=right)

    right_binary = binary

    def among(self, operand: tree.Expression, *choices: tree.Expression) -> tree.Among:
        return tree.Among(at=operand.at, operand=operand, choices=choices)

    def between(
        self, operand: tree.Expression, least: tree.Expression, _: Token, most: tree.Expression
    ) -> tree.Expression:
        above = tree.Binary(at=operand.at, operator=">=", left=operand, right=least)
        under = tree.Binary(at=operand.at, operator="<=", left=operand, right=most)
        return tree.Binary(at=operand.at, operator="&&", left=above, right=under)

    def unary(self, operator: Token, operand: tree.Expression) -> tree.Unary:
        return tree.Unary(at=_place(operator), operator=str(operator), operand=operand)

    def cast(self, type: tree.TypeName, operand: tree.Expression) -> tree.Cast:
        return tree.Cast(at=type.at, type=type, operand=operand)

    def property(self, of: tree.Expression, name: Token) -> tree.Member:
        return tree.Member(at=_place(name), of=of, name=str(name), arguments=None)

    def method(self, of: tree.Expression, name: Token, arguments: Any) -> tree.Member:
        return tree.Member(at=_place(name), of=of, name=str(name), arguments=arguments or ())

    def bracketed(self, expression: tree.Expression) -> tree.Expression:
        if isinstance(expression, (tree.Binary, tree.Unary)):
            return tree.Unary(at=expression.at, operator="()", operand=expression)
        return expression

    def static_method(self, type: Token, name: Token, arguments: Any) -> tree.Member:
        of = tree.Static(at=_place(type), name=str(type))
        return tree.Member(at=_place(name), of=of, name=str(name), arguments=arguments or ())

    def static_property(self, type: Token, name: Token) -> tree.Member:
        of = tree.Static(at=_place(type), name=str(type))
        return tree.Member(at=_place(name), of=of, name=str(name), arguments=None)

    def count_star(self, name: Token) -> tree.Call:
        return tree.Call(at=_place(name), name=_name(name), arguments=(), star=True)

    def distinct_call(self, name: Token, _: Token, value: tree.Expression) -> tree.Call:
        argument = tree.Argument(at=value.at, name="", value=value)
        return tree.Call(at=_place(name), name=_name(name), arguments=(argument,), distinct=True)

    def call(self, name: Token, arguments: Any) -> tree.Call:
        return tree.Call(at=_place(name), name=_name(name), arguments=arguments or ())

    def literal(self, token: Token) -> tree.Literal:
        match token.type:
            case "STRING" | "VERBATIM":
                return tree.Literal(at=_place(token), type="string", value=_text(token))
            case "CHARACTER":
                return _character(token)
            case "INTEGER":
                return _integer(token)
            case "REAL":
                return _real(token)
            case "NULL":
                return tree.Literal(at=_place(token), type="null", value=None)
            case _:
                return tree.Literal(at=_place(token), type="bool", value=token.type == "TRUE")

    def variable(self, token: Token) -> tree.Variable:
        return tree.Variable(at=_place(token), name=str(token))

    def name(self, token: Token) -> tree.Name:
        return tree.Name(at=_place(token), name=_name(token))

    def column_name(self, name: tree.Name) -> tree.Name:
        return name
