"""The kind "mpi": a Python script of the snapshot in several processes of this node, started by mpirun.

settings: {"script": relative path, "node_count": n, "process_count_per_node": m}: n * m processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import msgspec

from orchestrator.core.kinds.mpi import MpiScript
from steps.context import StepContext
from steps.failures import InvalidStep, StartFailed
from steps.sources import script_of

OPEN_MPI = "Open MPI"
_LOCAL = ("--oversubscribe", "--mca", "plm", "isolated", "--bind-to", "none")
"""More processes than cores if need be, none of them on another node, and none held to a core that others have, too."""


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    script = script_of(context, ".py", "Python")
    try:
        settings = msgspec.convert(context.job.step.settings, MpiScript)
    except msgspec.ValidationError as error:
        raise InvalidStep(f"The settings of the step are wrong: {error}") from error
    environment = context.process_environment()
    mpirun = shutil.which("mpirun", path=environment["PATH"])
    if mpirun is None:
        raise StartFailed(
            "This node has no mpirun: install Open MPI (Debian: openmpi-bin), or run the step where it is installed."
        )
    if settings.node_count > 1:
        context.log.note(f"MPI: all {settings.processes} processes run on this node.")
    command = (mpirun, *options(mpirun, environment["PATH"]), "-n", str(settings.processes))
    context.run_command((*command, context.python, script, *context.arguments()))


@cache
def options(mpirun: str, path: str) -> tuple[str, ...]:
    """What this mpirun has to be told, whoever made it. Raises StartFailed."""
    order, environment = [mpirun, "--version"], {"PATH": path}
    try:
        asked = subprocess.run(order, env=environment, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartFailed(f"{mpirun} does not answer: {error}") from error
    if OPEN_MPI not in asked.stdout:
        return ()
    return ("--allow-run-as-root", *_LOCAL) if os.geteuid() == 0 else _LOCAL
