"""Pipeline drafts: a definition with everything that a run of it would be given, kept to be changed and tried.

A draft has its id from whoever makes it, so that making it may be repeated. The rows are those of
`orchestrator.catalog.records`, with the letter d.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from orchestrator.catalog.records import Records, is_id
from orchestrator.catalog.rows import CATALOG
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, ParameterValue
from orchestrator.core.errors import Conflict, InvalidRequest, TooLarge, Unavailable
from orchestrator.core.names import EXPERIMENT, PIPELINE_NAME
from orchestrator.core.parameters import resolve_parameters
from orchestrator.engine.reading import definition_blob
from orchestrator.pages import Page
from orchestrator.ports import Commit, Now, Refused, Task, Unanswered, WriteBlob

KIND = "draft"
LARGEST = 24_000
"""Characters of a draft without its definition: it is one property of a row."""


class Draft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`definition` is the content address of a document. `created_at` in epoch seconds.

    `parameters` are values for some of its parameters. `pipeline_id`, `run_id`, `draft_id`: what it was made of.
    """

    id: str
    name: str
    experiment: str
    definition: str
    created_at: float
    description: str = ""
    parameters: dict[str, ParameterValue] = {}
    continue_on_step_failure: bool = False
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    pipeline_id: str = ""
    run_id: str = ""
    draft_id: str = ""
    last_run_id: str = ""


def create(draft: Draft, definition: Definition) -> Task[tuple[Draft, bool]]:
    """The draft, and whether it was made by this call. The definition must have been checked.

    Its address and the time of the draft are set here. Raises InvalidRequest, TooLarge, and Conflict if the id is that
    of another draft.
    """
    if not is_id(draft.id):
        raise InvalidRequest("The id of a draft is a UUID.", field="id")
    now = yield from Now()
    address = yield from keep(definition)
    made = msgspec.structs.replace(draft, id=draft.id.lower(), definition=address, created_at=now)
    _check(made, definition)
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=_RECORDS.inserts(made))
    except (Refused, Unanswered):
        there = yield from _RECORDS.find(made.id)
        if there is None:
            raise Unavailable("Storage did not say whether the draft was made. Send the request again.") from None
        if msgspec.structs.replace(there, created_at=now, last_run_id="") != made:
            raise Conflict(f"There is another draft with the id {made.id}. Use another id.", field="id") from None
        return there, there.created_at == now
    return made, True


def keep(definition: Definition) -> Task[str]:
    """Store the document; its address."""
    document = definitions.encode(definition)
    address = definitions.address(document)
    yield from WriteBlob(name=definition_blob(address), data=document)
    return address


def get(wanted: str) -> Task[Draft]:
    """Raises UnknownThing."""
    return (yield from _RECORDS.get(wanted, "draft_id"))


def change(wanted: str, changes: Mapping[str, Any], definition: Definition | None = None) -> Task[Draft]:
    """Set these fields of the draft; `definition`: of the draft as it will be, where that is to be checked.

    Raises UnknownThing, InvalidRequest, TooLarge.
    """

    def altered(there: Draft) -> Draft:
        changed = msgspec.structs.replace(there, **changes)
        if definition is not None:
            _check(changed, definition)
        return changed

    return (yield from _RECORDS.change(wanted, altered, "draft_id"))


def remove(wanted: str) -> Task[Draft]:
    """Its runs, and what was published of it, stay. Raises UnknownThing."""
    return (yield from _RECORDS.remove(wanted, "draft_id"))


def listing(*, tags: Mapping[str, str | None], limit: int, continuation: str | None) -> Task[Page[Draft]]:
    """Newest first, those that have all of these tags; None: whatever the value."""

    def wanted(draft: Draft) -> bool:
        return all(name in draft.tags and value in (None, draft.tags[name]) for name, value in tags.items())

    return (yield from _RECORDS.listing(wanted, limit=limit, continuation=continuation))


def _check(draft: Draft, definition: Definition) -> None:
    PIPELINE_NAME.check(draft.name, "name")
    EXPERIMENT.check(draft.experiment, "experiment_name")
    resolve_parameters(definition, draft.parameters)
    if len(msgspec.json.encode(draft)) > LARGEST:
        raise TooLarge(f"What the draft is given has more than {LARGEST:,} bytes.", field="parameters")


_RECORDS = Records(
    kind=KIND,
    letter="d",
    type=Draft,
    identity=lambda draft: draft.id,
    made_at=lambda draft: draft.created_at,
    noun="pipeline draft",
    where="drafts",
)
