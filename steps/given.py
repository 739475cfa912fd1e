"""Files that the script has given to storage itself: a real azureml-core does so. They become artifacts as others do.

They are brought to the node and stored anew, so that no URL that the script was given leads to what is committed.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.core.job import Job
from steps.failures import StorageFailed
from steps.log import StepLog
from steps.paths import UnsafeName, check
from steps.settings import WorkerSettings
from steps.spool import NamedFile
from steps.store import BlobMissing, Store, StoreFailed
from steps.workdir import Folders

FOLDER = "given"
"""Below an attempt's prefix, as `orchestrator.engine.given` has it."""


def bring(
    job: Job, names: Sequence[str], folders: Folders, store: Store, settings: WorkerSettings, log: StepLog
) -> list[NamedFile]:
    """The files of these names, brought to the node. Raises StorageFailed, OSError."""
    brought: list[NamedFile] = []
    for number, name in enumerate(dict.fromkeys(names)):
        target = folders.root / FOLDER / f"{number}"
        target.parent.mkdir(exist_ok=True)
        try:
            with target.open("wb") as sink:
                store.download(settings.container, f"{job.prefix}/{FOLDER}/{check(name)}", sink)
        except (BlobMissing, UnsafeName) as error:
            log.note(f"The file {name!r}, which the script has uploaded, is not kept: {error}")
            continue
        except StoreFailed as error:
            raise StorageFailed(f"The uploaded file {name!r} could not be kept: {error}") from error
        brought.append(NamedFile(name=name, path=str(target)))
    return brought
