"""HyperDriveConfig: what is searched, how, and when a trial is not worth going on with, under v1's names."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.estimator import Estimator
from millstream.hyperdrive_space import space_of
from millstream.script_run_config import ScriptRunConfig
from orchestrator.core import early_termination
from orchestrator.core.early_termination import Goal, Policy
from orchestrator.core.kinds.hyperdrive import HyperDrive
from orchestrator.core.sampling import Choice, QUniform, Uniform

if TYPE_CHECKING:
    from millstream.hyperdrive_step import HyperDriveStep


class PrimaryMetricGoal(Enum):
    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @staticmethod
    def from_str(goal: str) -> PrimaryMetricGoal:
        return PrimaryMetricGoal(str(goal).lower())


class HyperParameterSampling:
    """How combinations are taken from a space: hyperparameter -> expression. `kind`: as in the definition."""

    kind: str

    def __init__(self, parameter_space: Mapping[str, Any], properties: Any = None, *, seed: int = 0) -> None:
        del properties
        self.parameter_space = space_of(parameter_space)
        self.seed = seed


class RandomParameterSampling(HyperParameterSampling):
    """Draws combinations, no two alike. The same space and `seed` draw the same, so that trials are reused."""

    kind = "random"


class GridParameterSampling(HyperParameterSampling):
    """Goes through all combinations of choice() and randint()."""

    kind = "grid"

    def __init__(self, parameter_space: Mapping[str, Any], properties: Any = None, **more: Any) -> None:
        super().__init__(parameter_space, properties, **more)
        endless = [name for name, expression in self.parameter_space.items() if expression.all() is None]
        if endless:
            raise ValueError(f"GridParameterSampling: {endless[0]!r} has no list of values; use choice().")


class BayesianParameterSampling(HyperParameterSampling):
    """v1 learns from the trials before; here combinations are drawn as by RandomParameterSampling, and that is said."""

    kind = "random"

    def __init__(self, parameter_space: Mapping[str, Any], properties: Any = None, **more: Any) -> None:
        super().__init__(parameter_space, properties, **more)
        for name, expression in self.parameter_space.items():
            if type(expression) not in (Choice, Uniform, QUniform):
                raise ValueError(f"BayesianParameterSampling: {name!r} must be choice, uniform or quniform.")
        say("Note: BayesianParameterSampling draws at random here; trials do not learn from one another.")


class EarlyTerminationPolicy:
    """When a trial ends before its script does. `policy` is what the service is told; None: never."""

    policy: Policy | None = None


class NoTerminationPolicy(EarlyTerminationPolicy):
    """Every trial comes to its own end."""


class BanditPolicy(EarlyTerminationPolicy):
    """Ends a trial whose best is further from the best of all than a factor or an amount."""

    def __init__(
        self,
        evaluation_interval: int = 1,
        slack_factor: float | None = None,
        slack_amount: float | None = None,
        delay_evaluation: int = 0,
    ) -> None:
        self.policy = _policy(
            early_termination.Bandit(
                evaluation_interval=evaluation_interval,
                slack_factor=slack_factor,
                slack_amount=slack_amount,
                delay_evaluation=delay_evaluation,
            )
        )


class MedianStoppingPolicy(EarlyTerminationPolicy):
    """Ends a trial whose best is worse than the median of all trials' averages."""

    def __init__(self, evaluation_interval: int = 1, delay_evaluation: int = 0) -> None:
        self.policy = _policy(
            early_termination.MedianStopping(evaluation_interval=evaluation_interval, delay_evaluation=delay_evaluation)
        )


class TruncationSelectionPolicy(EarlyTerminationPolicy):
    """Ends the worst so many percent of the trials."""

    def __init__(
        self,
        truncation_percentage: int,
        evaluation_interval: int = 1,
        delay_evaluation: int = 0,
        exclude_finished_jobs: bool = False,
    ) -> None:
        if not 1 <= truncation_percentage <= 99:
            raise ValueError(
                f"TruncationSelectionPolicy: truncation_percentage is 1 to 99, not {truncation_percentage}."
            )
        self.policy = _policy(
            early_termination.TruncationSelection(
                truncation_percentage=truncation_percentage,
                evaluation_interval=evaluation_interval,
                delay_evaluation=delay_evaluation,
                exclude_finished_jobs=exclude_finished_jobs,
            )
        )


def _policy(policy: Policy) -> Policy:
    """Raises ValueError for numbers that make no sense."""
    complaint = policy.problem()
    if policy.evaluation_interval < 1 or policy.delay_evaluation < 0:
        complaint = "evaluation_interval is 1 or more, delay_evaluation 0 or more."
    if complaint:
        raise ValueError(f"{type(policy).__name__}: {complaint}")
    return policy


class HyperDriveConfig:
    """A search: the script of `estimator` or `run_config` (a ScriptRunConfig), run once a combination.

    At most `max_total_runs` trials, `max_concurrent_runs` at a time, for at most `max_duration_minutes`. The best has
    the best value of the metric `primary_metric_name`.
    """

    def __init__(
        self,
        hyperparameter_sampling: HyperParameterSampling,
        primary_metric_name: str,
        primary_metric_goal: PrimaryMetricGoal,
        max_total_runs: int,
        max_concurrent_runs: int | None = None,
        max_duration_minutes: int = 10080,
        policy: EarlyTerminationPolicy | None = None,
        estimator: Estimator | None = None,
        run_config: ScriptRunConfig | None = None,
        resume_from: Any = None,
        resume_child_runs: Any = None,
        pipeline: Any = None,
        debug_flag: Any = None,
        custom_run_id: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(HyperDriveConfig.__init__, unknown)
        del debug_flag
        if not isinstance(hyperparameter_sampling, HyperParameterSampling):
            raise TypeError(f"HyperDriveConfig: hyperparameter_sampling is {hyperparameter_sampling!r}.")
        if (estimator is None) is (run_config is None):
            raise ValueError("HyperDriveConfig: give an estimator, or a run_config (a ScriptRunConfig).")
        if resume_from or resume_child_runs or pipeline is not None or custom_run_id:
            raise ValueError(
                "HyperDriveConfig: resume_from, resume_child_runs, pipeline and custom_run_id are not supported. "
                "Trials that were run before with the same values and sources are reused by themselves."
            )
        if isinstance(hyperparameter_sampling, BayesianParameterSampling) and policy is not None and policy.policy:
            raise ValueError("HyperDriveConfig: BayesianParameterSampling takes no policy.")
        if not 1 <= max_total_runs <= 1000:
            raise ValueError(f"HyperDriveConfig: max_total_runs is 1 to 1,000, not {max_total_runs}.")
        if max_concurrent_runs is not None and not 1 <= max_concurrent_runs <= 1000:
            raise ValueError(f"HyperDriveConfig: max_concurrent_runs is 1 to 1,000, not {max_concurrent_runs}.")
        if not 1 <= max_duration_minutes <= 43_200:
            raise ValueError(f"HyperDriveConfig: max_duration_minutes is 1 to 43,200, not {max_duration_minutes}.")
        self.sampling = hyperparameter_sampling
        self.primary_metric_name = primary_metric_name
        self.primary_metric_goal = PrimaryMetricGoal(primary_metric_goal)
        self.max_total_runs = max_total_runs
        self.max_concurrent_runs = max_concurrent_runs
        self.max_duration_minutes = max_duration_minutes
        self.policy = policy or NoTerminationPolicy()
        self.estimator = estimator
        self.script_run_config = run_config

    @property
    def _described(self) -> Any:
        """What says which script, arguments and packages: exactly one of the two is given."""
        return self.estimator or self.script_run_config

    @property
    def run_config(self) -> Any:
        """The run configuration of the script."""
        return self._described.run_config

    @property
    def source_directory(self) -> Path:
        return Path(self._described.source_directory)

    @property
    def pipeline(self) -> None:
        """None: a search is of a script."""
        return

    @property
    def script(self) -> str:
        if self.estimator is not None:
            return self.estimator.entry_script
        assert self.script_run_config is not None
        return str(self.script_run_config.script)

    @property
    def arguments(self) -> list[Any]:
        """Those that every trial has."""
        return list(self._described.arguments)

    def settings(self, **more: Any) -> HyperDrive:
        """As the definition has them."""
        return HyperDrive(
            space=self.sampling.parameter_space,
            sampling=self.sampling.kind,
            seed=self.sampling.seed,
            primary_metric=self.primary_metric_name,
            goal=Goal(self.primary_metric_goal.value),
            max_total_runs=self.max_total_runs,
            max_concurrent_runs=self.max_concurrent_runs or 0,
            max_duration_minutes=self.max_duration_minutes,
            policy=self.policy.policy,
            **more,
        )

    def as_step(self) -> HyperDriveStep:
        """The step that does the same. It always runs: only pipelines reuse."""
        from millstream.hyperdrive_step import HyperDriveStep

        inputs = None if self.estimator is None else self.estimator.inputs
        return HyperDriveStep(
            self.script, self, estimator_entry_script_arguments=self.arguments, inputs=inputs, allow_reuse=False
        )
