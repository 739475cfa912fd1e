"""The kind "python_script": a script of the snapshot, run as `python <script> <arguments>` in the snapshot's root.

settings: {"script": relative path}.
"""

from __future__ import annotations

from steps.context import StepContext
from steps.failures import InvalidStep, ScriptMissing, SnapshotMissing
from steps.paths import UnsafeName, below


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    if context.job.step.snapshot is None:
        raise SnapshotMissing("The step has no source folder to run its script from.")
    script = context.job.step.settings.get("script")
    if not isinstance(script, str):
        raise InvalidStep("A step of kind python_script names its script in settings.script.")
    try:
        path = below(context.folders.code, script)
    except UnsafeName as error:
        raise InvalidStep(f"settings.script: {error}") from error
    if not path.is_file():
        names = sorted(entry.name for entry in context.folders.code.iterdir() if entry.suffix == ".py")
        there = ", ".join(names[:10]) or "no Python files at all"
        raise ScriptMissing(f"There is no script {script!r} in the step's source folder; at its root are: {there}.")
    context.run_python(script, context.arguments())
