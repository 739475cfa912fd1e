"""A search seen from outside: its trials, their values and metrics, and the best of them."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from millstream.errors import UnknownThing
from millstream.step_run import StepRun
from orchestrator.core.early_termination import Goal
from orchestrator.core.names import shown
from orchestrator.core.result import Metric
from orchestrator.core.trials import STOPPED, Outcome, ranked, score_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millstream.experiment import Experiment
    from millstream.views import StepView
    from orchestrator.core.definition import Step

KIND = "hyperdrive"


class HyperDriveRun(StepRun):
    """The run of a step that searches. Its children are its trials, with ids as any step's run.

    `hyperdrive_config` means nothing. Raises UnknownThing, when it is asked for trials, if the step is no search.
    """

    type = "hyperdrive"

    def __init__(self, experiment: Experiment, run_id: str, hyperdrive_config: Any = None, **more: Any) -> None:
        del hyperdrive_config
        super().__init__(experiment, run_id, **more)

    @property
    def trials_run_id(self) -> str | None:
        """The id of the run whose steps are the trials; None: it has not begun. Of a reused step: the earlier one's."""
        view = self._look()
        if view.kind != KIND:
            raise UnknownThing(f"The step {shown(view.name)} is of the kind {view.kind}, and searches nothing.")
        return view.child.run if view.child is not None else view.properties.get("hyperdrive_run")

    def get_children(self, **_: Any) -> list[StepRun]:
        """The trials."""
        run = self.trials_run_id
        if run is None:
            return []
        return [StepRun(self.experiment, f"{run}_{view.id}", _view=view) for view in self.api.steps(run)]

    def get_hyperparameters(self) -> dict[str, str]:
        """Run of a trial -> its values, as JSON."""
        return {f"{self.trials_run_id}_{step.id}": json.dumps(_values(step)) for step in self._trials}

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> dict[str, Any]:
        """Run of a trial -> what it has logged, by name."""
        return {child.id: child.get_metrics(name, recursive, run_type, populate) for child in self.get_children()}

    def get_children_sorted_by_primary_metric(
        self, top: int = 0, reverse: bool = False, discard_no_metric: bool = False
    ) -> list[dict[str, Any]]:
        """The trials as run_id, hyperparameters (JSON), best_primary_metric and status, the best first.

        `top`: only so many. `reverse`: the worst first; those without the metric come last, or not at all.
        """
        values = self.get_hyperparameters()
        children = {child.id: child.details for child in self.get_children()}
        scores = self._scores()
        order = [outcome.id for outcome in self._ranked(scores)]
        order = order[::-1] if reverse else order
        rest = [] if discard_no_metric else [run for run in children if scores.get(run) is None]
        made = [
            {
                "run_id": run,
                "hyperparameters": values.get(run, "{}"),
                "best_primary_metric": scores.get(run),
                "status": status_of(children[run]),
            }
            for run in [*order, *rest]
        ]
        return made[:top] if top else made

    def get_best_run_by_primary_metric(
        self, include_failed: bool = True, include_canceled: bool = True, include_resume_from_runs: bool = True
    ) -> StepRun | None:
        """The trial with the best value of the primary metric; None: none has logged it.

        Those that failed, or were canceled (by a policy, or with the run), count unless that is not wanted.
        """
        del include_resume_from_runs
        children = {child.id: child for child in self.get_children()}
        left_out = {"Failed"} if not include_failed else set()
        left_out |= {"Canceled"} if not include_canceled else set()
        for outcome in self._ranked(self._scores()):
            if status_of(children[outcome.id].details) not in left_out:
                return children[outcome.id]
        return None

    def get_hyperdrive_config(self) -> dict[str, Any]:
        """The settings of the search, as the definition has them."""
        return dict(self._search.settings)

    def get_diagnostics(self) -> str:
        """What the search itself has logged."""
        return self.get_stdout_log()

    @cached_property
    def _search(self) -> Step:
        return self._step()

    @property
    def _trials(self) -> Sequence[Step]:
        run = self.trials_run_id
        return () if run is None else self.api.run_definition(run).steps

    def _goal(self) -> Goal:
        return Goal(self._search.settings["goal"])

    def _scores(self) -> dict[str, float | None]:
        run = self.trials_run_id
        if run is None:
            return {}
        metric, goal = self._search.settings["primary_metric"], self._goal()
        logged = self.api.metrics(run).steps
        found = {step.id: msgspec.convert(logged.get(step.id, ()), tuple[Metric, ...]) for step in self._trials}
        return {f"{run}_{step}": score_of(metrics, metric, goal) for step, metrics in found.items()}

    def _ranked(self, scores: dict[str, float | None]) -> list[Outcome]:
        outcomes = (Outcome(id=run, score=score, completed=True) for run, score in scores.items())
        return ranked(outcomes, self._goal())


class HyperDriveStepRun(HyperDriveRun):
    """The search of a step of a pipeline run: `HyperDriveStepRun(pipeline_run.find_step_run("search")[0])`."""

    def __init__(self, step_run: StepRun) -> None:
        super().__init__(step_run.experiment, step_run.id)


def status_of(view: StepView) -> str:
    """As version 1 has it: what a policy has ended is Canceled."""
    if view.error is not None and view.error.code == STOPPED:
        return "Canceled"
    return view.status


def _values(step: Step) -> dict[str, Any]:
    return dict(step.settings.get("hyperparameters", {}))
