"""Registered models: names with versions 1, 2, 3 ..., each made by a step of a run, its files where the step left them.

Registering is safe to repeat: a registration is known by run, step and position in the step's result.

    m|<name>                          the latest version of a name
    v|<name>|<99999999 - version>     a version, latest first; its document lies in a blob named by content
    r|<run>|<step>|<position>         which version a registration became
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core.errors import InvalidRequest, Unavailable, UnknownThing
from orchestrator.core.message import Delivery, StepMessage
from orchestrator.core.names import MODEL, shown
from orchestrator.core.result import File, ModelRegistration, StepResult
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import decode_result, load_plan
from orchestrator.engine.rows import RUNS, claim_key, read_claim
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
    WriteBlob,
)

KIND = "model"
_TRIES = 20
_MOST_VERSIONS = 99_999_999


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
    """Which step of which run registers."""

    run: str
    step: str


def register_results(memory: ProcessMemory, message: StepMessage, delivery: Delivery) -> Task[tuple[Model, ...]]:
    """Register what the step of a delivered message asked for in its committed result.

    A step just committed by this process is remembered; for a message that came back storage is asked, so that a crash
    between commit and registration loses nothing.
    """
    result = memory.results.get((message.run, message.position))
    if result is None and delivery.count > 1:
        row = yield from Get(table=RUNS, pk=message.run, rk=claim_key(message.position))
        if row is not None and read_claim(row).state.final:
            result = yield from decode_result(read_claim(row))
    if result is None or result.error is not None or not result.models:
        return ()
    plan = yield from load_plan(memory, message.definition)
    return (yield from register(Origin(run=message.run, step=plan.step(message.position).id), result))


def register(origin: Origin, result: StepResult) -> Task[tuple[Model, ...]]:
    """The models of a committed result, each as the next version of its name, or as registered before."""
    models: list[Model] = []
    for position, wish in enumerate(result.models):
        if MODEL.allows(wish.name):
            models.append((yield from _register(origin, position, wish, result)))
    return tuple(models)


def _register(origin: Origin, position: int, wish: ModelRegistration, result: StepResult) -> Task[Model]:
    key = f"r|{origin.run}|{origin.step}|{position:04d}"
    now = yield from Now()
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        before = yield from Get(table=CATALOG, pk=KIND, rk=key)
        if before is not None:
            return (yield from get(wish.name, int(before.props["version"])))
        latest = yield from Get(table=CATALOG, pk=KIND, rk=f"m|{wish.name}")
        version = int(latest.props["latest"]) + 1 if latest else 1
        model = _model(origin, wish, result, version, now)
        try:
            yield from _insert(key, model, latest)
        except (Refused, Unanswered):
            continue
        return model
    raise Unavailable(f"The model {wish.name} is registered too often at once. Try again.")


def _insert(key: str, model: Model, latest: Row | None) -> Task[None]:
    document = msgspec.json.encode(model)
    blob = f"models/{hashlib.sha256(document).hexdigest()}.json"
    yield from WriteBlob(name=blob, data=document)
    props: Props = {"v": VERSION, "latest": model.version}
    head = (
        Merge(rk=f"m|{model.name}", props=props, etag=latest.etag)
        if latest
        else Insert(rk=f"m|{model.name}", props=props)
    )
    row: Props = {"v": VERSION, "name": model.name, "version": model.version, "blob": blob}
    writes = (
        head,
        Insert(rk=version_key(model.name, model.version), props=row),
        Insert(rk=key, props={"v": VERSION, "version": model.version}),
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
        run_id=origin.run,
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
