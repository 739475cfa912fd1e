"""What is said of pipeline drafts over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.catalog.drafts import Draft
from orchestrator.core.definition import Definition, ParameterValue
from orchestrator.triggers.shapes import Continuation, ExperimentName, PageQuery, RunId, Source, Strict

Values = Annotated[dict[str, Any], Meta(description="Values for pipeline parameters: numbers, texts, true or false.")]


class DraftRequest(Strict, frozen=True, kw_only=True):
    """Exactly one of `definition`, and of `pipeline_id`, `run_id` and `draft_id`, of which the draft becomes a copy.

    `id` is a UUID of the caller's choice, which makes the request safe to repeat. What is not given is as in what is
    copied; the experiment of a pipeline's draft must be given.
    """

    id: str
    definition: Definition | None = None
    pipeline_id: str | None = None
    run_id: str | None = None
    draft_id: str | None = None
    name: str | None = None
    experiment_name: ExperimentName | None = None
    description: str | None = None
    parameters: Values = msgspec.field(default_factory=dict)
    continue_on_step_failure: bool | None = None
    tags: dict[str, str] | None = None
    properties: dict[str, str] | None = None


class DraftChanges(Strict, frozen=True, kw_only=True):
    """What is to be changed; null leaves it as it is. Parameters, tags and properties are replaced whole."""

    definition: Definition | None = None
    name: str | None = None
    experiment_name: ExperimentName | None = None
    description: str | None = None
    parameters: Annotated[dict[str, Any] | None, Meta(description="Values for pipeline parameters.")] = None
    continue_on_step_failure: bool | None = None
    tags: dict[str, str] | None = None
    properties: dict[str, str] | None = None


class DraftRunRequest(Strict, frozen=True, kw_only=True):
    run_id: RunId | None = None
    parent_run: Annotated[str, Meta(description="The id of the run of which this one is a child.")] = ""
    source: Source = "http"


class DraftPublication(Strict, frozen=True, kw_only=True):
    """`version` is free text."""

    version: str = ""


class DraftBody(msgspec.Struct, frozen=True, kw_only=True):
    """A draft. `created_at` in epoch seconds; `definition` if that was asked for.

    `pipeline_id`, `run_id`, `draft_id`: of what it was made a copy, null where of none.
    """

    id: str
    name: str
    experiment_name: str
    description: str
    parameters: dict[str, ParameterValue]
    continue_on_step_failure: bool
    tags: dict[str, str]
    properties: dict[str, str]
    created_at: float
    pipeline_id: str | None
    run_id: str | None
    draft_id: str | None
    last_run_id: str | None
    warnings: tuple[str, ...] = ()
    definition: Definition | None = None


class DraftList(msgspec.Struct, frozen=True, kw_only=True):
    drafts: tuple[DraftBody, ...]
    continuation: Continuation


class DraftQuery(Strict, frozen=True, kw_only=True):
    definition: Annotated[bool, Meta(description="Whether the answer includes the definition.")] = False


class DraftsQuery(PageQuery, frozen=True, kw_only=True):
    tag: Annotated[
        tuple[str, ...], Meta(description="NAME or NAME=VALUE: only drafts with this tag. Repeat it for several.")
    ] = ()


def body_of(draft: Draft, *, warnings: tuple[str, ...] = (), definition: Definition | None = None) -> DraftBody:
    return DraftBody(
        id=draft.id,
        name=draft.name,
        experiment_name=draft.experiment,
        description=draft.description,
        parameters=draft.parameters,
        continue_on_step_failure=draft.continue_on_step_failure,
        tags=draft.tags,
        properties=draft.properties,
        created_at=draft.created_at,
        pipeline_id=draft.pipeline_id or None,
        run_id=draft.run_id or None,
        draft_id=draft.draft_id or None,
        last_run_id=draft.last_run_id or None,
        warnings=warnings,
        definition=definition,
    )
