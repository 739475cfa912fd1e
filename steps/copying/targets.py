"""Where copies go: a place that a user names, or one of the run's own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from orchestrator.core.definition import Output
from orchestrator.core.fingerprint import digest_of
from orchestrator.core.job import Job
from steps.copying.sources import MANY, Source, asked
from steps.failures import InvalidStep
from steps.outputs import destination_of
from steps.store import BlobMissing, Listed, Store

Look = Callable[[str], Listed | None]
"""What is there under a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`place`: the path of the file, or of the directory that the files go below. `named`: by a user, who may have put
    other things there.
    """

    container: str
    datastore: str
    place: str
    is_directory: bool
    named: bool

    @property
    def label(self) -> str:
        return f"{'directory' if self.is_directory else 'file'} {self.datastore}/{self.place}"

    def name_of(self, source: Source, path: str) -> str:
        """The name of the copy of the item `path`."""
        return f"{self.place}/{self.path_of(source, path)}" if self.is_directory else self.place

    def path_of(self, source: Source, path: str) -> str:
        """Its path below the target; "" if the target is the file."""
        return (path or source.name) if self.is_directory else ""


def target_of(store: Store, container: str, job: Job, port: Output, source: Source, wanted: str | None) -> Target:
    """`wanted`: "file", "directory", or None: as the source is, or, for a file, a directory if there is one.

    Raises InvalidStep, StorageFailed.
    """
    place = destination_of(job, port)
    if source.is_directory and wanted == "file":
        raise InvalidStep(
            f"The source is the {source.label}, of {len(source.items):,} files, and destination_reference_type says "
            "'file'. Say 'directory'."
        )
    is_directory = source.is_directory or wanted == "directory" or (wanted is None and bool(port.is_directory))
    if place and wanted is None and not is_directory:
        is_directory = _is_directory(store, container, port.datastore, place)
    if place:
        _check_apart(source, container, place, is_directory=is_directory)
    else:
        # What is copied decides on the place: attempts with the same versions go on with each other's work, and nothing
        # there ever changes.
        content = digest_of([(item.path, item.size, item.version) for item in source.items])
        place = f"runs/{job.run}/{job.step.id}/of-{content[:32]}/{port.name}"
    return Target(
        container=container,
        datastore=port.datastore,
        place=place,
        is_directory=is_directory,
        named=bool(port.destination),
    )


def _is_directory(store: Store, container: str, datastore: str, place: str) -> bool:
    """What is there already, for a file that is to go there."""
    label = f"{datastore}/{place}"
    below = asked(label, lambda: _first(store, container, f"{place}/"))
    if below is not None and asked(label, lambda: store.find(container, place)) is not None:
        raise InvalidStep(
            f"{label} is a file, and a directory as well. Say which one is meant: destination_reference_type='file' or "
            "'directory'."
        )
    return below is not None


def _first(store: Store, container: str, prefix: str) -> Listed | None:
    try:
        return next(iter(store.list(container, prefix)), None)
    except BlobMissing:
        return None


def _check_apart(source: Source, container: str, place: str, *, is_directory: bool) -> None:
    """A copy that its own source would hold could grow for ever."""
    if source.container != container:
        return
    inside = not source.place or f"{place}/".startswith(f"{source.place}/")
    if source.is_directory and inside:
        raise InvalidStep(
            f"The destination {place} lies inside the {source.label}: the copies would be copied, too. Choose a place "
            "outside of it."
        )
    if not source.is_directory and (f"{place}/{source.name}" if is_directory else place) == source.place:
        raise InvalidStep(f"The destination is the source, {source.label}. Choose another place.")


def there_already(store: Store, target: Target, names: Collection[str]) -> Look:
    """Looks up what is there under a name, with its marks. Raises BlobMissing, StoreFailed."""
    if len(names) < MANY:
        return lambda name: store.find(target.container, name)
    wanted = frozenset(names)
    try:
        listed = store.list(target.container, f"{target.place}/", owners=True)
        found = {blob.name: blob for blob in listed if blob.name in wanted}
    except BlobMissing:
        found = {}
    return found.get
