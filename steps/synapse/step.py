"""The kind "synapse_spark": a script for a Spark pool of Synapse, or for the node's own Spark.

settings: `orchestrator.core.kinds.synapse_spark.SparkBatch`. Which of the two it is says the step's compute: an
attached workspace, or any other.
"""

from __future__ import annotations

from typing import cast

from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.synapse_spark import SparkBatch, is_url
from steps.context import StepContext
from steps.deferred import NotYet
from steps.failures import InvalidStep
from steps.paths import below
from steps.spark import local
from steps.spark.local import SparkScript
from steps.synapse import pool


def run(context: StepContext) -> NotYet | None:
    """Raises StepFailure, Stopped."""
    wanted = _wanted(context)
    if context.elsewhere is not None and context.deferred is not None:
        return pool.run(context, wanted, context.elsewhere.workspace, context.elsewhere.places)
    for path in (*wanted.py_files, *wanted.jars, *wanted.files):
        if not is_url(path) and not below(context.folders.code, path).is_file():
            raise InvalidStep(f"There is no file {path!r} in the step's source folder.")
    if context.elsewhere is not None:
        return pool.run(context, wanted, context.elsewhere.workspace, context.elsewhere.places)
    context.log.note("The compute is no Synapse workspace: this runs on the local Spark of the node.")
    local.run(context, here(context, wanted))
    return None


def call_off(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    if context.elsewhere is not None:
        pool.call_off(context, _wanted(context), context.elsewhere.workspace)


def _wanted(context: StepContext) -> SparkBatch:
    return cast(SparkBatch, settings_of("synapse_spark", context.job.step.settings))


def here(context: StepContext, wanted: SparkBatch) -> SparkScript:
    """The same for the local Spark, where the driver does all the work."""
    lists = {
        "spark.submit.pyFiles": wanted.py_files,
        "spark.jars": wanted.jars,
        "spark.files": wanted.files,
    }
    places = {
        name: ",".join(path if is_url(path) else str(below(context.folders.code, path)) for path in paths)
        for name, paths in lists.items()
        if paths
    }
    named = {"spark.app.name": wanted.app_name} if wanted.app_name else {}
    conf = {"spark.driver.memory": wanted.driver_memory, **named, **places, **wanted.conf}
    return SparkScript(script=wanted.file, arguments=context.arguments(), conf=conf)
