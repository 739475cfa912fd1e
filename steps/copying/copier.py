"""Copying the files of a source to a target: several at once, those that are there already left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.core.result import File
from steps.copying.sources import Item, Source, refused
from steps.copying.targets import Look, Target, there_already
from steps.failures import OutputUnusable, StorageFailed
from steps.log import StepLog
from steps.progress import Progress
from steps.store import BlobExists, BlobMissing, Mark, Refused, Replaced, Store, StoreFailed
from steps.transfer import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    """`owner`: the step run that copies. `overwrite`: what others have put at a named target may be replaced. `check`:
    called often; what it raises breaks off.
    """

    store: Store
    pool: Pool
    log: StepLog
    owner: str
    overwrite: bool
    check: Callable[[], None]

    def copy(self, source: Source, target: Target) -> tuple[File, ...]:
        """The copies, as the output's files. Raises OutputUnusable, StorageFailed, and what `check` does."""
        begun = time.monotonic()
        names = [target.name_of(source, item.path) for item in source.items]
        wishes = list(zip(source.items, names, strict=True))
        progress = Progress(self.log, "Copied", len(wishes), total=source.size)
        with _failing("the destination", target.label):
            there = there_already(self.store, target, names)
        copied = self.pool.map(lambda wish: self._one(target, *wish, there, progress), wishes)
        progress.end()
        self._tell(source, copied, time.monotonic() - begun)
        return tuple(
            File(path=target.path_of(source, item.path), size=item.size, sha256=item.sha256, version=item.version)
            for item in source.items
        )

    def _one(self, target: Target, item: Item, name: str, there: Look, progress: Progress) -> bool:
        """Whether there was something to do."""
        self.check()
        label = f"{target.datastore}/{name}"
        with _failing(item.path or "the file", label):
            before = there(name)
            if before is not None and (before.size, before.source) == (item.size, item.version):
                progress.add(item.size, files=1)
                return False
            if before is not None and target.named and not self.overwrite:
                raise OutputUnusable(
                    f"There is a file {label} already, and it may not be replaced. Copy to another place, or say "
                    "overwrite=True."
                )

            def told(size: int) -> None:
                progress.add(size)
                self.check()

            mark = Mark(self.owner, item.version)
            self.store.take_in(target.container, name, item.open(), mark=mark, before=before, told=told)
        progress.add(0, files=1)
        return True

    def _tell(self, source: Source, copied: list[bool], seconds: float) -> None:
        size = sum(item.size for item, done in zip(source.items, copied, strict=True) if done)
        rest = f" {copied.count(False):,} were there already." if False in copied else ""
        speed = size / 1e6 / max(seconds, 1e-3)
        self.log.note(
            f"Copied {copied.count(True):,} files, {size:,} bytes, in {seconds:.1f} s ({speed:,.1f} MB/s).{rest}"
        )


@contextmanager
def _failing(what: str, label: str) -> Iterator[None]:
    """What storage cannot do becomes the step's failure, which says of which file."""
    try:
        yield
    except Refused as error:
        raise refused(f"{what} could not be copied to {label}", error) from error
    except Replaced as error:
        raise StorageFailed(f"{error} The next attempt takes it as it is then.") from error
    except BlobExists as error:
        raise StorageFailed(f"{error} Let one step at a time write to {label}.") from error
    except BlobMissing as error:
        failure = StorageFailed(f"The container of {label} is not there: {error}")
        failure.retryable = False
        raise failure from error
    except StoreFailed as error:
        raise StorageFailed(f"{what} could not be copied to {label}: {error}") from error
