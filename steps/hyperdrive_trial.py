"""The kind "hyperdrive_trial": a Python script as of the kind "python_script", with the values of one trial.

settings: as of "python_script", and {"hyperparameters": name -> value, "primary_metric", "goal", "policy"}. With a
policy, the trial is ended where its primary metric, compared with that of the other trials, is not worth going on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import msgspec

from orchestrator.core.early_termination import Goal, Policy, Trial, verdict
from orchestrator.core.kinds.hyperdrive import HyperDriveTrial
from orchestrator.core.result import Metric
from orchestrator.core.trials import values_of
from steps import mpi, python_script
from steps.context import StepContext
from steps.failures import InvalidStep, Stopped, StoppedByPolicy
from steps.stop import Stop, StopReason
from steps.store import StoreFailed
from steps.trial_reports import TrialReports

log = logging.getLogger("millstream.steps")


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    try:
        settings = msgspec.convert(context.job.step.settings, HyperDriveTrial)
    except msgspec.ValidationError as error:
        raise InvalidStep(f"The settings of the trial are wrong: {error}") from error
    if settings.policy is None:
        _run_script(context, settings)
        return
    reports = TrialReports(context.store, context.settings.container, context.job)
    watch = Watch(settings.policy, settings.goal, settings.primary_metric, reports)
    _run_watched(context, watch, settings)


def _run_script(context: StepContext, settings: HyperDriveTrial) -> None:
    """Raises StepFailure, Stopped."""
    if settings.process_count_per_node:
        mpi.launch(context, settings.node_count, settings.process_count_per_node)
    else:
        python_script.run(context)


def _run_watched(context: StepContext, watch: Watch, settings: HyperDriveTrial) -> None:
    """Raises StoppedByPolicy, and what the script raises."""
    watched = replace(context, stop=watch.stop)
    context.live_metrics.observe(watch.saw)
    try:
        with context.stop.calling(lambda: watch.stop.request(context.stop.reason or StopReason.LEASE_LOST)):
            _run_script(watched, settings)
    except Stopped:
        context.stop.check()
        if watch.why is None:
            raise
        raise StoppedByPolicy(f"Stopped by the {watch.policy_name} policy: {watch.why}.") from None
    finally:
        context.exit_code, context.bare_seconds = watched.exit_code, watched.bare_seconds
        context.live_metrics.look()
        if context.stop.reason is not StopReason.RUN_CANCELLED:  # else nobody will read it, or delete it
            watch.end()


class Watch:
    """Judges a trial whenever it has logged its primary metric. `why`, once it is to end, says so."""

    def __init__(self, policy: Policy, goal: Goal, metric: str, reports: TrialReports) -> None:
        self._policy = policy
        self._goal = goal
        self._metric = metric
        self._reports = reports
        self._values: list[float] = []
        self._judged = 0
        self.stop = Stop()
        self.why: str | None = None

    @property
    def policy_name(self) -> str:
        return type(self._policy).__name__

    def saw(self, metrics: Sequence[Metric]) -> None:
        """Take in what the script has logged since the last time. Raises nothing: without storage it goes on."""
        new = values_of(metrics, self._metric)
        if not new or self.why is not None:
            return
        self._values.extend(new)
        try:
            self._judge()
        except (StoreFailed, msgspec.MsgspecError) as error:
            log.warning("trial_not_judged: %s", error)

    def _judge(self) -> None:
        self._reports.publish(Trial(values=tuple(self._values)))
        places = range(self._judged + 1, len(self._values) + 1)
        if any(self._policy.applies_at(interval) for interval in places):
            others = self._reports.others()
            self.why = verdict(self._policy, self._goal, self._values, others, judged=self._judged)
        self._judged = len(self._values)
        if self.why is not None:
            self.stop.request(StopReason.POLICY)

    def end(self) -> None:
        """Tell the others that no more will come. Raises nothing."""
        if self._values:
            with suppress(StoreFailed):
                self._reports.publish(Trial(values=tuple(self._values), ended=True))
