"""Bringing a step's inputs to the node."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.core.definition import Input
from orchestrator.core.job import InputData, Job
from orchestrator.core.result import File
from steps.brought import Brought, Tally
from steps.dataset_access import StoreAccess
from steps.dataset_inputs import DatasetBringer, is_evaluated
from steps.datastores import Datastores, container_of
from steps.failures import InputMissing, InputUnusable, InvalidStep, StorageFailed
from steps.log import StepLog
from steps.paths import UnsafeName, below
from steps.progress import Progress
from steps.stop import Stop
from steps.store import BlobMissing, Listed, Store, StoreFailed
from steps.transfer import Fetch, Pool, fetch, fetch_all
from steps.workdir import Folders


@dataclass(slots=True)
class _Planned:
    """Where an input will be, what has still to be fetched for it, and what the log should say."""

    path: Path
    fetches: list[Fetch] = field(default_factory=list)
    note: str | None = None
    tally: Tally = field(default_factory=Tally)

    def brought(self) -> Brought:
        return Brought(value=self.path, read=self.tally.read(), note=self.note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringer:
    """Brings the inputs of attempts.

    datastores: address of each one's container. web_bytes: the most a file of the web may have.
    """

    store: Store
    pool: Pool
    datastores: Datastores
    web_bytes: int

    def bring(self, job: Job, folders: Folders, log: StepLog, stop: Stop) -> dict[str, Brought]:
        """Lay out all inputs. The files of references and of upstream outputs travel together; then come datasets.

        Raises InvalidStep, InputMissing, InputDamaged, InputUnusable, DiskFull, StorageFailed, Stopped.
        """
        plain = [port for port in job.step.inputs if not job.inputs[port.name].dataset_id]
        plans = self.pool.map(lambda port: self._plan(port, job.inputs[port.name], folders, stop), plain)
        fetches = [item for plan in plans for item in plan.fetches]
        sizes = [item.expected.size for item in fetches if item.expected is not None]
        progress = Progress(log, "Inputs", len(fetches), total=sum(sizes) if len(sizes) == len(fetches) else None)
        fetch_all(self.pool, self.store, fetches, stop, progress)
        progress.end()
        made = {port.name: plan.brought() for port, plan in zip(plain, plans, strict=True)}
        for port in job.step.inputs:
            data = job.inputs[port.name]
            if data.dataset_id:
                made[port.name] = self._dataset(port, folders, stop).saved(data)
            elif data.view is not None:
                made[port.name] = self._dataset(port, folders, stop).viewed(data, made[port.name])
        for brought in made.values():
            if brought.note:
                log.note(brought.note)
        return {port.name: made[port.name] for port in job.step.inputs}

    def _dataset(self, port: Input, folders: Folders, stop: Stop) -> DatasetBringer:
        access = StoreAccess(
            store=self.store,
            pool=self.pool,
            datastores=self.datastores,
            scratch=folders.root / "datasets",
            stop=stop,
            web_bytes=self.web_bytes,
        )
        return DatasetBringer(port=port, access=access, place=folders.inputs / port.name, chosen=_chosen(port, folders))

    def _plan(self, port: Input, data: InputData, folders: Folders, stop: Stop) -> _Planned:
        container = container_of(self.datastores, data.datastore)
        folder, file = _places(port, data, folders)
        if data.files is not None:
            return _plan_committed(data, data.files, container, folder, file)
        found = None if file is None else self._brought(Fetch(container=container, name=data.path, target=file), stop)
        if file is not None and found is not None:
            plan = _Planned(file)
            plan.tally.add(f"{data.datastore}/{found.name}", found.size, found.etag)
            return plan
        if file is not None and file.parent == folder:
            # Made for the file that is not there.
            folder.rmdir()
        return self._plan_folder(port, data, container, folder)

    def _brought(self, item: Fetch, stop: Stop) -> Listed | None:
        try:
            return fetch(self.store, item, stop)
        except InputMissing:
            return None

    def _plan_folder(self, port: Input, data: InputData, container: str, folder: Path) -> _Planned:
        """Whatever lies below the path now."""
        name = data.path.strip("/")
        prefix = f"{name}/" if name else ""
        try:
            found = [blob for blob in self.store.list(container, prefix) if not blob.name.endswith("/")]
            if data.only:
                wanted = {f"{prefix}{name}" for name in data.only}
                found = [blob for blob in found if blob.name in wanted]
        except BlobMissing as error:
            raise InputMissing(f"The container {container!r} of datastore {data.datastore!r} is missing.") from error
        except StoreFailed as error:
            raise StorageFailed(f"Input {port.name!r} could not be listed: {error}") from error
        if not found:
            folder.parent.mkdir(parents=True, exist_ok=True)
            note = f"Input {port.name!r}: there is nothing at {data.datastore}/{data.path}; its path does not exist."
            return _Planned(folder, note=note)
        plan = _Planned(folder)
        for blob in found:
            target = _below(folder, blob.name.removeprefix(prefix))
            plan.fetches.append(Fetch(container=container, name=blob.name, target=target))
            plan.tally.add(f"{data.datastore}/{blob.name}", blob.size, blob.etag)
        return plan


def _places(port: Input, data: InputData, folders: Folders) -> tuple[Path, Path | None]:
    """Where the input goes if it is a folder, and if it is a file (None: it cannot be one)."""
    can_be_file = bool(data.path.strip("/")) and not data.path.endswith("/")
    if is_evaluated(port, data):
        # A dataset is evaluated over files that lie as in their datastore.
        place = below(folders.inputs / port.name / "data", data.path)
        return place, place
    chosen = _chosen(port, folders)
    if chosen is not None:
        return chosen, chosen if can_be_file else None
    place = folders.inputs / port.name
    return place, _below(place, posixpath.basename(data.path)) if can_be_file else None


def _chosen(port: Input, folders: Folders) -> Path | None:
    """Where the step wants its input."""
    if port.path_on_compute is None:
        return None
    try:
        return below(folders.code, port.path_on_compute)
    except UnsafeName as error:
        raise InvalidStep(f"Input {port.name!r} cannot have this path_on_compute: {error}") from error


def _plan_committed(
    data: InputData, files: tuple[File, ...], container: str, folder: Path, file: Path | None
) -> _Planned:
    """Exactly what an upstream step committed."""
    if data.is_file:
        if file is None or len(files) != 1:
            raise InputUnusable(f"The upstream output {data.path!r} is said to be a file, and is none.")
        plan = _Planned(
            file, [Fetch(container=container, name=files[0].name_below(data.path), target=file, expected=files[0])]
        )
    else:
        folder.mkdir(parents=True, exist_ok=True)
        plan = _Planned(folder)
        for item in files:
            name, target = item.name_below(data.path), _below(folder, item.path)
            plan.fetches.append(Fetch(container=container, name=name, target=target, expected=item))
    for item in files:
        # Its place is another in each run, its content is what counts.
        plan.tally.add(item.path, item.size, item.sha256 or item.version)
    return plan


def _below(folder: Path, name: str) -> Path:
    try:
        return below(folder, name)
    except UnsafeName as error:
        raise InputUnusable(f"A blob of the input cannot become a file: {error}") from error
