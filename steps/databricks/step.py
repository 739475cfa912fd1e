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


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    wanted = cast(DatabricksJob, settings_of("databricks", context.job.step.settings))
    if context.elsewhere is None:
        local.run(context, wanted)
    else:
        workspace.run(context, wanted, context.elsewhere.workspace, context.elsewhere.places)
