"""The kind "r_script": a script of the snapshot, run as `Rscript <script> <arguments>` in the snapshot's root.

settings: {"script": relative path}. Packages of R that settings.environment.r names are looked for beforehand.
"""

from __future__ import annotations

import shutil
import subprocess

from steps.context import StepContext
from steps.failures import EnvironmentImpossible, StartFailed
from steps.sources import script_of
from steps.step_environment import spec_of

_ABSENT = 'cat(setdiff(commandArgs(TRUE), rownames(installed.packages())), sep = "\\n")'


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    script = script_of(context, ".R", "R")
    environment = context.process_environment()
    program = shutil.which("Rscript", path=environment["PATH"])
    if program is None:
        raise StartFailed(
            "This node has no Rscript: install R (Debian: r-base-core), or run the step where it is installed."
        )
    names = spec_of(context.job.step).r.names
    if names and (absent := _absent(program, names, environment)):
        raise EnvironmentImpossible(
            f"These packages of R are not installed here: {', '.join(absent)}. They are not installed for a step: put "
            "them into the image or onto the node that it runs on."
        )
    context.run_command((program, script, *context.arguments()))


def _absent(program: str, names: tuple[str, ...], environment: dict[str, str]) -> list[str]:
    """Raises StartFailed."""
    command = [program, "--no-init-file", "-e", _ABSENT, *names]
    try:
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise StartFailed(f"Rscript does not say which packages it has: {error}") from error
    return asked.stdout.split()
