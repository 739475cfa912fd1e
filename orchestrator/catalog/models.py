"""Registered models: names with versions 1, 2, 3 ..., each made by a step of a run, its files where the step left them.

A registration is known by run, step, and its position among those of the step, so it makes one version however often
it is repeated. A later attempt of the step puts its own files in place of an earlier one's, never the other way round;
the last attempt is the one that the run keeps.

    m|<name>                                  the latest version of a name
    v|<name>|<99999999 - version>             a version, latest first; its document lies in a blob named by content
    r|<run>|<step>|<position>|<name>[|<request>]   which version a registration became, and by which attempt
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core.errors import InvalidRequest, Unavailable, UnknownThing
from orchestrator.core.job import Job
from orchestrator.core.names import MODEL, shown
from orchestrator.core.result import File, ModelRegistration, StepResult
from orchestrator.engine.lease import Lease, Perform, Performed
from orchestrator.pages import Page, read_page
from orchestrator.ports import (
    Commit,
    Get,
    Insert,
    Merge,
    Now,
    Pause,
    Props,
    ReadBlob,
    Refused,
    Row,
    Task,
    Unanswered,
    Upsert,
    Write,
    WriteBlob,
)

KIND = "model"
_TRIES = 20
_MOST_VERSIONS = 99_999_999


class Runner(Protocol):
    """A world: see `orchestrator.adapters.driver.World`."""

    def run(self, task: Task[Any]) -> Any: ...


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model. The blobs of `files` are `prefix + "/" + file.path` in the system container."""

    name: str
    version: int
    run_id: str
    step_id: str
    path: str
    created_at: float
    prefix: str = ""
    files: tuple[File, ...] = ()
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    description: str = ""
    framework: str | None = None
    framework_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which attempt (from 1) of which step of which run registers. Without a step, `run` is a request's own name.

    `request` tells registrations apart that were asked for from outside, after the step had ended.
    """

    run: str
    step: str
    attempt: int
    request: str = ""

    def key(self, position: int, name: str) -> str:
        """The row that says which version a registration became."""
        own = f"|{self.request}" if self.request else ""
        return f"r|{self.run}|{self.step}|{position:04d}|{name}{own}"


def registering(world: Runner, perform: Callable[[Job, Lease], Performed]) -> Callable[[Perform], Any]:
    """The interpreter of Perform that executes with `perform` and registers the models asked for.

    It does so before the step is committed, so that whoever sees the step Completed finds its models.
    """

    def interpret(effect: Perform) -> Performed:
        result = perform(effect.job, effect.lease)
        if isinstance(result, StepResult) and result.error is None and result.models:
            job = effect.job
            world.run(register(Origin(run=job.run, step=job.step.id, attempt=job.attempt), result))
        return result

    return interpret


def register(origin: Origin, result: StepResult) -> Task[tuple[Model, ...]]:
    """The models of a result, each as the next version of its name, or as the version it was registered as before."""
    models: list[Model] = []
    for position, wish in enumerate(result.models):
        if MODEL.allows(wish.name):
            model = yield from _register(origin, position, wish, result)
            models.append(model)
    return tuple(models)


def _register(origin: Origin, position: int, wish: ModelRegistration, result: StepResult) -> Task[Model]:
    key = origin.key(position, wish.name)
    now = yield from Now()
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        before = yield from Get(table=CATALOG, pk=KIND, rk=key)
        if before is not None and int(before.props["attempt"]) >= origin.attempt:
            return (yield from get(wish.name, int(before.props["version"])))
        latest = yield from Get(table=CATALOG, pk=KIND, rk=f"m|{wish.name}")
        version = int(before.props["version"]) if before else int(latest.props["latest"]) + 1 if latest else 1
        model = _model(origin, wish, result, version, now)
        try:
            yield from _write(key, model, origin.attempt, before, latest)
        except (Refused, Unanswered):
            continue
        return model
    raise Unavailable(f"The model {wish.name} is registered too often at once. Try again.")


def _write(key: str, model: Model, attempt: int, before: Row | None, latest: Row | None) -> Task[None]:
    """Make the version, or, where an earlier attempt made it, give it this attempt's files."""
    document = msgspec.json.encode(model)
    blob = f"models/{hashlib.sha256(document).hexdigest()}.json"
    yield from WriteBlob(name=blob, data=document)
    head: Props = {"v": VERSION, "latest": model.version}
    row: Props = {"v": VERSION, "name": model.name, "version": model.version, "blob": blob}
    registration: Props = {"v": VERSION, "version": model.version, "attempt": attempt}
    name, version = f"m|{model.name}", version_key(model.name, model.version)
    writes: tuple[Write, ...]
    if before is not None:
        writes = (Merge(rk=key, props=registration, etag=before.etag), Upsert(rk=version, props=row))
    else:
        writes = (
            Merge(rk=name, props=head, etag=latest.etag) if latest else Insert(rk=name, props=head),
            Insert(rk=version, props=row),
            Insert(rk=key, props=registration),
        )
    yield from Commit(table=CATALOG, pk=KIND, writes=writes)


def version_key(name: str, version: int) -> str:
    return f"v|{name}|{_MOST_VERSIONS - version:08d}"


def _model(origin: Origin, wish: ModelRegistration, result: StepResult, version: int, now: float) -> Model:
    path = re.sub(r"^(\./)+", "", wish.path).rstrip("/")
    files = tuple(file for file in result.artifacts if file.path == path or file.path.startswith(f"{path}/"))
    return Model(
        name=wish.name,
        version=version,
        run_id=origin.run if origin.step else "",
        step_id=origin.step,
        path=path,
        created_at=now,
        prefix=result.artifact_prefix,
        files=files,
        tags=wish.tags,
        properties=wish.properties,
        description=wish.description,
        framework=wish.framework,
        framework_version=wish.framework_version,
    )


def get(name: str, version: int | None = None) -> Task[Model]:
    """A version of a model, by default the latest. Raises UnknownThing."""
    if not MODEL.allows(name):
        raise UnknownThing(f"There is no model {shown(name)}.", field="name")
    if version is None:
        latest = yield from Get(table=CATALOG, pk=KIND, rk=f"m|{name}")
        if latest is None:
            raise UnknownThing(f"There is no model {shown(name)}. GET /api/models lists what there is.", field="name")
        version = int(latest.props["latest"])
    if not 1 <= version <= _MOST_VERSIONS:
        raise UnknownThing("Versions of models begin at 1.", field="version")
    row = yield from Get(table=CATALOG, pk=KIND, rk=version_key(name, version))
    if row is None:
        raise UnknownThing(f"The model {shown(name)} has no version {version}.", field="version")
    return (yield from _document(row))


def listing(*, name: str | None, limit: int, continuation: str | None) -> Task[Page[Model]]:
    """All versions of all models, by name, latest first; or those of one name."""
    if name is not None and not MODEL.allows(name):
        raise InvalidRequest(f"{shown(name)} cannot be the name of a model.", field="name")
    rows = span(KIND, "v|" if name is None else f"v|{name}|")
    page = yield from read_page(rows, limit=limit, continuation=continuation, decode=lambda row: row)
    models: list[Model] = []
    for row in page.items:
        model = yield from _document(row)
        models.append(model)
    return Page(tuple(models), page.continuation)


_decode = msgspec.json.Decoder(Model).decode


def _document(row: Row) -> Task[Model]:
    blob = str(row.props["blob"])
    document = yield from ReadBlob(name=blob)
    if document is None:
        raise UnknownThing(f"The document {blob} of the model {row.props['name']!r} is gone.", field="name")
    return _decode(document)
