"""The word that a step has failed for good, beside its groups: those that have not begun need not begin.

Only a saving of work: what becomes of the step is decided by the results of its groups.
"""

from __future__ import annotations

import io
import json

from orchestrator.core.kinds.parallel_run import MiniBatches
from steps.context import StepContext
from steps.failures import InitFailed, StepFailure, StorageFailed, TooManyFailed
from steps.store import BlobMissing, StoreFailed

FATAL = {failure.code: failure for failure in (InitFailed, TooManyFailed)}


def check(context: StepContext, settings: MiniBatches) -> None:
    """Raises InitFailed, TooManyFailed as another group did; StorageFailed."""
    kept = io.BytesIO()
    try:
        context.store.download(context.settings.container, _name(settings), kept)
    except BlobMissing:
        return
    except StoreFailed as error:
        raise StorageFailed(f"Whether the step was given up is not known: {error}") from error
    told = json.loads(kept.getvalue())
    raise FATAL[told["code"]](told["message"])


def leave(context: StepContext, settings: MiniBatches, failure: StepFailure) -> None:
    """Raises StorageFailed."""
    told = json.dumps({"code": failure.code, "message": failure.message}).encode()
    try:
        context.store.put(context.settings.container, _name(settings), told)
    except StoreFailed as error:
        raise StorageFailed(f"{failure.message} This could not be told to the other groups: {error}") from error


def _name(settings: MiniBatches) -> str:
    return f"{settings.group.rpartition('/')[0]}/given-up.json"
