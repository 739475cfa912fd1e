"""Bringing a step's inputs to the node."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.core.definition import Input
from orchestrator.core.job import InputData, Job
from orchestrator.core.result import File
from steps.failures import InputMissing, InputUnusable, InvalidStep, StorageFailed
from steps.log import StepLog
from steps.paths import UnsafeName, below
from steps.stop import Stop
from steps.store import BlobMissing, Store, StoreFailed
from steps.transfer import Fetch, Pool, fetch, fetch_all
from steps.workdir import Folders


@dataclass(slots=True)
class _Planned:
    """Where an input will be, what has still to be fetched for it, and what the log should say."""

    path: Path
    fetches: list[Fetch] = field(default_factory=list)
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringer:
    """Brings the inputs of attempts. datastores: container of each."""

    store: Store
    pool: Pool
    datastores: Mapping[str, str]

    def bring(self, job: Job, folders: Folders, log: StepLog, stop: Stop) -> dict[str, Path]:
        """Lay out all inputs; the path of each. All their files travel together.

        Raises InvalidStep, InputMissing, InputDamaged, InputUnusable, DiskFull, StorageFailed, Stopped.
        """
        ports = job.step.inputs
        plans = self.pool.map(lambda port: self._plan(port, job.inputs[port.name], folders, stop), ports)
        for plan in plans:
            if plan.note:
                log.note(plan.note)
        fetch_all(self.pool, self.store, [item for plan in plans for item in plan.fetches], stop)
        return {port.name: plan.path for port, plan in zip(ports, plans, strict=True)}

    def _plan(self, port: Input, data: InputData, folders: Folders, stop: Stop) -> _Planned:
        container = container_of(self.datastores, data.datastore)
        folder, file = _places(port, data, folders)
        if data.files is not None:
            return _plan_committed(data, data.files, container, folder, file)
        if file is not None and self._is_brought(Fetch(container=container, name=data.path, target=file), stop):
            return _Planned(file)
        if file is not None and file.parent == folder:
            # Made for the file that is not there.
            folder.rmdir()
        return self._plan_folder(port, data, container, folder)

    def _is_brought(self, item: Fetch, stop: Stop) -> bool:
        try:
            fetch(self.store, item, stop)
        except InputMissing:
            return False
        return True

    def _plan_folder(self, port: Input, data: InputData, container: str, folder: Path) -> _Planned:
        """Whatever lies below the path now."""
        name = data.path.strip("/")
        prefix = f"{name}/" if name else ""
        try:
            found = [blob.name for blob in self.store.list(container, prefix) if not blob.name.endswith("/")]
        except BlobMissing as error:
            raise InputMissing(f"The container {container!r} of datastore {data.datastore!r} is missing.") from error
        except StoreFailed as error:
            raise StorageFailed(f"Input {port.name!r} could not be listed: {error}") from error
        if not found:
            folder.parent.mkdir(parents=True, exist_ok=True)
            note = f"Input {port.name!r}: there is nothing at {data.datastore}/{data.path}; its path does not exist."
            return _Planned(folder, note=note)
        fetches = [
            Fetch(container=container, name=blob, target=_below(folder, blob.removeprefix(prefix))) for blob in found
        ]
        return _Planned(folder, fetches)


def container_of(datastores: Mapping[str, str], datastore: str) -> str:
    """Raises InvalidStep."""
    try:
        return datastores[datastore]
    except KeyError:
        known = ", ".join(sorted(datastores))
        raise InvalidStep(f"There is no datastore {datastore!r}; there are: {known}.") from None


def _places(port: Input, data: InputData, folders: Folders) -> tuple[Path, Path | None]:
    """Where the input goes if it is a folder, and if it is a file (None: it cannot be one)."""
    can_be_file = bool(data.path.strip("/")) and not data.path.endswith("/")
    if port.path_on_compute is not None:
        try:
            chosen = below(folders.code, port.path_on_compute)
        except UnsafeName as error:
            raise InvalidStep(f"Input {port.name!r} cannot have this path_on_compute: {error}") from error
        return chosen, chosen if can_be_file else None
    place = folders.inputs / port.name
    return place, _below(place, posixpath.basename(data.path)) if can_be_file else None


def _plan_committed(
    data: InputData, files: tuple[File, ...], container: str, folder: Path, file: Path | None
) -> _Planned:
    """Exactly what an upstream step committed."""
    if data.is_file:
        if file is None or len(files) != 1:
            raise InputUnusable(f"The upstream output {data.path!r} is said to be a file, and is none.")
        return _Planned(file, [Fetch(container=container, name=data.path, target=file, expected=files[0])])
    folder.mkdir(parents=True, exist_ok=True)
    fetches = [
        Fetch(container=container, name=f"{data.path}/{item.path}", target=_below(folder, item.path), expected=item)
        for item in files
    ]
    return _Planned(folder, fetches)


def _below(folder: Path, name: str) -> Path:
    try:
        return below(folder, name)
    except UnsafeName as error:
        raise InputUnusable(f"A blob of the input cannot become a file: {error}") from error
