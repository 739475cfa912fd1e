"""The step's source folder: finding in it what its settings name."""

from __future__ import annotations

from steps.context import StepContext
from steps.failures import InvalidStep, ScriptMissing, SnapshotMissing
from steps.paths import UnsafeName, below


def script_of(context: StepContext, suffix: str, language: str) -> str:
    """`settings.script`, which is there. `suffix` and `language`: what else is looked for to tell of, if it is not.

    Raises SnapshotMissing, InvalidStep, ScriptMissing.
    """
    step = context.job.step
    if step.snapshot is None:
        raise SnapshotMissing("The step has no source folder to run its script from.")
    script = step.settings.get("script")
    if not isinstance(script, str):
        raise InvalidStep(f"A step of kind {step.kind} names its script in settings.script.")
    try:
        path = below(context.folders.code, script)
    except UnsafeName as error:
        raise InvalidStep(f"settings.script: {error}") from error
    if not path.is_file():
        names = sorted(entry.name for entry in context.folders.code.iterdir() if entry.suffix == suffix)
        there = ", ".join(names[:10]) or f"no {language} files at all"
        raise ScriptMissing(f"There is no script {script!r} in the step's source folder; at its root are: {there}.")
    return script
