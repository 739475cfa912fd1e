"""The list of changed blobs that a data-change schedule hands to the steps that take the path of the change."""

from __future__ import annotations

from orchestrator.core import changelist
from orchestrator.core.definition import DataPathValue
from orchestrator.core.job import Job
from orchestrator.core.resolving import parameters_used
from steps.failures import InputMissing, InputUnusable, StorageFailed
from steps.store import BlobMissing, Store, StoreFailed
from steps.workdir import Folders


def address_of(job: Job) -> str:
    """The list's address, "" if the step is handed none: no parameter that it refers to was assigned by a schedule."""
    values = (job.parameters.get(name) for name in sorted(parameters_used(job.step)))
    found = (value.changes for value in values if isinstance(value, DataPathValue))
    return next((address for address in found if address), "")


def bring(job: Job, folders: Folders, store: Store, container: str) -> None:
    """Put the list where the script is told that it is. Raises StepFailure, OSError."""
    address = address_of(job)
    if not address:
        return
    try:
        name = changelist.blob_of(address)
        with folders.changes.open("wb") as sink:
            store.download(container, name, sink)
    except ValueError as error:
        raise InputUnusable(str(error)) from error
    except BlobMissing as fault:
        raise InputMissing("The list of the changes that started the run is gone.") from fault
    except StoreFailed as fault:
        raise StorageFailed(f"The list of the changes that started the run could not be read: {fault}") from fault
