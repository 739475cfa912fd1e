"""An experiment: a name under which runs are gathered."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

from millstream.arguments import refuse_unknown
from millstream.errors import InvalidRequest, UnknownThing
from millstream.explained import Explained
from orchestrator.core.names import EXPERIMENT, shown, suggestion

if TYPE_CHECKING:
    from millstream.estimator import Estimator
    from millstream.hyperdrive import HyperDriveConfig
    from millstream.pipeline import Pipeline
    from millstream.pipeline_endpoint import PipelineEndpoint
    from millstream.pipeline_run import PipelineRun
    from millstream.published import PublishedPipeline
    from millstream.script_run_config import ScriptRunConfig
    from millstream.step_run import StepRun
    from millstream.views import ExperimentView
    from millstream.workspace import Workspace


_STATES = {"ActiveOnly": "active", "ArchivedOnly": "archived", "All": "all"}
"""v1's words for what is listed -> the service's."""


class Experiment(Explained):
    """The experiment `name`. It comes to be with its first run, or its first tag."""

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

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the experiment, not of its runs."""
        view = self._look()
        return dict(view.tags) if view else {}

    @property
    def archived_time(self) -> datetime | None:
        """When it was archived; None: it is not."""
        view = self._look()
        since = view.archived_at if view else None
        return None if since is None else datetime.fromtimestamp(since, UTC)

    def tag(self, key: str, value: Any = None) -> None:
        """Set a tag."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags; others stay."""
        texts = {str(key): "" if value is None else str(value) for key, value in tags.items()}
        self.workspace.api.change_experiment(self.name, {"tags": texts})

    def remove_tags(self, tags: str | Sequence[str]) -> dict[str, str]:
        """Remove a tag or several. Returns those that are left."""
        names = [tags] if isinstance(tags, str) else tags
        return dict(self.workspace.api.change_experiment(self.name, {"tags": dict.fromkeys(names)}).tags)

    @classmethod
    def get_docs_url(cls) -> str:
        """The document that says what this class can do."""
        return "docs/v1-compatibility.md#experiment"

    def archive(self) -> None:
        """Leave it out of the lists that do not ask for archived ones. Its runs stay, and others may follow."""
        self.workspace.api.change_experiment(self.name, {"archived": True})

    def reactivate(self, new_name: str | None = None) -> None:
        """Undo `archive`. A `new_name` is refused: a name is what an experiment is."""
        if new_name not in (None, self.name):
            raise InvalidRequest("An experiment keeps its name. Call reactivate() without one.", field="new_name")
        self.workspace.api.change_experiment(self.name, {"archived": False})

    @staticmethod
    def delete(workspace: Workspace, experiment_id: str) -> None:
        """Remove the experiment with this id, which is its name. Raises UnknownThing, and Conflict if it has runs."""
        workspace.api.remove_experiment(experiment_id)

    @staticmethod
    def list(
        workspace: Workspace,
        experiment_name: str | None = None,
        view_type: str = "ActiveOnly",
        tags: Any = None,
        **_: Any,
    ) -> builtins.list[Experiment]:
        """The experiments, by name. `view_type`: ActiveOnly, ArchivedOnly or All. `tags`: a name, or names with values,
        that an experiment must have; a value None stands for any.
        """
        if view_type not in _STATES:
            raise InvalidRequest(f"{shown(view_type)}: {suggestion(view_type, _STATES, 'views')}", field="view_type")
        wanted = labels_wanted(tags)
        return [
            Experiment(workspace, view.name)
            for view in workspace.api.experiments(_STATES[view_type])
            if experiment_name in (None, view.name) and _has(view.tags, wanted)
        ]

    @overload
    def submit(
        self,
        config: Pipeline | PublishedPipeline | PipelineEndpoint,
        tags: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> PipelineRun: ...

    @overload
    def submit(
        self,
        config: ScriptRunConfig | Estimator | HyperDriveConfig,
        tags: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> StepRun: ...

    def submit(self, config: Any, tags: Mapping[str, Any] | None = None, **kwargs: Any) -> PipelineRun | StepRun:
        """Run a Pipeline, a PublishedPipeline or a PipelineEndpoint in this experiment. Keyword arguments are those of
        its `submit`.

        A ScriptRunConfig, an Estimator or a HyperDriveConfig runs as a pipeline of one step; what is returned is the
        run of that step.
        """
        from millstream.estimator import Estimator
        from millstream.hyperdrive import HyperDriveConfig
        from millstream.hyperdrive_run import HyperDriveStepRun
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
        if isinstance(config, HyperDriveConfig):
            run = Pipeline(self.workspace, steps=[config.as_step()]).submit(self.name, **kwargs)
            return HyperDriveStepRun(next(run.get_steps()))
        raise TypeError(
            "Experiment.submit takes a Pipeline, a PublishedPipeline, a PipelineEndpoint, a ScriptRunConfig, an "
            f"Estimator or a HyperDriveConfig, not {config!r}."
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
        """Look whether it is there. Raises UnknownThing if it has neither runs nor tags."""
        if self._look() is None:
            names = [view.name for view in self.workspace.api.experiments("all")]
            hint = suggestion(self.name, names, "experiments")
            raise UnknownThing(f"There is no experiment {shown(self.name)}. {hint}", field="name")

    def _look(self) -> ExperimentView | None:
        try:
            return self.workspace.api.experiment(self.name)
        except UnknownThing:
            return None

    def __repr__(self) -> str:
        return f"Experiment({self.name!r})"


def labels_wanted(tags: Any) -> Mapping[str, Any]:
    """Tags as v1 takes them: a name, a list of names or of [name, value], or names with values."""
    if tags is None or isinstance(tags, Mapping):
        return tags or {}
    items = [tags] if isinstance(tags, str) else tags
    return dict((item, None) if isinstance(item, str) else (item[0], item[1]) for item in items)


def _has(found: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    return all(name in found and value in (None, found[name]) for name, value in wanted.items())


def labels(wanted: Mapping[str, Any] | None) -> builtins.list[str]:
    """Tags or properties that runs must have, as the service is asked for them; None: with any value."""
    return [str(name) if value is None else f"{name}={value}" for name, value in (wanted or {}).items()]
