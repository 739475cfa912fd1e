"""The kind "kusto": a query for the database of an attached cluster of Azure Data Explorer.

settings: `orchestrator.core.kinds.kusto.KustoQuery`.
"""

from __future__ import annotations

from typing import cast

from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.kusto import KustoQuery
from steps.context import StepContext
from steps.failures import InvalidStep
from steps.kusto import query, rows


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    wanted = cast(KustoQuery, settings_of("kusto", context.job.step.settings))
    if context.elsewhere is None:
        raise InvalidStep(f"The compute {context.job.step.compute!r} is not attached to a Kusto cluster any more.")
    found = query.run(context, wanted, context.elsewhere.workspace)
    (place,) = context.outputs.values()
    rows.write(found, place, wanted.format)
    context.log.note(f"{len(found.rows):,} rows, {len(found.columns)} columns")
