"""Pipeline drafts: a pipeline with what its runs are given, kept in the service to be changed and tried."""

from __future__ import annotations

import builtins
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import submission
from millstream.arguments import refuse_unknown
from millstream.explained import Explained
from millstream.parameter import value_of
from millstream.pipeline import Pipeline
from millstream.pipeline_run import PipelineRun
from millstream.published import PublishedPipeline, say_published
from millstream.views import DraftView
from millstream.workspace import Workspace
from orchestrator.core.definition import Definition, encode

if TYPE_CHECKING:
    from collections.abc import Iterable


class PipelineDraft(Explained):
    """A draft. What it tells of itself is what the service said last."""

    def __init__(self, workspace: Workspace, view: DraftView) -> None:
        self.workspace = workspace
        self._view = view

    @staticmethod
    def create(
        workspace: Workspace,
        pipeline: Pipeline | PublishedPipeline | PipelineRun | PipelineDraft,
        name: str | None = None,
        description: str | None = None,
        experiment_name: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        continue_on_step_failure: bool | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> PipelineDraft:
        """Of a pipeline, whose sources are uploaded, or a copy of a published pipeline, a run or another draft.

        What is not given is as in what is copied; the experiment is called after the draft, if nothing is known of one.
        """
        refuse_unknown(PipelineDraft.create, unknown)
        wish: dict[str, Any] = _changes(name, description, experiment_name, continue_on_step_failure, tags, properties)
        wish["id"] = str(uuid.uuid4())
        wish["parameters"] = _values(workspace, pipeline_parameters)
        wish |= _original(pipeline, name)
        if isinstance(pipeline, Pipeline | PublishedPipeline) and experiment_name is None:
            known = pipeline.name if isinstance(pipeline, PublishedPipeline) else "drafts"
            wish["experiment_name"] = _experiment(name or known)
        return _noted(PipelineDraft(workspace, workspace.api.create_draft(wish)))

    @staticmethod
    def get(workspace: Workspace, id: str) -> PipelineDraft:
        """The draft with this id. Raises UnknownThing."""
        return PipelineDraft(workspace, workspace.api.draft(id))

    @staticmethod
    def list(
        workspace: Workspace, tags: str | Mapping[str, Any] | Iterable[str] | None = None
    ) -> builtins.list[PipelineDraft]:
        """Newest first; with `tags`, names or names with values, only those that have all of them."""
        wanted = [tags] if isinstance(tags, str) else tags or ()
        if isinstance(wanted, Mapping):
            wanted = [name if value is None else f"{name}={value}" for name, value in wanted.items()]
        return [PipelineDraft(workspace, view) for view in workspace.api.drafts(builtins.list(wanted))]

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def description(self) -> str:
        return self._view.description

    @property
    def experiment_name(self) -> str:
        return self._view.experiment_name

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that differ from the pipeline's defaults, or were given all the same."""
        return dict(self._view.parameters)

    @property
    def continue_on_step_failure(self) -> bool:
        return self._view.continue_on_step_failure

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._view.tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._view.properties)

    @property
    def parent_pipeline_id(self) -> str | None:
        """The published pipeline that it is a copy of."""
        return self._view.pipeline_id

    @property
    def parent_pipeline_run_id(self) -> str | None:
        """The run that it is a copy of."""
        return self._view.run_id

    @property
    def parent_pipeline_draft_id(self) -> str | None:
        """The draft that it is a copy of."""
        return self._view.draft_id

    @property
    def last_submitted_pipeline_run_id(self) -> str | None:
        return self._view.last_run_id

    def get_graph(self) -> Definition:
        """What it runs, as the service keeps it."""
        definition = self.workspace.api.draft(self.id, definition=True).definition
        assert definition is not None
        return definition

    def update(
        self,
        pipeline: Pipeline | None = None,
        name: str | None = None,
        description: str | None = None,
        experiment_name: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        continue_on_step_failure: bool | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        """Change what is given; parameters, tags and properties are replaced whole."""
        refuse_unknown(PipelineDraft.update, unknown)
        changes: dict[str, Any] = _changes(
            name, description, experiment_name, continue_on_step_failure, tags, properties
        )
        if pipeline is not None:
            changes["definition"] = pipeline.uploaded(name or self.name)
        if pipeline_parameters is not None:
            changes["parameters"] = _values(self.workspace, pipeline_parameters)
        self._view = self.workspace.api.change_draft(self.id, changes)
        _noted(self)

    def submit_run(self, parent_run_id: str | None = None) -> PipelineRun:
        """Start a run with what the draft is given now."""
        from millstream.experiment import Experiment

        wish = {"run_id": str(uuid.uuid4()), "parent_run": parent_run_id or "", "source": submission.SOURCE}
        view = self.workspace.api.start_draft(self.id, wish)
        submission.say_submitted(view)
        self._view = self.workspace.api.draft(self.id)
        return PipelineRun(Experiment(self.workspace, view.experiment), view.id)

    def publish(self, version: str | None = None) -> PublishedPipeline:
        """Publish it as it is now, with its values as the defaults of the parameters."""
        view = self.workspace.api.publish_draft(self.id, version or "")
        submission.say_warnings(view.warnings)
        say_published(view)
        return PublishedPipeline(self.workspace, view)

    def delete(self) -> None:
        """Its runs, and what was published of it, stay."""
        self.workspace.api.delete_draft(self.id)

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write what it runs to a JSON file: `path`, or <id>.json."""
        Path(path or f"{self.id}.json").write_bytes(encode(self.get_graph()))

    def __repr__(self) -> str:
        return f"PipelineDraft(name={self.name!r}, id={self.id!r})"


def _original(pipeline: Any, name: str | None) -> dict[str, Any]:
    match pipeline:
        case Pipeline():
            return {"definition": pipeline.uploaded(name)}
        case PublishedPipeline():
            return {"pipeline_id": pipeline.id}
        case PipelineRun():
            return {"run_id": pipeline.id}
        case PipelineDraft():
            return {"draft_id": pipeline.id}
        case _:
            raise TypeError(
                "A draft is made of a Pipeline, a PublishedPipeline, a PipelineRun or a PipelineDraft, not "
                f"{pipeline!r}."
            )


def _changes(
    name: str | None,
    description: str | None,
    experiment_name: str | None,
    continue_on_step_failure: bool | None,
    tags: Mapping[str, Any] | None,
    properties: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What is given of these."""
    given = {
        "name": name,
        "description": description,
        "experiment_name": experiment_name,
        "continue_on_step_failure": continue_on_step_failure,
        "tags": None if tags is None else submission.texts(tags),
        "properties": None if properties is None else submission.texts(properties),
    }
    return {key: value for key, value in given.items() if value is not None}


def _values(workspace: Workspace, given: Mapping[str, Any] | None) -> dict[str, Any]:
    submission.save_given(workspace, given)
    return {name: value_of(value) for name, value in (given or {}).items()}


def _experiment(name: str) -> str:
    """An experiment's name made of any."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name).strip("-")[:255] or "drafts"


def _noted(draft: PipelineDraft) -> PipelineDraft:
    submission.say_warnings(draft._view.warnings)
    return draft
