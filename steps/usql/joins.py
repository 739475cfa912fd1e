"""FROM and its joins.

U-SQL joins by equalities of columns alone. Whether two nulls are equal there is not documented clearly enough to rely
on it, so a join of nulls with nulls fails, and everything else means the same either way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from steps.usql import tree
from steps.usql.expressions import Scope, Sql, quoted, translate
from steps.usql.program import Check, Columns
from steps.usql.refusal import Place, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What stands after FROM or JOIN: a table or a query in brackets, and its columns."""

    sql: str
    columns: Columns
    checks: tuple[Check, ...] = ()


@dataclass(slots=True)
class From:
    """The FROM clause as far as it has been read."""

    sql: str = ""
    columns: dict[tuple[str, str], Sql] = field(default_factory=dict)
    origins: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Expression of a column -> (table or query, column) that it is of; not of one that an outer join made nullable."""
    checks: list[Check] = field(default_factory=list)
    count: int = 0

    def add(self, source: tree.Source, given: Given) -> dict[tuple[str, str], Sql]:
        """The columns of a new source, which are not in scope yet."""
        alias = f"t{self.count}"
        owner = source.alias or (source.rowset.name if isinstance(source.rowset, tree.Variable) else "")
        if any(known == owner for known, _ in self.columns):
            raise Refused(f"There are two rowsets {owner} here: give them names with AS.", source.at)
        self.count += 1
        self.checks += given.checks
        self.sql += f"{given.sql} AS {alias}"
        added = {}
        for name, type in given.columns:
            text = f"{alias}.{quoted(name)}"
            added[owner, name] = Sql(text, type)
            self.origins[text] = (given.sql, quoted(name))
        return added

    def join(self, join: tree.Join, given: Given) -> None:
        """Raises Refused."""
        self.sql += f" {join.kind} JOIN "
        before = dict(self.columns)
        added = self.add(join.source, given)
        if join.on is not None:
            both = Scope({**before, **added})
            equalities = [self._equality(part, both, set(before), set(added)) for part in _parts(join.on)]
            self.sql += f" ON {' AND '.join(equalities)}"
        self.columns = {
            **(self._maybe(before) if join.kind in ("RIGHT", "FULL") else before),
            **(self._maybe(added) if join.kind in ("LEFT", "FULL") else added),
        }

    def _maybe(self, columns: dict[tuple[str, str], Sql]) -> dict[tuple[str, str], Sql]:
        """Columns that an outer join may leave without a value."""
        for sql in columns.values():
            self.origins.pop(sql.text, None)
        return {place: replace(sql, type=sql.type.maybe()) for place, sql in columns.items()}

    def _equality(
        self, node: tree.Binary, scope: Scope, before: set[tuple[str, str]], added: set[tuple[str, str]]
    ) -> str:
        left, right = _column(node.left, scope), _column(node.right, scope)
        owners = {place for place, sql in scope.columns.items() if sql in (left, right)}
        if not (owners & before and owners & added):
            raise Refused("A join compares a column of the new rowset with one of those before it.", node.at)
        translate(node, scope)  # refuses types that cannot be compared
        if left.type.nullable and right.type.nullable:
            self._check_nulls(left, right, node.at)
        return f"({left.text} = {right.text})"

    def _check_nulls(self, left: Sql, right: Sql, at: Place) -> None:
        origins = [self.origins.get(side.text) for side in (left, right)]
        found = [origin for origin in origins if origin is not None]
        if len(found) < 2:
            raise Refused(
                "A column that an outer join may leave null is not joined by: make a rowset of the first join.", at
            )
        exists = [f"EXISTS (SELECT 1 FROM {sql} AS n WHERE n.{column} IS NULL)" for sql, column in found]
        message = "Both sides of the join have nulls here, and whether they meet is not known. Leave them out before."
        self.checks.append(Check(sql=f"SELECT {' AND '.join(exists)}", message=message, at=at))


def _parts(on: tree.Expression) -> list[tree.Binary]:
    if isinstance(on, tree.Unary) and on.operator == "()":
        return _parts(on.operand)
    if isinstance(on, tree.Binary) and on.operator in ("AND", "&&"):
        return [*_parts(on.left), *_parts(on.right)]
    if isinstance(on, tree.Binary) and on.operator == "==":
        return [on]
    raise Refused("ON takes equalities of columns (==), put together with AND.", on.at)


def _column(node: tree.Expression, scope: Scope) -> Sql:
    if isinstance(node, (tree.Name, tree.Member)):
        found = translate(node, scope)
        if any(sql == found for sql in scope.columns.values()):
            return found
    raise Refused("ON compares columns as they are; compute in a rowset before.", node.at)
