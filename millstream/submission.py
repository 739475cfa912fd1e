"""Handing a pipeline to the service: take the sources as they are now, check everything, upload, start.

Nothing is uploaded before all checks have passed. A run has an id before it is sent, so sending it again is harmless.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import snapshot as sources
from millstream.compiler import compile_pipeline, datasets_of, folders_of, placed
from millstream.console import say
from millstream.dataset import AbstractDataset
from millstream.dataset_consumption import DatasetConsumptionConfig
from millstream.errors import UnknownThing
from millstream.graph import Graph
from millstream.output_config import OutputDatasetConfig
from millstream.parameter import value_of
from millstream.snapshot import Snapshot
from millstream.views import RunPlan, RunView
from millstream.workspace import Workspace
from orchestrator.core.definition import Definition, Parameter, ParameterValue, all_steps, datastores_of
from orchestrator.core.errors import InvalidDefinition, InvalidRequest, Problem
from orchestrator.core.kinds import served
from orchestrator.core.names import EXPERIMENT
from orchestrator.core.validation import check, resolve_parameters, validate

if TYPE_CHECKING:
    from millstream.pipeline_run import PipelineRun

SOURCE = "sdk"
"""What a run says of who asked for it."""
ALSO = ("tags", "properties", "description", "notify", "priority", "regenerate_outputs", "regenerate")
"""What starting something that the service keeps takes beside v1's arguments."""
PARENT_RUN = "azureml.parentrunid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A pipeline before it is compiled: the graph, and what steps have that name nothing of their own."""

    graph: Graph
    name: str
    description: str
    default_datastore: str | None
    default_folder: Path


@dataclass(frozen=True, slots=True)
class Compiled:
    definition: Definition
    snapshots: tuple[Snapshot, ...]
    datasets: tuple[AbstractDataset, ...]
    warnings: tuple[Problem, ...]


def missing_sources(draft: Draft) -> list[Problem]:
    """Steps whose script is not in their source folder."""
    found = (step.source_problem(folder) for step, folder in placed(draft.graph, draft.default_folder))
    return [problem for problem in found if problem is not None]


def check_structure(draft: Draft) -> None:
    """What can be known of a draft without the service. Raises InvalidDefinition with every problem."""
    refused = [problem for step in draft.graph.every_step if (problem := step.refusal()) is not None]
    if refused:
        raise InvalidDefinition(refused)
    store = draft.default_datastore or "default"
    snapshots = dict.fromkeys(folders_of(draft.graph, draft.default_folder), "0" * 64)
    definition = _compiled(draft, store, snapshots)
    computes = {step.compute for _, step in all_steps(definition)}
    stores = {store, *datastores_of(definition)}
    problems = validate(definition, computes=computes, datastores=stores)
    errors = [problem for problem in problems if problem.severity == "error"] + missing_sources(draft)
    if errors:
        raise InvalidDefinition(errors)


def problems_of(draft: Draft, workspace: Workspace) -> list[Problem]:
    """Every problem, warnings included, with what the service has."""
    workspace.refresh()
    compiled = _definition(draft, workspace, {})
    found = [problem for problem in _validated(compiled, workspace) if problem.code != "MissingSnapshot"]
    return found + missing_sources(draft)


def compile_draft(draft: Draft, workspace: Workspace) -> Compiled:
    """The definition with the sources as they are now. Raises InvalidDefinition, InvalidRequest, TooLarge."""
    missing = missing_sources(draft)
    if missing:
        raise InvalidDefinition(missing)
    taken = {folder: sources.take(folder) for folder in folders_of(draft.graph, draft.default_folder)}
    details = workspace.refresh()
    for snapshot in taken.values():
        sources.check_size(snapshot, details.limits)
    definition = _definition(draft, workspace, {folder: snapshot.id for folder, snapshot in taken.items()})
    computes, datastores = _names(workspace)
    attached = _attached(definition, workspace)
    warnings = check(definition, computes=computes, datastores=datastores, attached=attached)
    _say_environments(definition)
    for step in draft.graph.every_step:
        for output in step.wiring.outputs:
            if isinstance(output, OutputDatasetConfig):
                output.warn_of_lost_copies()
    return Compiled(definition, tuple(taken.values()), tuple(datasets_of(draft.graph)), warnings)


def upload_sources(compiled: Compiled, workspace: Workspace) -> None:
    """The source folders, and the documents of datasets that are not saved yet."""
    for dataset in compiled.datasets:
        dataset.save(workspace)
    for snapshot in {snapshot.id: snapshot for snapshot in compiled.snapshots}.values():
        sources.upload(workspace.api, snapshot)


def given_parameters(definition: Definition, given: Mapping[str, Any] | None) -> dict[str, ParameterValue]:
    """The values to send: those that were given, in the declared types. Raises InvalidRequest for an unknown name."""
    values, warnings = resolve_parameters(definition, {name: value_of(value) for name, value in (given or {}).items()})
    for warning in warnings:
        raise InvalidRequest(f"{warning.message.partition(';')[0]}. {warning.fix}", field=warning.field)
    return {name: values[name] for name in given or {}}


def save_given(workspace: Workspace, given: Mapping[str, Any] | None) -> None:
    """Save the datasets among the values for parameters."""
    for value in (given or {}).values():
        dataset = value.dataset if isinstance(value, DatasetConsumptionConfig) else value
        if isinstance(dataset, AbstractDataset):
            dataset.save(workspace)


def start(workspace: Workspace, experiment: str, wish: Mapping[str, Any]) -> RunView:
    """Start a run and say so, in the words that v1 uses."""
    EXPERIMENT.check(experiment, "experiment_name")
    sent = {"experiment_name": experiment, "run_id": str(uuid.uuid4()), "source": SOURCE, **wish}
    if planning():
        say_plan(workspace.api.plan_run(sent))
        raise SystemExit(0)
    view = workspace.api.start_run(sent)
    say_submitted(view)
    return view


def plan(workspace: Workspace, experiment: str, wish: Mapping[str, Any]) -> RunPlan:
    """What the run that is wished for would do."""
    EXPERIMENT.check(experiment, "experiment_name")
    return workspace.api.plan_run({"experiment_name": experiment, "source": SOURCE, **wish})


def say_plan(found: RunPlan) -> None:
    say_warnings(found.warnings)
    say(str(found))


def planning() -> bool:
    """Whether this process shows what its first submission would do, and ends there: `millstream plan` says so."""
    return _PLANNING.is_set()


def only_plan() -> None:
    _PLANNING.set()


_PLANNING = threading.Event()


def say_submitted(view: RunView) -> None:
    say_warnings(view.warnings)
    say(f"Submitted PipelineRun {view.id}")


def start_kept(
    workspace: Workspace,
    experiment: str,
    wish: Mapping[str, Any],
    declared: Sequence[Parameter],
    given: Mapping[str, Any] | None,
    parent_run_id: str | None,
    also: Mapping[str, Any],
) -> PipelineRun:
    """Start a run of what the service keeps, which `wish` names. `declared`: its parameters; `also`: see ALSO."""
    from millstream.experiment import Experiment
    from millstream.pipeline_run import PipelineRun

    save_given(workspace, given)
    shape = Definition(name="kept", parameters=tuple(declared), steps=())
    properties = texts(also.get("properties")) | ({PARENT_RUN: parent_run_id} if parent_run_id else {})
    whole = {
        **wish,
        "parameters": given_parameters(shape, given),
        "tags": texts(also.get("tags")),
        "properties": properties,
        "parent_run": parent_run_id or "",
        "description": also.get("description") or "",
        "regenerate": regenerated(also.get("regenerate_outputs"), also.get("regenerate")),
        "notify": webhooks_of(also.get("notify")),
        "priority": also.get("priority") or 0,
    }
    view = start(workspace, experiment, whole)
    return PipelineRun(Experiment(workspace, view.experiment), view.id)


def regenerated(
    outputs: bool | str | Iterable[str] | None, subset: bool | str | Iterable[str] | None = None
) -> bool | list[str]:
    """`regenerate_outputs`, or the `subset` that `regenerate` names, as the service takes it: all, none, or names."""
    given = outputs if outputs is True or subset is None else subset
    if given is None or isinstance(given, bool):
        return bool(given)
    return [given] if isinstance(given, str) else [str(name) for name in given]


def webhooks_of(given: Iterable[str | Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Who is to be told of a run's end: URLs, or mappings with `url` and `events`."""
    return [{"url": hook} if isinstance(hook, str) else dict(hook) for hook in given or ()]


def texts(given: Mapping[str, Any] | None) -> dict[str, str]:
    """Tags or properties as the service keeps them."""
    return {str(key): "" if value is None else str(value) for key, value in (given or {}).items()}


def say_warnings(warnings: Iterable[object]) -> None:
    for warning in warnings:
        say(f"Warning: {warning}")


def _say_environments(definition: Definition) -> None:
    """Which steps will not run in the service's own environment."""
    specs = {step.name: step.settings.get("environment") or {} for step in definition.steps}
    names = [name for name, spec in specs.items() if "conda" in spec]
    if names:
        who = f"Step {names[0]} asks" if len(names) == 1 else f"{len(names)} steps ask"
        say(f"Note: {who} for packages: made into an environment when it first runs, and kept (docs/environments.md).")


def _definition(draft: Draft, workspace: Workspace, snapshots: Mapping[Path, str]) -> Definition:
    return _compiled(draft, draft.default_datastore or workspace.details.default_datastore, snapshots)


def _compiled(draft: Draft, default_datastore: str, snapshots: Mapping[Path, str]) -> Definition:
    return compile_pipeline(
        draft.graph,
        name=draft.name,
        description=draft.description,
        default_datastore=default_datastore,
        snapshots=snapshots,
        default_folder=draft.default_folder,
    )


def _validated(definition: Definition, workspace: Workspace) -> list[Problem]:
    computes, datastores = _names(workspace)
    return validate(definition, computes=computes, datastores=datastores, attached=_attached(definition, workspace))


def _attached(definition: Definition, workspace: Workspace) -> dict[str, str]:
    """The type of what the computes are attached to, of steps that do nothing without it."""
    found = {}
    for name in sorted(served(definition)):
        with suppress(UnknownThing):
            found[name] = workspace.api.attachment(name).type
    return found


def _names(workspace: Workspace) -> tuple[list[str], list[str]]:
    details = workspace.details
    return [compute.name for compute in details.computes], [store.name for store in details.datastores]
