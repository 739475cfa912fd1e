"""Telling by content what lies behind a step's inputs, and whether what was made before is still there.

Nothing is guessed: data whose version cannot be told without reading it is unknown, and a step that takes it runs.
"""

from __future__ import annotations

import io
import sys
import urllib.error
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from orchestrator.core import dataset as ds
from orchestrator.core.dataset_filter import FileValue, operands
from orchestrator.core.definition import Input
from orchestrator.core.errors import MillstreamError, Unavailable
from orchestrator.core.fingerprint import Content, digest_of, few
from orchestrator.core.job import InputData
from orchestrator.core.result import OutputData
from orchestrator.datasets.access import Blob
from orchestrator.datasets.web import version_of
from orchestrator.engine.identify import Absent, Identified, Identify, Made, ReadText
from steps.brought import Tally
from steps.dataset_access import StoreAccess
from steps.dataset_inputs import blobs_of
from steps.datastores import Datastores, container_of
from steps.failures import InvalidStep, StepFailure, StorageFailed
from steps.installed import environment_name
from steps.settings import WorkerSettings
from steps.step_environment import identity
from steps.stop import Stop
from steps.store import BlobMissing, Listed, Store, StoreFailed
from steps.transfer import Pool

_SPARE = 5000
"""Blobs beside those wanted that a listing may come upon before it is given up for a narrower one: a page."""


class _Unknown(Exception):
    """The text says why a content cannot be told."""


class Registry(Protocol):
    """A world: see `orchestrator.adapters.driver.World`."""

    def register(self, kind: type[Any], interpreter: Callable[[Any], Any]) -> None: ...


@dataclass(frozen=True)
class Identifier:
    """Interprets `Identify` and `Absent`. Thread-safe."""

    store: Store
    pool: Pool
    settings: WorkerSettings
    scratch: Path

    def install(self, world: Registry) -> None:
        """Have `world` carry out the effects of `orchestrator.engine.identify`."""
        world.register(Identify, self.identify)
        world.register(Absent, self.absent)
        world.register(ReadText, self.read_text)

    def identify(self, effect: Identify) -> Identified:
        """Never fails: what cannot be reached is unknown, and the step finds out why."""
        ports = {port.name: port for port in effect.step.inputs}
        contents = {name: self._content(ports[name], data) for name, data in effect.inputs.items()}
        try:
            environment, packages = identity(effect.step, self._environment)
        except InvalidStep:
            # The attempt says what is wrong with it.
            environment, packages = self._environment, ()
        return Identified(contents=contents, environment=environment, packages=packages)

    def absent(self, effect: Absent) -> tuple[str, ...]:
        """Raises Unavailable."""
        try:
            return Present(self.store, self.settings.datastores).missing(effect.made)
        except (StoreFailed, StorageFailed) as error:
            raise Unavailable(f"What was made before could not be looked up: {error}") from error

    def read_text(self, effect: ReadText) -> str | None:
        """Raises Unavailable."""
        files = effect.output.files
        file = next((it for it in files if it.path == effect.path), None)
        if file is None and len(files) == 1 and not effect.path:
            file = files[0]
        if file is None or file.size > effect.limit:
            return None
        sink = io.BytesIO()
        try:
            container = container_of(self.settings.datastores, effect.output.datastore)
            self.store.download(container, file.name_below(effect.output.prefix), sink)
            return sink.getvalue().decode("utf-8")
        except (BlobMissing, InvalidStep, UnicodeDecodeError):
            return None
        except (StoreFailed, StorageFailed) as error:
            raise Unavailable(f"What a condition asks for could not be read: {error}") from error

    @cached_property
    def _environment(self) -> str:
        # Scripts run with the worker's own interpreter, unless they ask for another environment.
        return environment_name([*sys.path, *self.settings.python_path])

    def _content(self, port: Input, data: InputData) -> Content:
        try:
            return self._dataset(port, data) if data.dataset_id else self._reference(data)
        except _Unknown as reason:
            return Content(unknown=str(reason))
        except (MillstreamError, StepFailure) as error:
            return Content(unknown=f"its content cannot be told: {error}")
        except StoreFailed as error:
            return Content(unknown=f"it could not be listed: {error}")

    def _reference(self, data: InputData) -> Content:
        """A file, or whatever lies below a folder: as `steps.inputs` takes it."""
        container = container_of(self.settings.datastores, data.datastore)
        name = data.path.strip("/")
        can_be_file = bool(name) and not data.path.endswith("/")
        found = self.store.find(container, data.path) if can_be_file else None
        blobs: Iterable[Listed] = [found] if found is not None else self._below(container, name)
        if data.only and found is None:
            wanted = {f"{name}/{only}" if name else only for only in data.only}
            blobs = [blob for blob in blobs if blob.name in wanted]
        return _identified(
            [data.datastore, data.path, found is not None], ((f"{data.datastore}/{blob.name}", blob) for blob in blobs)
        )

    def _below(self, container: str, name: str) -> Iterator[Listed]:
        try:
            yield from (
                blob for blob in self.store.list(container, f"{name}/" if name else "") if not blob.name.endswith("/")
            )
        except BlobMissing:
            return

    def _dataset(self, port: Input, data: InputData) -> Content:
        document = data.dataset
        if document is None:
            raise _Unknown("the dataset is not there")
        if any(isinstance(operation, ds.TimeRecent) for operation in document.operations):
            raise _Unknown("what is recent changes by itself")
        if any(isinstance(source, ds.SqlQuery) for source in document.sources):
            raise _Unknown("what a query gives cannot be told without asking it")
        access = StoreAccess(
            store=self.store,
            pool=self.pool,
            datastores=self.settings.datastores,
            scratch=self.scratch,
            stop=Stop(),
            web_bytes=self.settings.web_bytes,
        )
        blobs = list(dict.fromkeys(blobs_of(document, access)))
        listed = ((f"{blob.datastore or ''}/{blob.path}", _listed(blob)) for blob in blobs)
        content = _identified([data.dataset_id, *data.only], listed, dated=_asks_for_dates(document))
        told = port.mode == "direct" and all(blob.datastore for blob in blobs)
        # What an attempt reads of the dataset is otherwise not told in the same terms: it is looked at again then.
        return content if told else Content(digest=content.digest, names=content.names, volatile=True)


def _identified(what: list[object], blobs: Iterable[tuple[str, Listed]], *, dated: bool = False) -> Content:
    """The content of files, by checksum where storage keeps one, else (and if dates count) by etag."""
    tally, names = Tally(), {}
    for name, blob in blobs:
        tally.add(name, blob.size, blob.etag)
        names[name] = f"{blob.size} {blob.etag if dated else blob.checksum or blob.etag}"
    sums = {name: digest_of(identity) for name, identity in names.items()}
    return Content(digest=digest_of([what, sorted(names.items())]), names=few(sums), read=tally.read().fingerprint)


def _listed(blob: Blob) -> Listed:
    if blob.datastore is not None:
        return Listed(blob.path, blob.size or 0, blob.etag, blob.modified, blob.checksum)
    try:
        version = version_of(blob.path)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise _Unknown(f"its server cannot be asked: {error}") from error
    if not version:
        raise _Unknown("its server tells neither an ETag nor a date")
    return Listed(blob.path, 0, version)


def _asks_for_dates(document: ds.DatasetDocument) -> bool:
    """Whether it chooses files by what storage says of them, which a rewrite with the same bytes changes."""
    filters = [operation for operation in document.operations if isinstance(operation, ds.Filter)]
    return any(isinstance(operand, FileValue) for it in filters for operand in operands(it.condition))


@dataclass(frozen=True, slots=True)
class Present:
    """Looks whether committed outputs are there as they were committed, with as few listings as will do."""

    store: Store
    datastores: Datastores

    def missing(self, made: tuple[Made, ...]) -> tuple[str, ...]:
        """For each, the first thing that is gone; "": nothing. Raises StoreFailed."""
        sizes = self._sizes([output for it in made for output in it.outputs.values()])
        return tuple(next(self._gone(it, sizes), "") for it in made)

    def _gone(self, made: Made, sizes: Mapping[tuple[str, str], int]) -> Iterator[str]:
        for port, output in made.outputs.items():
            if output.in_place:
                yield from self._in_place(port, output)
                continue
            for file in output.files:
                name = file.name_below(output.prefix)
                if sizes.get((output.datastore, name)) != file.size:
                    yield f"{output.datastore}/{name}"
            yield from self._copies(port, made.owner, output)

    def _in_place(self, port: str, output: OutputData) -> Iterator[str]:
        """What lies at a place of a user's may be another's by now, or may have changed."""
        wanted = {f"{output.prefix}/{it.path}" if it.path else output.prefix: it for it in output.files}
        there = {blob.name: blob for blob in self._list(output.datastore, output.prefix, owners=True)}
        for name, file in wanted.items():
            blob = there.get(name)
            if blob is None or (blob.size, blob.source) != (file.size, file.version):
                yield f"{output.datastore}/{name}, to which output {port} was copied"

    def _copies(self, port: str, owner: str, output: OutputData) -> Iterator[str]:
        """Copies at a destination may have been replaced by another run since."""
        if not output.destination:
            return
        listed = self._list(output.datastore, output.destination, owners=True)
        owners = {blob.name: (blob.size, blob.owner) for blob in listed}
        for file in output.files:
            name = f"{output.destination}/{file.path}" if file.path else output.destination
            if owners.get(name) != (file.size, owner):
                yield f"{output.datastore}/{name}, the copy of output {port}"

    def _sizes(self, outputs: list[OutputData]) -> dict[tuple[str, str], int]:
        """(datastore, blob name) -> size, of all that is found where the outputs lie."""
        groups: dict[tuple[str, str], list[OutputData]] = defaultdict(list)
        adopted: dict[tuple[str, str], None] = {}
        for output in outputs:
            if output.in_place:
                continue
            for file in output.files:
                if file.blob:
                    adopted[output.datastore, "/".join(file.blob.split("/")[:2])] = None
            if any(not file.blob for file in output.files):
                groups[output.datastore, "/".join(output.prefix.split("/")[:2])].append(output)
        sizes: dict[tuple[str, str], int] = {}
        for datastore, run in adopted:
            sizes.update({(datastore, blob.name): blob.size for blob in self._list(datastore, f"{run}/")})
        for (datastore, run), members in groups.items():
            prefixes = [f"{run}/"] if len(members) > 1 else [members[0].prefix]
            wanted = sum(len(output.files) for output in members)
            found = list(islice(self._each(datastore, prefixes), wanted + _SPARE))
            if len(members) > 1 and len(found) == wanted + _SPARE:
                found = list(self._each(datastore, [output.prefix for output in members]))
            sizes.update({(datastore, blob.name): blob.size for blob in found})
        return sizes

    def _each(self, datastore: str, prefixes: list[str]) -> Iterator[Listed]:
        for prefix in prefixes:
            yield from self._list(datastore, prefix)

    def _list(self, datastore: str, prefix: str, *, owners: bool = False) -> Iterator[Listed]:
        """Of a container or datastore that is not there any more, nothing."""
        try:
            yield from self.store.list(container_of(self.datastores, datastore), prefix, owners=owners)
        except (BlobMissing, InvalidStep):
            return
