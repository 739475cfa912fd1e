"""A search for hyperparameters, and one trial of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.core import sampling
from orchestrator.core.definition import Argument, Literal, Step
from orchestrator.core.early_termination import Goal, Policy
from orchestrator.core.errors import Problem
from orchestrator.core.kinds.python_script import PythonScript
from orchestrator.core.kinds.settings import Settings
from orchestrator.core.names import PATH, shown, suggestion
from orchestrator.core.parameters import text_of
from orchestrator.core.sampling import Expression, Value, Values

MOST_TRIALS = 1000
TRIAL = "hyperdrive_trial"
_GRID_ADVICE = "A grid is made of choice and randint; draw from other expressions at random."


class HyperDrive(Settings, frozen=True, kw_only=True):
    """Runs the script of its `template`, a pipeline of one step, once for each of several combinations of values.

    `space`: hyperparameter -> expression, as `core.sampling` has them; `sampling`: "random" draws at most
    `max_total_runs` combinations, always the same for a `seed`, "grid" goes through all of them, at most that many. A
    trial finds its values among its arguments, as `--<name> <value>`. `max_concurrent_runs`: at a time, 0: all.
    `max_duration_minutes`: what has not ended then is canceled, and the best of what has is taken.

    The best trial is that with the best value of the metric `primary_metric`; its outputs become those of the step.
    `policy` ends trials early. `metrics_output`: the output port that gets a file with all metrics of all trials, as
    JSON. `model_files`: output port -> the file, or folder, among the best trial's artifacts that it gets.
    """

    space: dict[str, Expression]
    primary_metric: str
    goal: Goal
    max_total_runs: Annotated[int, Meta(ge=1, le=MOST_TRIALS)]
    sampling: Annotated[str, Meta(pattern="^(random|grid)$")] = "random"
    seed: int = 0
    max_concurrent_runs: Annotated[int, Meta(ge=0, le=MOST_TRIALS)] = 0
    max_duration_minutes: Annotated[int, Meta(ge=1, le=43_200)] = 10_080
    policy: Policy | None = None
    parameters: dict[str, Any] = {}
    metrics_output: str = ""
    model_files: dict[str, str] = {}

    def problems(self, field: str) -> Iterator[Problem]:
        if not self.space:
            yield Problem("InvalidSettings", f"{field}.space", "There is nothing to search.", "Name hyperparameters.")
        for name, expression in self.space.items():
            yield from _space_problems(name, expression, f"{field}.space", grid=self.sampling == "grid")
        if not self.primary_metric:
            fix = "Name what the trials log."
            yield Problem("InvalidSettings", f"{field}.primary_metric", "There is no primary metric.", fix)
        if self.policy is not None and (complaint := self.policy.problem()):
            yield Problem("InvalidSettings", f"{field}.policy", complaint, "See docs/hyperdrive.md.")
        for name, path in self.model_files.items():
            if problem := PATH.problem(path, f"{field}.model_files.{shown(name)[1:-1]}"):
                yield problem

    def step_problems(self, step: Step, place: str) -> Iterator[Problem]:
        """Each output of the step is the trial's, its metrics, or a model; the template is one Python script."""
        if step.template is None:
            return
        if len(step.template.steps) != 1 or step.template.steps[0].kind != "python_script":
            fix = "Give it one step, of the kind python_script."
            yield Problem("WrongTemplate", f"{place}.template.steps", "A trial is one Python script.", fix)
            return
        ports = {port.name for port in step.outputs}
        written = {port.name for port in step.template.steps[0].outputs}
        made = {*self.model_files, *([self.metrics_output] if self.metrics_output else [])}
        for name in sorted(made - ports):
            message = f"The step has no output {shown(name)}, which its settings name."
            yield Problem("UnknownOutput", f"{place}.outputs", message, suggestion(name, ports, "outputs"))
        for name in sorted(ports - made - written):
            message = f"Nothing makes the output {shown(name)}."
            fix = "Let the trial have it, or name it in model_files or metrics_output."
            yield Problem("UnknownOutput", f"{place}.outputs", message, fix)
        declared = {parameter.name for parameter in step.template.parameters}
        for name in sorted(self.parameters.keys() - declared):
            message = f"The template has no parameter {shown(name)}."
            hint = suggestion(name, declared, "parameters")
            yield Problem("UnknownParameter", f"{place}.settings.parameters", message, hint)

    def trials(self) -> list[Values]:
        """The combinations, in the order of the trials."""
        if self.sampling == "grid":
            return [values for values, _ in zip(sampling.grid(self.space), range(self.max_total_runs), strict=False)]
        return sampling.drawn(self.space, sampling.seed_of(self.space, self.seed), self.max_total_runs)


class HyperDriveTrial(PythonScript, frozen=True, kw_only=True):
    """One trial: a Python script. With a `policy`, it looks at the other trials of its run whenever it logs the primary
    metric, and is ended when the policy says so. With a `process_count_per_node` the script runs by MPI, as that of a
    step of the kind mpi.
    """

    node_count: Annotated[int, Meta(ge=1)] = 1
    process_count_per_node: Annotated[int, Meta(ge=0)] = 0
    hyperparameters: dict[str, Value] = {}
    primary_metric: str = ""
    goal: Goal = Goal.MAXIMIZE
    policy: Policy | None = None


def trial_step(step: Step, search: HyperDrive, number: int, values: Values) -> Step:
    """The trial `number`, counted from 0, of the template's step."""
    settings = {
        **step.settings,
        "hyperparameters": dict(values),
        "primary_metric": search.primary_metric,
        "goal": search.goal.value,
    }
    if search.policy is not None:
        settings["policy"] = msgspec.to_builtins(search.policy)
    return msgspec.structs.replace(
        step,
        id=trial_id(number),
        kind=TRIAL,
        settings=settings,
        arguments=(*step.arguments, *arguments_of(values)),
    )


def trial_id(number: int) -> str:
    return f"trial-{number:04d}"


def arguments_of(values: Values) -> Iterator[Argument]:
    """How a script is told its values (azureml-v1): each as an option of its name and a text."""
    for name, value in values.items():
        yield Literal(value=name if name.startswith("-") else f"--{name}")
        yield Literal(value=text_of(value))


def _space_problems(name: str, expression: Expression, field: str, *, grid: bool) -> Iterator[Problem]:
    where = f"{field}.{shown(name)[1:-1]}"
    if not name.strip("-") or any(c.isspace() for c in name):
        yield Problem("InvalidName", where, f"{shown(name)} is no name of a hyperparameter.", "Use a word.")
    if complaint := expression.complaint():
        yield Problem("InvalidSettings", where, complaint, "See docs/hyperdrive.md.")
    elif grid and expression.all() is None:
        yield Problem("InvalidSettings", where, f"The values of {shown(name)} cannot be listed.", _GRID_ADVICE)
