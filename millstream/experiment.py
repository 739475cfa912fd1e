"""An experiment: a name under which runs are gathered."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

from millstream.arguments import refuse_unknown
from millstream.errors import UnknownThing
from millstream.explained import Explained
from orchestrator.core.names import EXPERIMENT, shown, suggestion

if TYPE_CHECKING:
    from millstream.estimator import Estimator
    from millstream.pipeline import Pipeline
    from millstream.pipeline_endpoint import PipelineEndpoint
    from millstream.pipeline_run import PipelineRun
    from millstream.published import PublishedPipeline
    from millstream.script_run_config import ScriptRunConfig
    from millstream.step_run import StepRun
    from millstream.workspace import Workspace


class Experiment(Explained):
    """The experiment `name`. It comes to be with its first run."""

    def __init__(self, workspace: Workspace, name: str, **unknown: Any) -> None:
        refuse_unknown(Experiment.__init__, {key: unknown[key] for key in unknown if key[0] != "_"})
        self.workspace = workspace
        self.name = EXPERIMENT.check(name, "name")

    @property
    def id(self) -> str:
        return self.name

    @property
    def workspace_object(self) -> Workspace:
        return self.workspace

    @staticmethod
    def list(workspace: Workspace, experiment_name: str | None = None, **_: Any) -> builtins.list[Experiment]:
        """The experiments that have runs."""
        names = [view.name for view in workspace.api.experiments()]
        return [Experiment(workspace, name) for name in names if experiment_name in (None, name)]

    @overload
    def submit(
        self,
        config: Pipeline | PublishedPipeline | PipelineEndpoint,
        tags: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> PipelineRun: ...

    @overload
    def submit(
        self, config: ScriptRunConfig | Estimator, tags: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> StepRun: ...

    def submit(self, config: Any, tags: Mapping[str, Any] | None = None, **kwargs: Any) -> PipelineRun | StepRun:
        """Run a Pipeline, a PublishedPipeline or a PipelineEndpoint in this experiment. Keyword arguments are those of
        its `submit`.

        A ScriptRunConfig or an Estimator runs as a pipeline of one step; what is returned is the run of that step.
        """
        from millstream.estimator import Estimator
        from millstream.pipeline import Pipeline
        from millstream.pipeline_endpoint import PipelineEndpoint
        from millstream.published import PublishedPipeline
        from millstream.script_run_config import ScriptRunConfig

        if tags is not None:
            kwargs["tags"] = tags
        if isinstance(config, Pipeline):
            return config.submit(self.name, **kwargs)
        if isinstance(config, PublishedPipeline):
            return config.submit(self.workspace, self.name, **kwargs)
        if isinstance(config, PipelineEndpoint):
            return config.submit(self.name, **kwargs)
        if isinstance(config, (ScriptRunConfig, Estimator)):
            run = Pipeline(self.workspace, steps=[config.as_step()]).submit(self.name, **kwargs)
            return next(run.get_steps())
        raise TypeError(
            "Experiment.submit takes a Pipeline, a PublishedPipeline, a PipelineEndpoint, a ScriptRunConfig or an "
            f"Estimator, not {config!r}."
        )

    def get_runs(
        self,
        type: str | None = None,
        tags: Any = None,
        properties: Mapping[str, Any] | None = None,
        include_children: bool = False,
        *,
        status: str | None = None,
        submitted_after: datetime | None = None,
        submitted_before: datetime | None = None,
    ) -> Iterator[PipelineRun | StepRun]:
        """The runs, newest first, as they are found: stop when you have seen enough.

        `tags`: a name, or names with values, that a run must have; `properties` likewise, and a value None stands for
        any. `include_children` adds the steps of each run after it, and the runs that were submitted as children of
        others; without it those are left out. `type`: "azureml.PipelineRun" or "azureml.StepRun". `status`: Running,
        Completed, Failed or Canceled, of pipeline runs.
        """
        from millstream.pipeline_run import PipelineRun
        from millstream.step_run import StepRun

        lines = self.workspace.api.runs(
            experiment=self.name,
            status=status,
            tag=labels({tags: None} if isinstance(tags, str) else tags),
            property=labels(properties),
            submitted_after=None if submitted_after is None else submitted_after.timestamp(),
            submitted_before=None if submitted_before is None else submitted_before.timestamp(),
        )
        for line in lines:
            if line.parent_run and not include_children:
                continue
            run = PipelineRun(self, line.id)
            if type in (None, PipelineRun.type):
                yield run
            if include_children and type in (None, StepRun.type):
                yield from run.get_steps()

    def refresh(self) -> None:
        """Raises UnknownThing if the experiment has no runs."""
        names = [view.name for view in self.workspace.api.experiments()]
        if self.name not in names:
            hint = suggestion(self.name, names, "experiments")
            raise UnknownThing(f"There is no experiment {shown(self.name)}. {hint}", field="name")

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"


def labels(wanted: Mapping[str, Any] | None) -> builtins.list[str]:
    """Tags or properties that runs must have, as the service is asked for them; None: with any value."""
    return [str(name) if value is None else f"{name}={value}" for name, value in (wanted or {}).items()]
