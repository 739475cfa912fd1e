"""Pipelines that the service keeps, to be started again and again."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import submission
from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.errors import UnknownThing
from millstream.explained import Explained
from millstream.views import PipelineView
from millstream.workspace import Workspace
from orchestrator.core.definition import Definition, address, encode
from orchestrator.core.names import shown

if TYPE_CHECKING:
    from millstream.pipeline_run import PipelineRun


class PublishedPipeline(Explained):
    """A published pipeline. Anybody with a token starts it by a POST to `endpoint`, as long as it is active."""

    def __init__(self, workspace: Workspace, view: PipelineView) -> None:
        self.workspace = workspace
        self._view = view

    @staticmethod
    def get(workspace: Workspace, id: str | None = None, *, name: str | None = None) -> PublishedPipeline:
        """The pipeline with this id, or the newest of this name, an active one if there is one. Raises UnknownThing."""
        if id is not None:
            return PublishedPipeline(workspace, workspace.api.pipeline(id))
        for active_only in (True, False):
            newest = next(workspace.api.pipelines(name=name, active_only=active_only), None) if name else None
            if newest is not None:
                return PublishedPipeline(workspace, newest)
        raise UnknownThing(f"There is no published pipeline named {shown(name or '')}.", field="name")

    @staticmethod
    def list(workspace: Workspace, active_only: bool = True) -> builtins.list[PublishedPipeline]:
        """All published pipelines that are active, or all, newest first."""
        return [PublishedPipeline(workspace, view) for view in workspace.api.pipelines(active_only=active_only)]

    get_all = list

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def endpoint(self) -> str:
        """The URL that a POST with an Authorization header and {"ExperimentName": ...} starts it at."""
        return self._view.endpoint

    @property
    def description(self) -> str:
        return self._view.description

    @property
    def version(self) -> str:
        return self._view.version

    @property
    def status(self) -> str:
        """ "Active" or "Disabled", as far as this object knows."""
        return self._view.status

    def enable(self) -> None:
        """Let it be started again."""
        self._view = self.workspace.api.set_pipeline_status(self.id, "Active")

    def disable(self) -> None:
        """Whoever would start it is refused from now on. What runs goes on."""
        self._view = self.workspace.api.set_pipeline_status(self.id, "Disabled")

    @property
    def total_run_steps(self) -> int:
        return self._view.steps_total

    @property
    def continue_on_step_failure(self) -> bool:
        return self._view.continue_on_step_failure

    @property
    def parameters(self) -> dict[str, Any]:
        """The names of its parameters, with their defaults."""
        detail = self.workspace.api.pipeline(self.id)
        return {parameter.name: parameter.default for parameter in detail.parameters}

    def get_graph(self) -> Definition:
        """What it runs, as the service keeps it."""
        return self.definition

    def get_step_names(self) -> builtins.list[str]:
        return [step.name for step in self.definition.steps]

    @property
    def graph_id(self) -> str:
        """The sum that names what it runs."""
        return address(encode(self.definition))

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write what it runs to a JSON file: `path`, or <id>.json."""
        Path(path or f"{self.id}.json").write_bytes(encode(self.definition))

    @property
    def definition(self) -> Definition:
        """The whole document."""
        detail = self.workspace.api.pipeline(self.id, definition=True)
        assert detail.definition is not None
        return detail.definition

    def submit(
        self,
        workspace: Workspace,
        experiment_name: str,
        pipeline_parameters: Mapping[str, Any] | None = None,
        parent_run_id: str | None = None,
        continue_on_step_failure: bool | None = None,
        **kwargs: Any,
    ) -> PipelineRun:
        """Start a run. Beside v1's arguments: `tags`, `properties`, `description`; `notify` and `regenerate_outputs` as
        in Pipeline.submit.
        """
        refuse_unknown(PublishedPipeline.submit, _unknown(kwargs), submission.ALSO)
        wish = {"pipeline_id": self.id, "continue_on_step_failure": continue_on_step_failure}
        declared = workspace.api.pipeline(self.id).parameters
        return submission.start_kept(
            workspace, experiment_name, wish, declared, pipeline_parameters, parent_run_id, kwargs
        )

    def __repr__(self) -> str:
        return f"PublishedPipeline(name={self.name!r}, id={self.id!r}, version={self.version!r})"


def say_published(view: PipelineView) -> None:
    """Whether it was published just now, or before."""
    state = "Published pipeline" if view.created else "This pipeline is published already:"
    disabled = "" if view.status == "Active" else f", and is {view.status}"
    say(f"{state} {view.name} ({view.id}){disabled}")


def _unknown(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in submission.ALSO}
