"""The kind "databricks": a notebook, script or class for a Databricks workspace, or a script on the node's own Spark.

settings: `orchestrator.core.kinds.databricks.DatabricksJob`. Which of the two it is says the step's compute: an
attached workspace, or any other.
"""

from __future__ import annotations

from typing import cast

from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.databricks import DatabricksJob
from steps.context import StepContext
from steps.databricks import local, workspace
from steps.deferred import NotYet


def run(context: StepContext) -> NotYet | None:
    """Raises StepFailure, Stopped."""
    if context.elsewhere is None:
        local.run(context, _wanted(context))
        return None
    return workspace.run(context, _wanted(context), context.elsewhere.workspace, context.elsewhere.places)


def call_off(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    if context.elsewhere is not None:
        workspace.call_off(context, _wanted(context), context.elsewhere.workspace, context.elsewhere.places)


def _wanted(context: StepContext) -> DatabricksJob:
    return cast(DatabricksJob, settings_of("databricks", context.job.step.settings))
