"""How a task has ended, kept beside its outputs when the account does not know it any more."""

from __future__ import annotations

import io

from steps.context import StepContext
from steps.datastores import default_of
from steps.failures import StorageFailed
from steps.remote.places import Places, staging_prefix
from steps.store import BlobMissing, StoreFailed


def mark_end(context: StepContext, places: Places, problem: str) -> None:
    """problem: "", if it has ended well. Raises InvalidStep, StorageFailed."""
    address, name = _place(context, places)
    try:
        context.store.put(address, name, problem.encode())
    except StoreFailed as error:
        raise StorageFailed(f"The end of the task could not be noted: {error}") from error


def marked_end(context: StepContext, places: Places) -> str | None:
    """None: nobody has seen its end. Raises InvalidStep, StorageFailed."""
    address, name = _place(context, places)
    sink = io.BytesIO()
    try:
        context.store.download(address, name, sink)
    except BlobMissing:
        return None
    except StoreFailed as error:
        raise StorageFailed(f"How the task has ended could not be read: {error}") from error
    return sink.getvalue().decode()


def _place(context: StepContext, places: Places) -> tuple[str, str]:
    container = places.container(default_of(context.settings.datastores))
    return container.address, f"{staging_prefix(context.job)}.ended"
