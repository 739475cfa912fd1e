"""A query for a database of Azure Data Explorer (Kusto)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from orchestrator.core.definition import Step
from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import Settings

LONGEST: Final = 100_000
_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class KustoQuery(Settings, frozen=True, kw_only=True):
    """Runs one query, whose rows are the step's output: a folder with the file `rows` in the `format`.

    `parameters` are values of what the query declares by `declare query_parameters(...)`: they are given to the cluster
    beside the query, and are never put into its text.
    """

    query: str
    database: str
    parameters: dict[str, str | int | float | bool] = {}
    format: Literal["csv", "parquet", "json"] = "csv"

    def problems(self, field: str) -> Iterator[Problem]:
        text = self.query.strip()
        if not text:
            yield Problem("InvalidSettings", f"{field}.query", "There is no query.", "Write one.")
        elif text.startswith("."):
            fix = "Write a query; commands of management change the cluster, and are not run."
            yield Problem("InvalidSettings", f"{field}.query", "It is a command of management.", fix)
        elif len(text) > LONGEST:
            fix = f"Use at most {LONGEST:,} characters: keep long lists in a table of the cluster."
            yield Problem("InvalidSettings", f"{field}.query", f"It has {len(text):,} characters.", fix)
        if not self.database.strip():
            yield Problem("InvalidSettings", f"{field}.database", "There is no database.", "Name one of the cluster.")
        for name in self.parameters:
            if not _PARAMETER.fullmatch(name):
                fix = "Use letters, digits and underscores, and no digit first."
                yield Problem("InvalidSettings", f"{field}.parameters", f"{name!r} is no name of a parameter.", fix)

    def step_problems(self, step: Step, place: str) -> Iterator[Problem]:
        if step.inputs:
            fix = "Give values as parameters; rows of an input are joined by a SqlStep after this one."
            yield Problem("InvalidSettings", f"{place}.inputs", "The cluster does not see a step's inputs.", fix)
        if len(step.outputs) != 1:
            yield Problem("InvalidSettings", f"{place}.outputs", "A query has one output.", "Give exactly one.")
