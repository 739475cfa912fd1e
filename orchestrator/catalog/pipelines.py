"""Published pipelines: a definition with a name, started again and again by its id.

The id is computed from what is published, so publishing the same twice finds the first one. The rows are those of
`orchestrator.catalog.records`, with the letter p.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.catalog.records import Records
from orchestrator.catalog.rows import CATALOG
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable
from orchestrator.core.names import PIPELINE_NAME, shown
from orchestrator.engine.reading import definition_blob
from orchestrator.pages import Page
from orchestrator.ports import Commit, Now, Refused, Task, Unanswered, WriteBlob

KIND = "pipeline"
ACTIVE, DISABLED = "Active", "Disabled"
STATUSES: Final = (ACTIVE, DISABLED)
LONGEST_TEXT = 4000
_NAMESPACE = uuid.UUID("5e1f3c5a-8f0b-5d6e-9a43-6d696c6c7374")


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A published pipeline. `definition` is the content address of its document; `published_at` in epoch seconds.

    `status` "Active" or "Disabled": a disabled one starts no runs.
    """

    id: str
    name: str
    description: str
    version: str
    definition: str
    continue_on_step_failure: bool
    steps_total: int
    published_at: float
    status: str = ACTIVE


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
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=_RECORDS.inserts(pipeline))
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
    return (yield from _RECORDS.find(wanted))


def get(wanted: str, field: str = "pipeline_id") -> Task[Pipeline]:
    """As `find`. Raises UnknownThing naming `field`."""
    return (yield from _RECORDS.get(wanted, field))


def set_status(wanted: str, status: str) -> Task[Pipeline]:
    """Let it start runs, or no more. Raises UnknownThing, InvalidRequest."""
    if status not in STATUSES:
        raise InvalidRequest(f"{shown(status)} is no status. There is: {', '.join(STATUSES)}.", field="status")
    return (
        yield from _RECORDS.change(wanted, lambda there: msgspec.structs.replace(there, status=status), "pipeline_id")
    )


def check_active(pipeline: Pipeline, field: str = "pipeline_id") -> None:
    """Raises Conflict if the pipeline is to start no runs."""
    if pipeline.status != ACTIVE:
        raise Conflict(
            f"The published pipeline {shown(pipeline.name)} ({pipeline.id}) is {pipeline.status}, and starts no runs. "
            "Enable it, or use another one.",
            field=field,
        )


def listing(
    *, name: str | None, limit: int, continuation: str | None, active_only: bool = False
) -> Task[Page[Pipeline]]:
    """Pipelines, newest first, of one name or all."""

    def wanted(pipeline: Pipeline) -> bool:
        return name in (None, pipeline.name) and (pipeline.status == ACTIVE or not active_only)

    return (yield from _RECORDS.listing(wanted, limit=limit, continuation=continuation))


_RECORDS = Records(
    kind=KIND,
    letter="p",
    type=Pipeline,
    identity=lambda pipeline: pipeline.id,
    made_at=lambda pipeline: pipeline.published_at,
    noun="published pipeline",
    where="pipelines",
)
