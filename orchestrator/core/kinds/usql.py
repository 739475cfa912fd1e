"""A U-SQL script, which DuckDB runs."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import Settings
from orchestrator.core.names import SCRIPT


class UsqlScript(Settings, frozen=True, kw_only=True):
    """Translates a U-SQL script to DuckDB and runs it. `script` is relative to the source folder; docs/usql.md says
    what may be in it.
    """

    script: str

    def problems(self, field: str) -> Iterator[Problem]:
        if problem := SCRIPT.problem(self.script, f"{field}.script"):
            yield problem
