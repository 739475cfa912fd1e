"""A script of R in the step's source folder."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import RunsPrograms
from orchestrator.core.names import SCRIPT


class RScript(RunsPrograms, frozen=True, kw_only=True):
    """Runs `Rscript <script> <arguments>` in the unpacked source folder. `script` is relative to that folder. Packages
    of R that its environment names must be there: they are looked for, and not installed.
    """

    script: str

    def problems(self, field: str) -> Iterator[Problem]:
        yield from super().problems(field)
        if problem := SCRIPT.problem(self.script, f"{field}.script"):
            yield problem
