"""Pipeline endpoints: one address for a pipeline that is published again and again."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from millstream import submission
from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.endpoint_views import EndpointView
from millstream.errors import Conflict, UnknownThing
from millstream.explained import Explained
from millstream.named import Named
from millstream.pipeline import Pipeline
from millstream.published import PublishedPipeline
from millstream.workspace import Workspace
from orchestrator.core.names import shown

if TYPE_CHECKING:
    from millstream.pipeline_run import PipelineRun


@dataclass(frozen=True, slots=True)
class PipelineVersion:
    """A published pipeline as a version, "0", "1" ..., of an endpoint."""

    workspace: Workspace
    version: str
    pipeline_id: str

    @property
    def pipeline(self) -> PublishedPipeline:
        return PublishedPipeline.get(self.workspace, self.pipeline_id)

    def __repr__(self) -> str:
        return f"PipelineVersion(version={self.version!r}, pipeline_id={self.pipeline_id!r})"


class PipelineEndpoint(Named[EndpointView], Explained):
    """A name and an address, `endpoint`, with versions behind it. Runs are of the default version, or of a chosen one.

    What it tells of itself is what the service said last; `refresh` asks again.
    """

    @staticmethod
    def publish(
        workspace: Workspace, name: str, description: str | None, pipeline: Pipeline | PublishedPipeline, **unknown: Any
    ) -> PipelineEndpoint:
        """Make an endpoint whose version "0" is the pipeline. An endpoint of that name that has it already is found.

        A Pipeline is published first. Raises Conflict if the name is taken by an endpoint without this pipeline.
        """
        refuse_unknown(PipelineEndpoint.publish, unknown)
        pipeline_id = _published(pipeline, name, description).id
        wish = {"name": name, "description": description or "", "pipeline_id": pipeline_id}
        view = workspace.api.endpoints.make(wish)
        state = "Published pipeline endpoint" if view.created else "This pipeline endpoint is there already:"
        say(f"{state} {view.name} ({view.id})")
        return PipelineEndpoint(workspace, view)

    @staticmethod
    def publish_or_update(
        workspace: Workspace, name: str, description: str | None, pipeline: Pipeline | PublishedPipeline
    ) -> PipelineEndpoint:
        """As `publish`; where the name is taken, the pipeline becomes the default version there. Safe to run again."""
        published = _published(pipeline, name, description)
        try:
            endpoint = PipelineEndpoint.publish(workspace, name, description, published)
        except Conflict:
            endpoint = PipelineEndpoint.get(workspace, name=name)
        endpoint.add_default(published)
        return endpoint

    @staticmethod
    def get(workspace: Workspace, id: str | None = None, name: str | None = None) -> PipelineEndpoint:
        """The endpoint with this id, or of this name. Raises UnknownThing."""
        return PipelineEndpoint(workspace, workspace.api.endpoints.find(id, name))

    @staticmethod
    def list(workspace: Workspace, active_only: bool = True, max_results: int = 100) -> builtins.list[PipelineEndpoint]:
        """The endpoints that are active, or all, newest first, at most `max_results`."""
        found = islice(workspace.api.endpoints.list(active_only=active_only), max_results)
        return [PipelineEndpoint(workspace, view) for view in found]

    @property
    def endpoint(self) -> str:
        """The URL that a POST with an Authorization header and {"ExperimentName": ...} starts the default version at.

        With /<version> after it, that version is started.
        """
        return self._view.endpoint

    @property
    def swaggerurl(self) -> str:
        """Where the service describes its HTTP API (OpenAPI)."""
        return f"{self.workspace.url}/api/openapi.json"

    @property
    def default_version(self) -> str:
        return self._view.default_version

    def refresh(self) -> PipelineEndpoint:
        """Ask the service again."""
        self._view = self.workspace.api.endpoints.get(self.id)
        return self

    def get_default_version(self) -> str:
        """As the service knows it now."""
        return self.refresh().default_version

    def set_default_version(self, version: str) -> None:
        """Raises UnknownThing if there is no such version."""
        self._change(default_version=str(version))

    def set_default(self, pipeline: PublishedPipeline) -> None:
        """Let this version be the default one. Raises ValueError if the pipeline is no version of the endpoint."""
        version = next((known.version for known in self.list_versions() if known.pipeline_id == pipeline.id), None)
        if version is None:
            raise ValueError(f"{pipeline!r} is no version of the endpoint {self.name!r}. Add it first.")
        self.set_default_version(version)

    def add(self, pipeline: Pipeline | PublishedPipeline) -> None:
        """Let the pipeline be the next version. If it is one already, nothing changes, and that is said."""
        self._add(pipeline, default=False)

    def add_default(self, pipeline: Pipeline | PublishedPipeline) -> None:
        """Let the pipeline be the next version, and the default one."""
        self._add(pipeline, default=True)

    def list_versions(self) -> builtins.list[PipelineVersion]:
        """From "0" on."""
        known = self.workspace.api.endpoints.versions(self.id)
        return [PipelineVersion(self.workspace, it.version, it.pipeline_id) for it in known]

    def list_pipelines(self, active_only: bool = True) -> builtins.list[PublishedPipeline]:
        """The pipelines of all versions, or those that are active."""
        found = [version.pipeline for version in self.list_versions()]
        return [pipeline for pipeline in found if pipeline.status == "Active" or not active_only]

    def get_pipeline(self, version: str | None = None) -> PublishedPipeline:
        """The pipeline of a version, by default of the default one. Raises UnknownThing."""
        wanted = self.get_default_version() if version is None else str(version)
        for known in self.list_versions():
            if known.version == wanted:
                return known.pipeline
        raise UnknownThing(f"The endpoint {shown(self.name)} has no version {shown(wanted)}.", field="version")

    def archive(self) -> None:
        """As `disable`, for one that is not needed any more. The name stays taken."""
        self._change(status="Deprecated")

    def reactivate(self, name: str | None = None) -> None:
        """Enable it again, perhaps under another name."""
        self._change(status="Active", **({"name": name} if name else {}))

    def submit(
        self,
        experiment_name: str,
        pipeline_parameters: Mapping[str, Any] | None = None,
        parent_run_id: str | None = None,
        pipeline_version: str | None = None,
        **kwargs: Any,
    ) -> PipelineRun:
        """Start a run of the default version, or of `pipeline_version`. Beside v1's arguments: `tags`, `description`.

        Raises Conflict if the endpoint, or the version's pipeline, is not active.
        """
        known = (*submission.ALSO, "continue_on_step_failure")
        refuse_unknown(PipelineEndpoint.submit, {k: kwargs[k] for k in kwargs if k not in known}, known)
        version = None if pipeline_version is None else str(pipeline_version)
        wish = {
            "endpoint_id": self.id,
            "pipeline_version": version,
            "continue_on_step_failure": kwargs.get("continue_on_step_failure"),
        }
        declared = self.workspace.api.pipeline(self.get_pipeline(version).id).parameters
        return submission.start_kept(
            self.workspace, experiment_name, wish, declared, pipeline_parameters, parent_run_id, kwargs
        )

    def _add(self, pipeline: Pipeline | PublishedPipeline, *, default: bool) -> None:
        published = _published(pipeline, self.name, None)
        view = self.workspace.api.endpoints.add_version(self.id, {"pipeline_id": published.id, "default": default})
        self._view = view
        state = "is now" if view.added else "is already"
        say(f"{published.name} ({published.id}) {state} version {view.version} of the pipeline endpoint {self.name}")

    def _change(self, **changes: str) -> None:
        self._view = self.workspace.api.endpoints.change(self.id, changes)

    def __repr__(self) -> str:
        return f"PipelineEndpoint(name={self.name!r}, id={self.id!r}, default_version={self.default_version!r})"


def _published(pipeline: Pipeline | PublishedPipeline, name: str, description: str | None) -> PublishedPipeline:
    if isinstance(pipeline, Pipeline):
        return pipeline.publish(name=name, description=description)
    if not isinstance(pipeline, PublishedPipeline):
        raise TypeError(f"A pipeline endpoint takes a Pipeline or a PublishedPipeline, not {pipeline!r}.")
    return pipeline
