"""The kind "azure_batch": a program on a node of an attached account of Azure Batch.

settings: `orchestrator.core.kinds.azure_batch.BatchTask`.
"""

from __future__ import annotations

from typing import cast

from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.azure_batch import BatchTask
from steps.azure_batch import account
from steps.context import StepContext
from steps.deferred import NotYet
from steps.failures import InvalidStep


def run(context: StepContext) -> NotYet | None:
    """Raises StepFailure, Stopped."""
    if context.elsewhere is None:
        raise InvalidStep(f"The compute {context.job.step.compute!r} is not attached to Azure Batch any more.")
    return account.run(context, _wanted(context), context.elsewhere.workspace, context.elsewhere.places)


def call_off(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    if context.elsewhere is not None:
        account.call_off(context, _wanted(context), context.elsewhere.workspace)


def _wanted(context: StepContext) -> BatchTask:
    return cast(BatchTask, settings_of("azure_batch", context.job.step.settings))
