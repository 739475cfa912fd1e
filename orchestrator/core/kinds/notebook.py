"""A notebook in the step's source folder, run from its first cell to its last."""

from __future__ import annotations

import keyword
from collections.abc import Iterator

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import RunsPrograms
from orchestrator.core.names import PATH, SCRIPT, shown


class NotebookRun(RunsPrograms, frozen=True, kw_only=True):
    """Runs a Jupyter notebook of Python. `notebook` is relative to the source folder.

    `parameters` take the place of those in the cell that is tagged "parameters"; so do the step's arguments, which come
    in pairs of a name and a text. The notebook with its results is kept as the artifact `output_notebook`, and, with
    `output`, is the output port of that name. `cell_timeout_seconds`: how long a cell may run.
    """

    notebook: str
    parameters: dict[str, bool | int | float | str | None] = {}
    output_notebook: str = "outputs/notebook.ipynb"
    output: str = ""
    kernel: str = "python3"
    cell_timeout_seconds: float | None = None

    def problems(self, field: str) -> Iterator[Problem]:
        yield from super().problems(field)
        if problem := SCRIPT.problem(self.notebook, f"{field}.notebook"):
            yield problem
        if problem := PATH.problem(self.output_notebook, f"{field}.output_notebook"):
            yield problem
        if not self.output_notebook.startswith("outputs/"):
            fix = "Begin it with outputs/, whose files are kept."
            message = f"{shown(self.output_notebook)} would not be kept."
            yield Problem("InvalidPath", f"{field}.output_notebook", message, fix)
        for name in self.parameters:
            if not name.isidentifier() or keyword.iskeyword(name):
                message = f"{shown(name)} is no name of a variable."
                yield Problem("InvalidName", f"{field}.parameters", message, "Use letters, digits and underscores.")
        if self.cell_timeout_seconds is not None and not self.cell_timeout_seconds > 0:
            message, fix = "A cell needs some time.", "Leave it out for no limit."
            yield Problem("InvalidNumber", f"{field}.cell_timeout_seconds", message, fix)
