"""Published pipelines: a definition with a name, started again and again by its id.

The id is computed from what is published, so publishing the same twice finds the first one.

    p|<id>            the pipeline
    t|<time>|<id>     the same, newest first
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import msgspec

from orchestrator.catalog.rows import CATALOG, VERSION, newest_first, span
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition
from orchestrator.core.errors import TooLarge, Unavailable, UnknownThing
from orchestrator.core.names import PIPELINE_NAME
from orchestrator.engine.reading import definition_blob
from orchestrator.pages import Page, read_page
from orchestrator.ports import Commit, Get, Insert, Now, Props, Refused, Row, Task, Unanswered, WriteBlob

KIND = "pipeline"
LONGEST_TEXT = 4000
_NAMESPACE = uuid.UUID("5e1f3c5a-8f0b-5d6e-9a43-6d696c6c7374")


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A published pipeline. `definition` is the content address of its document; `published_at` in epoch seconds."""

    id: str
    name: str
    description: str
    version: str
    definition: str
    continue_on_step_failure: bool
    steps_total: int
    published_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What is to be published; an empty `name` stands for the definition's own."""

    definition: Definition
    name: str = ""
    description: str = ""
    version: str = ""
    continue_on_step_failure: bool = False


def publish(wish: Publication) -> Task[tuple[Pipeline, bool]]:
    """The published pipeline, and whether it was made by this call. The definition must have been checked."""
    name = PIPELINE_NAME.check(wish.name or wish.definition.name, "name")
    for field in ("description", "version"):
        if len(getattr(wish, field)) > LONGEST_TEXT:
            raise TooLarge(f"The {field} is longer than {LONGEST_TEXT:,} characters.", field=field)
    document = definitions.encode(wish.definition)
    address = definitions.address(document)
    now = yield from Now()
    pipeline = Pipeline(
        id=pipeline_id(name, wish.version, address, keep_going=wish.continue_on_step_failure),
        name=name,
        description=wish.description or wish.definition.description,
        version=wish.version,
        definition=address,
        continue_on_step_failure=wish.continue_on_step_failure,
        steps_total=len(wish.definition.steps),
        published_at=now,
    )
    # The document first: a row never refers to a definition that is not there.
    yield from WriteBlob(name=definition_blob(address), data=document)
    props: Props = {"v": VERSION, "pipeline": msgspec.json.encode(pipeline).decode()}
    writes = (
        Insert(rk=f"p|{pipeline.id}", props=props),
        Insert(rk=f"t|{newest_first(now, pipeline.id)}", props=props),
    )
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=writes)
    except (Refused, Unanswered):
        there = yield from find(pipeline.id)
        if there is None:
            raise Unavailable("Storage did not say whether the pipeline was published. Publish it again.") from None
        return there, there == pipeline
    return pipeline, True


def pipeline_id(name: str, version: str, address: str, *, keep_going: bool) -> str:
    """The id that exactly this publication has, always."""
    return str(uuid.uuid5(_NAMESPACE, msgspec.json.encode([name, version, address, keep_going]).decode()))


def find(wanted: str) -> Task[Pipeline | None]:
    """The pipeline with this id, or None."""
    if not _is_id(wanted):
        return None
    row = yield from Get(table=CATALOG, pk=KIND, rk=f"p|{wanted.lower()}")
    return None if row is None else _decode(row)


def get(wanted: str, field: str = "pipeline_id") -> Task[Pipeline]:
    """As `find`. Raises UnknownThing naming `field`."""
    found = yield from find(wanted)
    if found is None:
        raise UnknownThing(
            f"There is no published pipeline with the id {wanted[:80]!r}. GET /api/pipelines lists what there is.",
            field=field,
        )
    return found


def listing(*, name: str | None, limit: int, continuation: str | None) -> Task[Page[Pipeline]]:
    """Pipelines, newest first, of one name or all."""

    def wanted(row: Row) -> Pipeline | None:
        pipeline = _decode(row)
        return pipeline if name in (None, pipeline.name) else None

    return (yield from read_page(span(KIND, "t|"), limit=limit, continuation=continuation, decode=wanted))


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


_decoder = msgspec.json.Decoder(Pipeline)


def _decode(row: Row) -> Pipeline:
    return _decoder.decode(str(row.props["pipeline"]))
