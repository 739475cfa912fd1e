"""The kind "mini_batches": a group of the mini-batches of a step of kind "parallel_run", by its entry script."""

from __future__ import annotations

import io

import msgspec

from orchestrator.core.kinds.parallel_run import MiniBatches
from steps.context import StepContext
from steps.failures import InputMissing, InvalidStep, StorageFailed
from steps.parallel import group, plan
from steps.store import BlobMissing, StoreFailed


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    try:
        settings = msgspec.convert(context.job.step.settings, MiniBatches)
    except msgspec.ValidationError as error:
        raise InvalidStep(f"The settings of a group of mini-batches are wrong: {error}") from error
    access = context.access()
    try:
        group.run(context, settings, _group(context, settings.group), access)
    finally:
        access.forget()


def _group(context: StepContext, name: str) -> plan.Group:
    kept = io.BytesIO()
    try:
        context.store.download(context.settings.container, name, kept)
        return plan.decode(kept.getvalue())
    except BlobMissing as error:
        raise InputMissing(f"The list of mini-batches is gone: {error}") from error
    except StoreFailed as error:
        raise StorageFailed(f"The list of mini-batches could not be read: {error}") from error
    except msgspec.MsgspecError as error:
        raise InvalidStep(f"{name} is no list of mini-batches: {error}") from error
