"""The kind "command": the arguments, run as a command in the snapshot's root, if there is one.

settings: {"shell": text for a shell, in which the arguments are "${1}", "${2}" ...}; without it there is no shell.
"""

from __future__ import annotations

import os
import shutil

from steps.context import StepContext
from steps.failures import InvalidStep, ScriptMissing

SHELLS = ("bash", "sh")


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    text, arguments = context.job.step.settings.get("shell"), context.arguments()
    if text is not None:
        shell = next(filter(None, (shutil.which(name, path=os.defpath) for name in SHELLS)), "sh")
        context.run_command((shell, "-c", str(text), "command", *arguments))
        return
    if not arguments or not arguments[0]:
        raise InvalidStep("There is no command: the first argument names the program.")
    _find(context, arguments[0])
    context.run_command(arguments)


def _find(context: StepContext, program: str) -> None:
    """Raises ScriptMissing."""
    if "/" in program:
        if not (context.folders.code / program).exists():
            raise ScriptMissing(f"There is no program {program!r} in the step's source folder.")
    elif shutil.which(program, path=context.process_environment()["PATH"]) is None:
        raise ScriptMissing(f"This node has no program {program!r}: name one that it has, or one of the source folder.")
