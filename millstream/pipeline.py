"""A pipeline: steps and what connects them, ready to be checked, run and published."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import submission
from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.datastore import Datastore
from millstream.explained import Explained
from millstream.graph import Graph, build
from millstream.published import PublishedPipeline, say_published
from millstream.views import RunPlan
from millstream.workspace import Workspace
from orchestrator.core.definition import Definition

if TYPE_CHECKING:
    from millstream.pipeline_run import PipelineRun

SUBMIT_KNOWN = (
    "tags",
    "properties",
    "description",
    "notify",
    "priority",
    "regenerate",
    "enable_email_notification",
    "pipeline_params",
)


class Pipeline(Explained):
    """Steps, and backwards from them every step that they need: naming the last one is enough.

    A list of steps runs in parallel where neither data, `run_after` nor a StepSequence orders it. What is wrong with
    the graph is raised here, as InvalidDefinition with every problem; the sources are taken anew at each submission.
    """

    def __init__(
        self,
        workspace: Workspace,
        steps: Any,
        description: str | None = None,
        default_datastore: Datastore | str | None = None,
        default_source_directory: str | os.PathLike[str] | None = None,
        resolve_closure: bool = True,
        *,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(Pipeline.__init__, {key: unknown[key] for key in unknown if key[0] != "_"})
        if not isinstance(workspace, Workspace):
            raise TypeError(f"Pipeline: workspace must be a Workspace, not {workspace!r}.")
        self.workspace = workspace
        store = default_datastore.name if isinstance(default_datastore, Datastore) else default_datastore
        self._draft = submission.Draft(
            graph=build(steps, closure=resolve_closure),
            name=name or "pipeline",
            description=description or "",
            default_datastore=store,
            default_folder=Path(default_source_directory or "."),
        )
        self._named = name is not None
        submission.check_structure(self._draft)

    @staticmethod
    def load_yaml(workspace: Workspace, filename: str | os.PathLike[str]) -> Pipeline:
        """A pipeline that is written in v1's YAML (docs/yaml.md). Raises InvalidRequest, ConfigurationError."""
        from millstream.yaml_files import PipelineFile, load

        document = load(filename, "pipeline")
        steps = PipelineFile(workspace, document, Path(filename).parent).steps()
        description, name = document.get("description"), document.get("name")
        return Pipeline(workspace, steps, description, name=None if name is None else str(name))

    @property
    def graph(self) -> Graph:
        """All steps, each after those it needs."""
        return self._draft.graph

    @property
    def default_folder(self) -> Path:
        """Where steps run from that name no folder of their own."""
        return self._draft.default_folder

    @property
    def description(self) -> str:
        return self._draft.description

    def service_endpoint(self) -> str:
        """Where the service is."""
        return self.workspace.url

    def validate(self) -> list[str]:
        """Every problem, also those that only the service can know (computes, datastores); printed and returned."""
        problems = [str(problem) for problem in submission.problems_of(self._draft, self.workspace)]
        for problem in problems:
            say(problem)
        return problems

    def submit(
        self,
        experiment_name: str,
        pipeline_parameters: Mapping[str, Any] | None = None,
        continue_on_step_failure: bool = False,
        regenerate_outputs: bool | Iterable[str] = False,
        parent_run_id: str | None = None,
        credential_passthrough: bool | None = None,
        **kwargs: Any,
    ) -> PipelineRun:
        """Run the pipeline, with its sources as they are now. Raises InvalidDefinition before anything is uploaded.

        Beside v1's arguments: `tags`, `properties`, `description`; `notify`, the URLs that are told of its end;
        `priority`, of its steps that have none; and `regenerate`, names of steps that run even if nothing has
        changed, where `regenerate_outputs` stands for all.
        """
        del credential_passthrough
        refuse_unknown(Pipeline.submit, {k: kwargs[k] for k in kwargs if k not in SUBMIT_KNOWN}, SUBMIT_KNOWN[:6])
        from millstream.experiment import Experiment
        from millstream.pipeline_run import PipelineRun

        given = pipeline_parameters if pipeline_parameters is not None else kwargs.get("pipeline_params")
        properties = dict(kwargs.get("properties") or {})
        if parent_run_id:
            properties[submission.PARENT_RUN] = parent_run_id
        wish = {
            **self._handed_over(experiment_name, given),
            "tags": submission.texts(kwargs.get("tags")),
            "properties": submission.texts(properties),
            "parent_run": parent_run_id or "",
            "description": kwargs.get("description") or "",
            "notify": submission.webhooks_of(kwargs.get("notify")),
            "priority": kwargs.get("priority") or 0,
            "continue_on_step_failure": continue_on_step_failure,
            "regenerate": submission.regenerated(regenerate_outputs, kwargs.get("regenerate")),
        }
        view = submission.start(self.workspace, experiment_name, wish)
        return PipelineRun(Experiment(self.workspace, view.experiment), view.id)

    def plan(
        self,
        experiment_name: str,
        pipeline_parameters: Mapping[str, Any] | None = None,
        regenerate_outputs: bool | Iterable[str] = False,
    ) -> RunPlan:
        """What `submit` would do now: which steps would run, and why, and which would be reused. Starts nothing.

        The sources are uploaded, as they are for a run. Print the answer, or look at its `steps`.
        """
        wish = {
            **self._handed_over(experiment_name, pipeline_parameters),
            "regenerate": submission.regenerated(regenerate_outputs),
        }
        return submission.plan(self.workspace, experiment_name, wish)

    def _handed_over(self, experiment: str, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
        """The definition and the parameters for a run, all that they refer to uploaded."""
        draft = self._draft if self._named else replace(self._draft, name=experiment)
        compiled = submission.compile_draft(draft, self.workspace)
        values = submission.given_parameters(compiled.definition, parameters)
        submission.upload_sources(compiled, self.workspace)
        submission.save_given(self.workspace, parameters)
        return {"definition": compiled.definition, "parameters": values}

    def publish(
        self,
        name: str | None = None,
        description: str | None = None,
        version: str | None = None,
        continue_on_step_failure: bool | None = None,
    ) -> PublishedPipeline:
        """Keep the pipeline in the service, with an endpoint. Publishing the same again finds the first and says so."""
        view = self.workspace.api.publish(
            {
                "definition": self.uploaded(name),
                "name": name or "",
                "description": description or "",
                "version": "" if version is None else str(version),
                "continue_on_step_failure": bool(continue_on_step_failure),
            }
        )
        say_published(view)
        return PublishedPipeline(self.workspace, view)

    def uploaded(self, name: str | None = None) -> Definition:
        """What the service is to keep of it, under `name`; the sources are uploaded. Raises InvalidDefinition."""
        draft = self._draft if name is None else replace(self._draft, name=name)
        compiled = submission.compile_draft(draft, self.workspace)
        submission.say_warnings(compiled.warnings)
        submission.upload_sources(compiled, self.workspace)
        return compiled.definition
