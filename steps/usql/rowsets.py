"""The statements of a script -> those of DuckDB. Each rowset becomes a table, so that it is computed once."""

from __future__ import annotations

from steps.usql import tree
from steps.usql.expressions import Scope, Sql, condition, has_aggregate, quoted, translate
from steps.usql.joins import From, Given
from steps.usql.layouts import layout
from steps.usql.program import Columns, Extracted, Made, Program, Written
from steps.usql.refusal import Place, Refused
from steps.usql.types import NULL, STRING, Type, converts, declared


class Translator:
    """Knows the variables and rowsets of the statements before."""

    def __init__(self) -> None:
        self._variables: dict[str, Sql] = {}
        self._rowsets: dict[str, tuple[str, Columns]] = {}
        self._steps: list[Extracted | Made | Written] = []

    def translate(self, script: tuple[tree.Statement, ...]) -> Program:
        """Raises Refused."""
        for statement in script:
            match statement:
                case tree.Declare():
                    self._declare(statement)
                case tree.Assign():
                    self._assign(statement)
                case tree.Output():
                    self._output(statement)
        return tuple(self._steps)

    @property
    def _constants(self) -> Scope:
        return Scope(variables=self._variables)

    def _declare(self, node: tree.Declare) -> None:
        if node.name in self._variables or node.name in self._rowsets:
            raise Refused(f"{node.name} is declared twice.", node.at)
        target, value = declared(node.type), translate(node.value, self._constants)
        if not converts(value.type, target):
            raise Refused(f"{node.name} is of type {target}, its value of type {value.type}.", node.value.at)
        text = f"CAST(NULL AS {target.sql})" if value.type == NULL else value.to(target).text
        self._variables[node.name] = Sql(text, target, value.fails)

    def _assign(self, node: tree.Assign) -> None:
        if node.name in self._variables:
            raise Refused(f"{node.name} is a variable, no rowset.", node.at)
        table = f"r{len(self._steps)}"
        if isinstance(node.rowset, tree.Extract):
            columns = self._extract(node.rowset, table)
        else:
            given = self._query(node.rowset)
            columns = given.columns
            self._steps.append(Made(table=table, sql=given.sql, checks=given.checks, at=node.at))
        self._rowsets[node.name] = (table, columns)

    def _extract(self, node: tree.Extract, table: str) -> Columns:
        columns = _distinct_names([(column.name, declared(column.type), column.at) for column in node.columns])
        form = layout(node.format, "Extractors")
        paths = tuple(self._path(path) for path in node.paths)
        self._steps.append(Extracted(table=table, columns=columns, paths=paths, layout=form, at=node.at))
        return columns

    def _path(self, node: tree.Expression) -> str:
        found = translate(node, self._constants)
        if found.type != STRING:
            raise Refused(f"A path is a text, this is of type {found.type}.", node.at)
        if isinstance(node, tree.Literal) and "{" in str(node.value):
            raise Refused("Sets of files ({...} in a path) are not in the subset.", node.at)
        return found.text

    def _output(self, node: tree.Output) -> None:
        table, columns = self._rowset(node.rowset)
        form = layout(node.format, "Outputters")
        scope = Scope({("", name): Sql(quoted(name), type) for name, type in columns})
        order = _order(node.order, scope, texts=True)
        sql = f"SELECT * FROM {table}{order}"
        self._steps.append(Written(sql=sql, columns=columns, path=self._path(node.path), layout=form, at=node.at))

    def _rowset(self, node: tree.Variable) -> tuple[str, Columns]:
        found = self._rowsets.get(node.name)
        if found is None:
            known = ", ".join(self._rowsets) or "none"
            raise Refused(f"There is no rowset {node.name} here; there are: {known}.", node.at)
        return found

    def _query(self, node: tree.Query) -> Given:
        parts = [self._select(select) for select in node.selects]
        first = parts[0]
        for select, part in zip(node.selects[1:], parts[1:], strict=True):
            if part.columns != first.columns:
                raise Refused(
                    f"The rowsets of a UNION have the same columns in the same order: {_shown(first.columns)}, and not "
                    f"{_shown(part.columns)}.",
                    select.at,
                )
        if len(parts) > 1:
            for select in node.selects:
                if select.order:
                    raise Refused("ORDER BY beside UNION is not in the subset.", select.order[0].at)
        if len(set(node.unions)) > 1:
            raise Refused("UNION ALL and UNION DISTINCT in one query are not in the subset.", node.selects[1].at)
        word = " UNION ALL " if node.unions[:1] == ("ALL",) else " UNION "
        sql = word.join(f"({part.sql})" if len(parts) > 1 else part.sql for part in parts)
        return Given(sql=sql, columns=first.columns, checks=tuple(check for part in parts for check in part.checks))

    def _source(self, node: tree.Source) -> Given:
        match node.rowset:
            case tree.Variable():
                table, columns = self._rowset(node.rowset)
                return Given(sql=table, columns=columns)
            case tree.Query():
                given = self._query(node.rowset)
                return Given(sql=f"({given.sql})", columns=given.columns, checks=given.checks)
            case tree.Values():
                return self._values(node.rowset)

    def _values(self, node: tree.Values) -> Given:
        rows = [[translate(value, self._constants) for value in row] for row in node.rows]
        types: list[Type] = []
        for number, column in enumerate(node.columns):
            for row, values in zip(node.rows, rows, strict=True):
                if len(values) != len(node.columns):
                    raise Refused(f"A row has {len(values)} values, there are {len(node.columns)} columns.", row[0].at)
            types.append(_type_of([row[number] for row in rows], column.at))
        columns = _distinct_names(
            [(column.name, type, column.at) for column, type in zip(node.columns, types, strict=True)]
        )
        texts = [
            "(" + ", ".join(_typed(value, type) for value, type in zip(row, types, strict=True)) + ")" for row in rows
        ]
        names = ", ".join(quoted(name) for name, _ in columns)
        return Given(sql=f"(SELECT * FROM (VALUES {', '.join(texts)}) AS v({names}))", columns=columns)

    def _select(self, node: tree.Select) -> Given:
        source = From()
        source.columns = source.add(node.source, self._source(node.source))
        for join in node.joins:
            source.join(join, self._source(join.source))
        rows = Scope(source.columns, self._variables)
        where = "" if node.where is None else f" WHERE {condition(node.where, rows).text}"
        grouped, group = _grouped(node, rows)
        items = _items(node, grouped)
        having = "" if node.having is None else f" HAVING {condition(node.having, grouped).text}"
        if node.having is not None and grouped.keys is None:
            raise Refused("HAVING needs GROUP BY or an aggregate.", node.having.at)
        chosen = ", ".join(f"{sql.text} AS {quoted(name)}" for name, sql, _ in items)
        columns = _distinct_names([(name, sql.type, at) for name, sql, at in items])
        sql = f"SELECT {'DISTINCT ' if node.distinct else ''}{chosen} FROM {source.sql}{where}{group}{having}"
        return Given(sql=_fetched(node, sql, items, source), columns=columns, checks=tuple(source.checks))


def _grouped(node: tree.Select, rows: Scope) -> tuple[Scope, str]:
    """What SELECT and HAVING may use, and the GROUP BY clause."""
    if not node.group and not has_aggregate(node.items) and not has_aggregate(node.having):
        return rows, ""
    keys = [translate(key, rows) for key in node.group]
    scope = Scope(rows.columns, rows.variables, aggregates=True, keys=frozenset(key.text for key in keys))
    return scope, f" GROUP BY {', '.join(key.text for key in keys)}" if keys else ""


_Chosen = list[tuple[str, Sql, Place]]


def _items(node: tree.Select, scope: Scope) -> _Chosen:
    chosen: _Chosen = []
    for item in node.items:
        if item.expression is None:
            chosen += _star(item, scope)
            continue
        name = item.alias or _own_name(item.expression, scope)
        found = translate(item.expression, scope)
        if not name:
            raise Refused("A computed column needs a name: AS name.", item.at)
        if found.type == NULL:
            raise Refused("null alone has no type; write (int?)null or its like.", item.at)
        chosen.append((name, found, item.at))
    return chosen


def _star(item: tree.Item, scope: Scope) -> _Chosen:
    if scope.keys is not None:
        raise Refused("* is not in the subset beside GROUP BY or aggregates.", item.at)
    found = [(name, sql, item.at) for (owner, name), sql in scope.columns.items() if item.source in ("", owner)]
    if not found:
        raise Refused(f"There is no rowset {item.source} here.", item.at)
    return found


def _own_name(node: tree.Expression, scope: Scope) -> str:
    if isinstance(node, tree.Name):
        return node.name
    if isinstance(node, tree.Member) and node.arguments is None and isinstance(node.of, tree.Name):
        return node.name if (node.of.name, node.name) in scope.columns else ""
    return ""


def _fetched(node: tree.Select, sql: str, items: _Chosen, source: From) -> str:
    """With ORDER BY ... FETCH, over the columns of the result."""
    if not node.order:
        if node.fetch is not None or node.offset is not None:
            raise Refused("OFFSET and FETCH need ORDER BY.", node.at)
        return sql
    if node.fetch is None and node.offset is None:
        raise Refused("ORDER BY in a query needs FETCH; a whole rowset has no order but in OUTPUT.", node.order[0].at)
    for name, made, at in items:
        beside = [known for (_, column), known in source.columns.items() if column == name]
        if beside and made not in beside:
            raise Refused(f"{name} is a column before and another one after: ORDER BY is not in the subset here.", at)
    scope = Scope({("", name): Sql(quoted(name), made.type) for name, made, _ in items})
    limit = "" if node.fetch is None else f" LIMIT {node.fetch}"
    offset = "" if node.offset is None else f" OFFSET {node.offset}"
    return f"SELECT * FROM ({sql}) AS o{_order(node.order, scope, texts=False)}{limit}{offset}"


def _order(orders: tuple[tree.Order, ...], scope: Scope, *, texts: bool) -> str:
    parts = []
    for order in orders:
        if not isinstance(order.expression, tree.Name):
            raise Refused("ORDER BY names columns of the result in the subset.", order.at)
        found = translate(order.expression, scope)
        if found.type == STRING and not texts:
            raise Refused(
                "ORDER BY a text decides here which rows are left, and U-SQL's order of texts is not known.", order.at
            )
        parts.append(f"{found.text} {'DESC NULLS LAST' if order.descending else 'ASC NULLS FIRST'}")
    return f" ORDER BY {', '.join(parts)}" if parts else ""


def _distinct_names(columns: list[tuple[str, Type, Place]]) -> Columns:
    seen: dict[str, str] = {}
    for name, _, at in columns:
        if (other := seen.get(name.lower())) is not None:
            how = (
                "twice here"
                if other == name
                else f"and {other} are told apart by case alone, which is not in the subset"
            )
            raise Refused(f"The column {name} is {how}." if other == name else f"The columns {name} {how}.", at)
        seen[name.lower()] = name
    return tuple((name, type) for name, type, _ in columns)


def _type_of(values: list[Sql], at: Place) -> Type:
    types = list(dict.fromkeys(value.type for value in values))
    for target in types:
        for wanted in (target, target.maybe()):
            if (
                target != NULL
                and all(converts(type, wanted) for type in types)
                and (wanted == target or any(type.name == target.name and type.nullable for type in types))
            ):
                return wanted
    raise Refused(f"The values of this column have no type in common: {', '.join(map(str, types))}.", at)


def _typed(value: Sql, type: Type) -> str:
    return f"CAST(NULL AS {type.sql})" if value.type == NULL else value.to(type).text


def _shown(columns: Columns) -> str:
    return ", ".join(f"{name} {type}" for name, type in columns)
