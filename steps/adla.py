"""The kind "adla": a U-SQL script of the snapshot, translated to DuckDB and run in a process of its own.

settings: {"script": relative path}. `@@name@@` in it stands for the path of a port or the value of a parameter.
"""

from __future__ import annotations

from importlib import import_module

from steps import environment, own_process
from steps.context import StepContext
from steps.failures import InvalidStep, ScriptMissing, StartFailed
from steps.paths import UnsafeName, below

_PARAMETER = "AML_PARAMETER_"


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    script = str(context.job.step.settings.get("script"))
    try:
        path = below(context.folders.code, script)
    except UnsafeName as error:
        raise InvalidStep(f"settings.script: {error}") from error
    if not path.is_file():
        raise ScriptMissing(f"There is no script {script!r} in the step's source folder.")
    text = path.read_text(encoding="utf-8-sig")
    places = own_process.places(context)
    values = _parameters(context) | places["inputs"] | places["outputs"]
    check(text, values)
    own_process.run(context, "steps.usql.process", {"script": text, "values": values, **places})


def check(text: str, values: dict[str, str]) -> None:
    """What is outside the subset will be so at the next try. Raises InvalidStep, StartFailed."""
    try:
        usql, refusal = import_module("steps.usql.run"), import_module("steps.usql.refusal")
    except ModuleNotFoundError as error:
        raise StartFailed(f"This node has no {error.name}: install millstream[sql] beside the worker.") from error
    try:
        usql.translate(text, values)
    except refusal.Refused as refused:
        raise InvalidStep(f"The U-SQL script cannot be run: {refused}") from refused


def _parameters(context: StepContext) -> dict[str, str]:
    settings = context.settings
    own = environment.of_step(context.job, settings.workspace, context.folders, context.inputs, context.outputs)
    return {name.removeprefix(_PARAMETER): value for name, value in own.items() if name.startswith(_PARAMETER)}
