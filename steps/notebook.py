"""The kind "notebook": a Jupyter notebook of the snapshot, run cell by cell in a kernel of its own.

settings: {"notebook": relative path, "parameters": {name: value}, "output_notebook": where below the working folder it
is kept with its results, "output": the output port that gets it as well}. The arguments are further parameters: a name
and a text in turns.
"""

from __future__ import annotations

from importlib.util import find_spec

import msgspec

from orchestrator.core.kinds.notebook import NotebookRun
from steps import own_process
from steps.context import StepContext
from steps.failures import InvalidStep, ScriptMissing, StartFailed
from steps.paths import UnsafeName, below

NEEDED = ("nbclient", "ipykernel")


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing and context.venv is None:
        raise StartFailed(f"This node has no {missing[0]}: install millstream[notebook] beside the worker.")
    try:
        settings = msgspec.convert(context.job.step.settings, NotebookRun)
        path = below(context.folders.code, settings.notebook)
        kept = below(context.folders.code, settings.output_notebook)
    except (msgspec.ValidationError, UnsafeName) as error:
        raise InvalidStep(f"The settings of the notebook are wrong: {error}") from error
    if not path.is_file():
        raise ScriptMissing(f"There is no notebook {settings.notebook!r} in the step's source folder.")
    if settings.output and settings.output not in context.outputs:
        raise InvalidStep(f"The step has no output {settings.output!r} for its notebook.")
    request = {
        "notebook": str(path),
        "folder": str(context.folders.code),
        "parameters": {**settings.parameters, **_pairs(context.arguments())},
        "kept": [str(kept), *([str(context.outputs[settings.output])] if settings.output else [])],
        "kernel": settings.kernel,
        "timeout": settings.cell_timeout_seconds,
    }
    own_process.run(context, "steps.notebook_process", request, python=context.python)


def _pairs(arguments: tuple[str, ...]) -> dict[str, str]:
    if len(arguments) % 2:
        raise InvalidStep("The arguments of a notebook are pairs of a name and a value.")
    return {arguments[at]: arguments[at + 1] for at in range(0, len(arguments), 2)}
