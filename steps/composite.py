"""What a kind of step that becomes many is given to work with, when it expands and when it joins."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, ParameterValue
from orchestrator.core.job import InputData, Job
from orchestrator.core.kinds.settings import Settings
from orchestrator.core.nesting import Child, Children
from orchestrator.core.result import Expansion as StoredExpansion
from orchestrator.core.result import File, Metric, OutputData, ReadData
from orchestrator.core.states import RunStatus
from orchestrator.core.validation import validate
from orchestrator.datasets.files import Reading, files
from steps.brought import Tally
from steps.dataset_access import StoreAccess
from steps.datastores import container_of
from steps.failures import ChildFailed, InputMissing, InputUnusable, InvalidStep, StorageFailed
from steps.log import StepLog
from steps.paths import UnsafeName, below
from steps.settings import WorkerSettings
from steps.stop import Stop
from steps.store import BlobMissing, Store, StoreFailed
from steps.transfer import Fetch, Pool, fetch_all

__all__ = ["Child", "Children", "Composite", "CompositeContext", "Entry", "Expansion"]

S = TypeVar("S", bound=Settings)

MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """The pipeline that a step becomes, and what its run is to be like: see `orchestrator.core.result.Expansion`."""

    definition: Definition
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    window: int = 0
    keep_going: bool = True
    seconds: float | None = None
    join: Mapping[str, Any] = field(default_factory=dict)


class Composite(Protocol):
    """A kind whose steps become many. Both may raise StepFailure and Stopped, as `run` of other kinds may."""

    def expand(self, context: CompositeContext) -> Expansion | None:
        """What the step becomes; None: there is nothing to do, and its outputs are written."""
        ...

    def join(self, context: CompositeContext, children: Children) -> Expansion | None:
        """Make the step's result of what the child run has made; or go on with another."""
        ...


class Entry(NamedTuple):
    """A file behind an input. `path` is relative to what stands there, "" if that is the file; `size` in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """`names`: path -> blob; empty for a dataset, whose files are known by its own rules."""

    container: str
    names: Mapping[str, str]
    entries: tuple[Entry, ...]
    read: ReadData


@dataclass(slots=True, kw_only=True)
class CompositeContext:
    """One execution that expands or joins. Its inputs are not brought to the node, but can be listed and read.

    `outputs`: where a join writes what is new; what it puts in ./outputs and ./logs below `kept` is kept as artifacts.
    `adopted`: the files of children that become files of an output.
    """

    job: Job
    settings: WorkerSettings
    log: StepLog
    stop: Stop
    store: Store
    pool: Pool
    outputs: Mapping[str, Path]
    scratch: Path
    kept: Path
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    adopted: dict[str, list[File]] = field(default_factory=dict)
    replaced: dict[str, OutputData] = field(default_factory=dict)
    _listings: dict[str, _Listing] = field(default_factory=dict)

    @property
    def join_data(self) -> dict[str, Any]:
        """What the expansion has left for the join."""
        return self.job.children.join if self.job.children is not None else {}

    @property
    def template(self) -> Definition:
        """The pipeline that the step has. Raises InvalidStep."""
        if self.job.step.template is None:
            raise InvalidStep(f"A step of kind {self.job.step.kind} has a template, and this one has none.")
        return self.job.step.template

    def settings_as(self, type_: type[S]) -> S:
        """The settings of the step as its kind's own value. Raises InvalidStep."""
        try:
            return msgspec.convert(self.job.step.settings, type_)
        except msgspec.ValidationError as error:
            raise InvalidStep(f"The step has settings that its kind does not know: {error}") from error

    def files(self, name: str) -> tuple[Entry, ...]:
        """The files behind an input, by path. Raises InputMissing, InvalidStep, StorageFailed."""
        return self._listing(name).entries

    def read(self, name: str, path: str, *, limit: int = MOST_BYTES) -> bytes:
        """A small file of an input. Raises InputMissing, InputUnusable (it has more bytes), StorageFailed."""
        listing = self._listing(name)
        blob = listing.names.get(path)
        if blob is None:
            raise InputMissing(f"Input {name!r} has no file {path!r}.")
        if next(entry.size for entry in listing.entries if entry.path == path) > limit:
            raise InputUnusable(f"The file {path!r} of input {name!r} has more than {limit:,} bytes.")
        sink = io.BytesIO()
        try:
            self.store.download(listing.container, blob, sink)
        except BlobMissing as error:
            raise InputMissing(f"The file {path!r} of input {name!r} is gone.") from error
        except StoreFailed as error:
            raise StorageFailed(f"The file {path!r} of input {name!r} could not be read: {error}") from error
        return sink.getvalue()

    def adopt(self, output: str, source: OutputData, *, under: str = "") -> None:
        """Make the files of a child's output files of this step's output, below the folder `under`, without a copy.

        Raises InvalidStep where they lie in another datastore, or two files get the same name.
        """
        port = next(port for port in self.job.step.outputs if port.name == output)
        if source.datastore != port.datastore:
            raise InvalidStep(
                f"Output {output!r} is in datastore {port.datastore}, and what it is made of in {source.datastore}."
            )
        files = self.adopted.setdefault(output, [])
        there = {file.path for file in files}
        for file in source.files:
            inner = file.path or source.prefix.rpartition("/")[2]
            path = f"{under}/{inner}" if under else inner
            if path in there:
                raise InvalidStep(f"Output {output!r} gets two files named {path!r}.")
            files.append(msgspec.structs.replace(file, path=path, blob=file.name_below(source.prefix)))

    def replace(self, output: str, source: OutputData) -> None:
        """Make a child's output this step's output as it is: a file stays a file, a link a link. Raises InvalidStep."""
        port = next(port for port in self.job.step.outputs if port.name == output)
        if port.create or port.register or port.destination:
            self.adopt(output, source)
            return
        if source.datastore != port.datastore:
            raise InvalidStep(
                f"Output {output!r} is in datastore {port.datastore}, and what it is made of in {source.datastore}."
            )
        self.replaced[output] = source

    def fetch(self, source: OutputData, folder: Path) -> Path:
        """Bring a child's output to the node: the path of the folder, or of the file. Raises StepFailure, Stopped."""
        container = container_of(self.settings.datastores, source.datastore)
        fetches = []
        try:
            for file in source.files:
                target = below(folder, file.path or source.prefix.rpartition("/")[2])
                fetches.append(
                    Fetch(container=container, name=file.name_below(source.prefix), target=target, expected=file)
                )
        except UnsafeName as error:
            raise InputUnusable(f"A file of a child cannot become a file here: {error}") from error
        folder.mkdir(parents=True, exist_ok=True)
        fetch_all(self.pool, self.store, fetches, self.stop)
        return fetches[0].target if source.is_file else folder

    def was_read(self) -> dict[str, ReadData]:
        """What stands behind each input that is no saved dataset; left out if it has changed since the expansion."""
        told = {
            port.name: self._listing(port.name).read
            for port in self.job.step.inputs
            if not self.job.inputs[port.name].dataset_id
        }
        if self.job.children is None:
            return told
        before = self.job.children.expanded.read
        return {name: read for name, read in told.items() if before.get(name) == read}

    def stored(self, expansion: Expansion) -> StoredExpansion:
        """Put the definition where the service looks for it. Raises InvalidStep, StorageFailed."""
        check(expansion, self.job)
        document = definitions.encode(expansion.definition)
        address = definitions.address(document)
        try:
            self.store.put(self.settings.container, f"definitions/{address}.json", document)
        except StoreFailed as error:
            raise StorageFailed(f"The pipeline that the step becomes could not be stored: {error}") from error
        return StoredExpansion(
            definition=address,
            steps=len(expansion.definition.steps),
            parameters=dict(expansion.parameters),
            window=expansion.window,
            keep_going=expansion.keep_going,
            seconds=expansion.seconds,
            join=dict(expansion.join),
        )

    def _listing(self, name: str) -> _Listing:
        if name not in self._listings:
            self._listings[name] = self._list(name, self.job.inputs[name])
        return self._listings[name]

    def _list(self, name: str, data: InputData) -> _Listing:
        if data.dataset_id:
            return self._dataset(name, data)
        container = container_of(self.settings.datastores, data.datastore)
        if data.files is not None:
            return _committed(container, data, data.files)
        try:
            return self._stored_files(container, data)
        except BlobMissing as error:
            raise InputMissing(f"The container {container!r} of datastore {data.datastore!r} is missing.") from error
        except StoreFailed as error:
            raise StorageFailed(f"Input {name!r} could not be listed: {error}") from error

    def _dataset(self, name: str, data: InputData) -> _Listing:
        if data.dataset is None or data.dataset.type != "file":
            raise InvalidStep(f"Input {name!r} is no dataset of files, so its files cannot be told apart.")
        access = StoreAccess(
            store=self.store,
            pool=self.pool,
            datastores=self.settings.datastores,
            scratch=self.scratch,
            stop=self.stop,
            web_bytes=self.settings.web_bytes,
        )
        with Reading(access) as reading:
            found = list(files(data.dataset, reading))
        tally, entries = Tally(), []
        for leaf in found:
            size = leaf.size if leaf.size is not None else (leaf.blob.size if leaf.blob else None)
            tally.add(leaf.path, size, leaf.blob.etag if leaf.blob else "")
            entries.append(Entry(leaf.path, size or 0))
        kept = (entry for entry in entries if not data.only or entry.path in data.only)
        return _Listing(container="", names={}, entries=tuple(sorted(kept)), read=tally.read())

    def _stored_files(self, container: str, data: InputData) -> _Listing:
        place = data.path.strip("/")
        prefix = f"{place}/" if place else ""
        found = None if not place or data.path.endswith("/") else self.store.find(container, data.path)
        if found is not None:
            blobs = {"": found}
        else:
            listed = (blob for blob in self.store.list(container, prefix) if not blob.name.endswith("/"))
            blobs = {blob.name.removeprefix(prefix): blob for blob in listed}
            if data.only:
                blobs = {path: blobs[path] for path in data.only if path in blobs}
        tally = Tally()
        for blob in blobs.values():
            tally.add(f"{data.datastore}/{blob.name}", blob.size, blob.etag)
        return _Listing(
            container=container,
            names={path: blob.name for path, blob in blobs.items()},
            entries=tuple(Entry(path, blobs[path].size) for path in sorted(blobs)),
            read=tally.read(),
        )


def _committed(container: str, data: InputData, files: Iterable[File]) -> _Listing:
    tally, names, entries = Tally(), {}, []
    for file in files:
        tally.add(file.path, file.size, file.sha256)
        names[file.path] = file.name_below(data.path)
        entries.append(Entry(file.path, file.size))
    return _Listing(container=container, names=names, entries=tuple(sorted(entries)), read=tally.read())


def check(expansion: Expansion, job: Job) -> None:
    """Raises InvalidStep for a pipeline that cannot run. Computes and datastores were looked at with the template."""
    definition = expansion.definition
    problems = validate(
        definition,
        computes={step.compute for _, step in definitions.all_steps(definition)},
        datastores=definitions.datastores_of(definition),
        parent=job.step,
    )
    errors = [problem for problem in problems if problem.severity == "error"]
    missing = {parameter.name for parameter in definition.parameters} - expansion.parameters.keys()
    if errors:
        raise InvalidStep(f"The step becomes a pipeline that cannot run: {errors[0].field}: {errors[0].message}")
    if missing:
        raise InvalidStep(f"The step becomes a pipeline without a value for its parameter {min(missing)!r}.")


def check_completed(children: Children) -> None:
    """Raises ChildFailed, with the words of the first step that failed, unless all steps have succeeded."""
    if children.status is RunStatus.COMPLETED:
        return
    if children.status is RunStatus.CANCELED:
        why = "took longer than it may, and was canceled" if children.timed_out else "was canceled"
        raise ChildFailed(f"The run {children.run}, which this step became, {why}.")
    failed = [child for child in children.steps if child.result.error is not None]
    first = failed[0]
    assert first.result.error is not None
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    raise ChildFailed(
        f"In the run {children.run}, which this step became, step {first.id}{more} failed: {first.result.error.message}"
    )
