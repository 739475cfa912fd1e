"""The kind "hyperdrive": a search that becomes a run of trials, of which the best one's results are taken.

settings: {"space": hyperparameter -> expression, "sampling", "seed", "primary_metric", "goal", "max_total_runs",
"max_concurrent_runs", "max_duration_minutes", "policy", "parameters", "metrics_output", "model_files"}; the template is
a pipeline of one step, the trial's. See `orchestrator.core.kinds.hyperdrive`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.kinds.hyperdrive import HyperDrive, trial_step
from orchestrator.core.parameters import resolve_parameters
from orchestrator.core.result import Metric, StepResult
from orchestrator.core.states import StepStatus
from orchestrator.core.trials import Outcome, logged, ranked, score_of
from steps.composite import Child, Children, CompositeContext, Expansion
from steps.failures import ChildFailed, InvalidStep, OutputNotWritten
from steps.paths import below
from steps.transfer import Fetch, fetch_all

BEST_RUN, SCORE, CHILD_RUN = "best_child_run_id", "score", "hyperdrive_run"
"""Properties of the step (azureml-v1 has the first two): the best trial's run, its score, and the run of all trials."""


def expand(context: CompositeContext) -> Expansion:
    """A run of the trials. Raises InvalidStep."""
    search, template = context.settings_as(HyperDrive), context.template
    if len(template.steps) != 1:
        raise InvalidStep("The template of a search has one step: that of a trial.")
    try:
        values, _ = resolve_parameters(template, search.parameters)
    except InvalidRequest as error:
        raise InvalidStep(error.message) from error
    trials = search.trials()
    steps = tuple(trial_step(template.steps[0], search, number, it) for number, it in enumerate(trials))
    context.log.note(f"{len(steps)} trials, {search.max_concurrent_runs or len(steps)} at a time.")
    return Expansion(
        definition=msgspec.structs.replace(template, steps=steps),
        parameters=values,
        window=search.max_concurrent_runs,
        keep_going=True,
        seconds=search.max_duration_minutes * 60.0,
    )


def join(context: CompositeContext, children: Children) -> None:
    """Raises ChildFailed if there is no trial to take, OutputNotWritten, StepFailure."""
    search = context.settings_as(HyperDrive)
    best, outcome = _best(search, children)
    run = f"{children.run}_{best.id}"
    context.log.note(
        f"The best of {len(children.steps)} trials is {best.id}: {search.primary_metric} {outcome.score:g}."
    )
    context.metrics.append(
        Metric(name=search.primary_metric, kind="scalar", value=outcome.score, at=best.result.ended_at)
    )
    context.properties.update({BEST_RUN: run, SCORE: f"{outcome.score!r}", CHILD_RUN: children.run})
    for port in context.job.step.outputs:
        if port.name == search.metrics_output:
            _write_metrics(context.outputs[port.name], children)
        elif port.name in search.model_files:
            _bring_model(context, best.result, search.model_files[port.name], context.outputs[port.name])
        elif (made := best.result.outputs.get(port.name)) is not None:
            context.replace(port.name, made)
        else:
            raise OutputNotWritten(f"The best trial, {best.id}, left no output {port.name!r}.")


def _best(search: HyperDrive, children: Children) -> tuple[Child, Outcome]:
    """The best of those that came to their own end. Raises ChildFailed."""
    outcomes = [
        Outcome(
            id=child.id,
            score=score_of(child.result.metrics, search.primary_metric, search.goal),
            completed=child.status is StepStatus.COMPLETED,
        )
        for child in children.steps
    ]
    found = ranked((outcome for outcome in outcomes if outcome.completed), search.goal)
    if not found:
        raise ChildFailed(_nothing_found(search.primary_metric, children, outcomes))
    best = next(child for child in children.steps if child.id == found[0].id)
    return best, found[0]


def _nothing_found(metric: str, children: Children, outcomes: Sequence[Outcome]) -> str:
    completed = sum(outcome.completed for outcome in outcomes)
    if completed:
        return f"None of the {completed} trials that were completed in run {children.run} has logged {metric!r}."
    errors = [child.result.error for child in children.steps if child.result.error is not None]
    why = f" The first one's error: {errors[0].message}" if errors else ""
    late = " The search took longer than it may." if children.timed_out else ""
    return f"No trial of the run {children.run} was completed.{late}{why}"


def _write_metrics(path: Path, children: Children) -> None:
    """Run of a trial -> metric -> its values, as one file (azureml-v1)."""
    found = {f"{children.run}_{child.id}": logged(child.result.metrics) for child in children.steps}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({run: metrics for run, metrics in found.items() if metrics}), encoding="utf-8")


def _bring_model(context: CompositeContext, result: StepResult, wanted: str, target: Path) -> None:
    """A file or folder among the artifacts of the best trial."""
    inner = f"{wanted}/"
    files = [file for file in result.artifacts if file.path == wanted or file.path.startswith(inner)]
    if not files:
        there = ", ".join(file.path for file in result.artifacts[:5]) or "none"
        raise OutputNotWritten(f"The best trial has no file {wanted!r}; its files are: {there}.")
    fetches = [
        Fetch(
            container=context.settings.container,
            name=file.name_below(result.artifact_prefix),
            target=target if file.path == wanted else below(target, file.path.removeprefix(inner)),
            expected=file,
        )
        for file in files
    ]
    for fetch in fetches:
        fetch.target.parent.mkdir(parents=True, exist_ok=True)
    fetch_all(context.pool, context.store, fetches, context.stop)
