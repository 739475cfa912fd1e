"""HyperDriveStep: a search for hyperparameters as a step. The trials are steps of a run that it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from millstream.arguments import refuse_unknown
from millstream.data import PipelineData
from millstream.hyperdrive import HyperDriveConfig
from millstream.parameter import PipelineParameter
from millstream.steps import PipelineStep, PythonScriptStep
from millstream.training_output import TrainingOutput
from orchestrator.core.definition import Definition, FromParameter, Input, ParentSource, Step
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy


class HyperDriveStep(PipelineStep):
    """Runs the script of `hyperdrive_config` once for each combination of values; the best trial's outputs are its own.

    `estimator_entry_script_arguments` are those that every trial has; the values of a trial follow them, as
    `--<name> <value>`. An output with a TrainingOutput is the best trial's model, or the metrics of all; so is
    `metrics_output`. Other outputs are written by the script. Beside v1's arguments: `retry` and `timeout_seconds`, of
    a trial, as of PythonScriptStep.
    """

    kind = "hyperdrive"

    def __init__(
        self,
        name: str,
        hyperdrive_config: HyperDriveConfig,
        estimator_entry_script_arguments: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        metrics_output: PipelineData | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(HyperDriveStep.__init__, unknown)
        if not isinstance(hyperdrive_config, HyperDriveConfig):
            raise TypeError(f"HyperDriveStep: hyperdrive_config must be a HyperDriveConfig, not {hyperdrive_config!r}.")
        config = self.hyperdrive_config = hyperdrive_config
        arguments = estimator_entry_script_arguments
        if arguments is None and config.estimator is not None:
            raise ValueError("HyperDriveStep needs estimator_entry_script_arguments; pass [] if there are none.")
        results = _Results(name, outputs, metrics_output)
        common = {"inputs": inputs, "arguments": config.arguments if arguments is None else arguments}
        self.trial = PythonScriptStep(
            config.script,
            name=name,
            outputs=results.written,
            runconfig=config.run_config,
            source_directory=config.source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
            **common,
        )
        if self.trial.kind != PythonScriptStep.kind:
            raise ValueError(f"HyperDriveStep {shown(name)}: a trial is one process; leave MPI out of its run_config.")
        super().__init__(
            name,
            outputs=[*results.written, *results.made],
            source_directory=config.source_directory,
            allow_reuse=allow_reuse,
            version=version,
            **common,
        )
        self.wiring.arguments.clear()
        self.wiring.parameters.extend(self.trial.wiring.parameters)
        self._search = config.settings(
            parameters={it.name: msgspec.to_builtins(FromParameter(name=it.name)) for it in self._parameters()},
            metrics_output=results.metrics,
            model_files=results.models,
        )

    @property
    def settings(self) -> dict[str, Any]:
        made: dict[str, Any] = msgspec.to_builtins(self._search)
        return made

    @property
    def needs_snapshot(self) -> bool:
        """The trials run from one."""
        return True

    def source_problem(self, folder: Path) -> Problem | None:
        return self.trial.source_problem(folder)

    def template(self, default_datastore: str, snapshot: str | None) -> Definition:
        """A pipeline of one trial, without values of hyperparameters."""
        trial = self.trial
        plain: dict[str, Any] = {"register": None, "destination": (), "pipeline_output": None}
        outputs = (handle.output(default_datastore) for handle in trial.wiring.outputs)
        step = Step(
            id="trial",
            name=self.name,
            kind=trial.kind,
            compute=trial.compute,
            snapshot=snapshot,
            settings=trial.settings,
            arguments=tuple(trial.wiring.arguments),
            environment=trial.environment,
            inputs=tuple(
                Input(
                    name=port.name,
                    source=ParentSource(input=port.name),
                    mode=port.mode,
                    path_on_compute=port.path_on_compute,
                )
                for port in trial.wiring.inputs
            ),
            # Only what the step itself puts out is registered, named, and copied to where somebody wants it.
            outputs=tuple(msgspec.structs.replace(it, **plain) for it in outputs),
            allow_reuse=self.allow_reuse,
            source_files=self.source_files,
            version=self.version,
            retry=trial.retry,
            timeout_seconds=trial.timeout,
        )
        return Definition(name=self.name, parameters=tuple(it.declaration for it in self._parameters()), steps=(step,))

    def _parameters(self) -> list[PipelineParameter]:
        """Those of the pipeline whose values a trial needs: data comes by its inputs."""
        used = {it.name: it for it in self.trial.wiring.parameters if not it.is_data}
        return list(used.values())


class _Results:
    """The outputs: `written` by the script, and those that are `made` of results: metrics, and models by output."""

    def __init__(self, step: str, outputs: Any, metrics_output: PipelineData | None) -> None:
        given = [] if outputs is None else list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        self.written: list[Any] = []
        self.made: list[Any] = []
        self.metrics = ""
        self.models: dict[str, str] = {}
        for item in given:
            wish = getattr(item, "training_output", None)
            if not isinstance(wish, TrainingOutput):
                self.written.append(item)
            elif wish.type == "Metrics":
                self._take_metrics(step, item)
            elif wish.model_file is None:
                raise ValueError(f"HyperDriveStep {shown(step)}: the TrainingOutput of a model needs a model_file.")
            else:
                self.made.append(item)
                self.models[item.output_name] = wish.model_file
        if metrics_output is not None:
            self._take_metrics(step, metrics_output)

    def _take_metrics(self, step: str, item: PipelineData) -> None:
        if self.metrics:
            raise ValueError(f"HyperDriveStep {shown(step)}: there are two outputs for the metrics.")
        self.metrics = item.output_name
        self.made.append(item)
