"""A command: a program of the node, of the step's environment or of its source folder."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import RunsPrograms
from orchestrator.core.names import TEXT


class CommandLine(RunsPrograms, frozen=True, kw_only=True):
    """Runs its arguments, the first of which is the program, without a shell. With `shell`, runs that text in a shell,
    in which the arguments are "${1}", "${2}" and so on: the shell reads the text, and never what a value holds.
    """

    shell: str | None = None

    def problems(self, field: str) -> Iterator[Problem]:
        yield from super().problems(field)
        if self.shell is None:
            return
        if problem := TEXT.problem(self.shell, f"{field}.shell"):
            yield problem
        if not self.shell.strip():
            fix = "Leave it out to run the arguments without a shell."
            yield Problem("InvalidSettings", f"{field}.shell", "There is no command.", fix)
