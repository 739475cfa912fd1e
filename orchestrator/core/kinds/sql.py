"""SQL statements over the inputs of a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import Settings


class SqlQuery(Settings, frozen=True, kw_only=True):
    """Runs SQL statements on DuckDB. Each input is a view by its name, each output a table or view that they make, or,
    of a step with one output, the rows of the last statement. `format`: in which outputs are written.
    """

    query: str
    format: Literal["parquet", "csv", "json"] = "parquet"

    def problems(self, field: str) -> Iterator[Problem]:
        if not self.query.strip():
            yield Problem("InvalidSettings", f"{field}.query", "There is no statement.", "Write at least one.")
