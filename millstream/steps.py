"""Steps: what runs, from which folder, with which data, after which other steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.conditions import Comparison
from millstream.environment import Environment
from millstream.parameter import PipelineParameter
from millstream.tokens import refuse_tokens
from millstream.wiring import Wiring, environment_of, wire
from orchestrator.core.definition import Definition, FromParameter
from orchestrator.core.errors import Problem
from orchestrator.core.kinds import KINDS
from orchestrator.core.kinds.python_script import RUN_SETTINGS
from orchestrator.core.names import SCRIPT, STEP_NAME, shown, suggestion
from orchestrator.core.priority import LEAST, MOST
from orchestrator.core.retry import RetryPolicy

if TYPE_CHECKING:
    from millstream.graph import Graph

DEFAULT_COMPUTE = "function"
MPI = "mpi"
MPI_COMMUNICATORS = ("Mpi", "OpenMpi", "IntelMpi")


class PipelineStep(ABC):
    """What all kinds of step have in common. `kind` is the definition's name for it."""

    kind: str
    kept_snapshot: str | None = None
    """Its source folder, where the service has it already."""
    body: Graph | None = None
    """The pipeline that it runs, if it does."""
    body_folder: Path | None = None
    """The folder of the body's steps that name none; None: that of the pipeline around it."""

    condition: Comparison | None = None
    after_skipped: bool = False

    def __init__(
        self,
        name: str,
        *,
        inputs: Any = None,
        outputs: Any = None,
        arguments: Any = None,
        compute_target: Any = None,
        params: Mapping[str, Any] | None = None,
        runconfig: Any = None,
        source_directory: str | Path | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        source_files: Iterable[str] = (),
    ) -> None:
        self.name = STEP_NAME.check(name, "name")
        what = f"Step {shown(name)}"
        self.wiring = wire(what, inputs=inputs, outputs=outputs, arguments=arguments)
        variables = getattr(getattr(runconfig, "environment", None), "environment_variables", None) or {}
        self.environment = environment_of(what, params, variables, self.wiring)
        self.compute = compute_name(compute_target, runconfig, what)
        self.source_directory = None if source_directory is None else Path(source_directory)
        self.allow_reuse = allow_reuse
        self.source_files = (source_files,) if isinstance(source_files, str) else tuple(source_files)
        self.version = version
        self.retry = retry_policy(retry)
        limit = getattr(runconfig, "max_run_duration_seconds", None) if timeout_seconds is None else timeout_seconds
        self.timeout_seconds = limit
        self.timeout = _timeout(limit, self.wiring, what)
        asked = getattr(runconfig, "priority", None) if priority is None else priority
        self.priority = _priority(asked, what)
        environment = getattr(runconfig, "environment", None)
        wishes = environment.wishes() if isinstance(environment, Environment) else {}
        self.wishes: dict[str, Any] = self.wiring.setting(wishes, f"{what}, environment")
        self.predecessors: list[PipelineStep] = []
        for output in self.wiring.outputs:
            output.port.producer = self

    def run_after(self, step: PipelineStep | Iterable[PipelineStep]) -> None:
        """Start this step when `step` (or every step of a list) has succeeded, without taking data from it."""
        for other in [step] if isinstance(step, PipelineStep) else step:
            if not isinstance(other, PipelineStep):
                raise TypeError(f"Step {shown(self.name)}: run_after takes steps, not {other!r}.")
            if other is self:
                raise ValueError(f"Step {shown(self.name)} cannot run after itself.")
            if other not in self.predecessors:
                self.predecessors.append(other)

    def run_if(self, condition: Comparison, *, even_after_skipped: bool = False) -> None:
        """Run this step only if the condition holds, which is about another step: `StepMetric(train, "auc") >= 0.9`.

        Otherwise it is skipped, and so is what waits for it, unless that says `run_even_after_skipped`.
        """
        if not isinstance(condition, Comparison):
            raise TypeError(
                f"Step {shown(self.name)}: run_if takes a comparison of a StepMetric, StepProperty or StepText."
            )
        if isinstance(condition.than, PipelineParameter):
            self.wiring.parameters.append(condition.than)
        self.condition = condition
        self.after_skipped = self.after_skipped or even_after_skipped

    def run_even_after_skipped(self) -> None:
        """Run this step even if one that it waits for was skipped for its condition; it finds empty folders then."""
        self.after_skipped = True

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The settings of this kind of step, as in the definition."""

    @property
    def needs_snapshot(self) -> bool:
        return KINDS[self.kind].needs_snapshot

    def source_problem(self, folder: Path) -> Problem | None:
        """What `folder` lacks for this step to run from it; nothing, if it runs from none."""
        del folder
        return None

    def template(self, default_datastore: str, snapshot: str | None) -> Definition | None:
        """The pipeline that the step becomes, or is made of, if it is of such a kind. `snapshot`: its source folder."""
        del default_datastore, snapshot
        return None

    def refusal(self) -> Problem | None:
        """Why no workspace here can run it, if none can."""
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class ScriptStep(PipelineStep):
    """A step that runs the script `script_name` of its source folder, whose name is that of the script by default."""

    pattern = "*.py"
    """Of the scripts that are named where this one is not there."""

    def __init__(self, script_name: str, name: str | None, **more: Any) -> None:
        self.script_name = script_path(script_name, "script_name")
        super().__init__(name or str(script_name), **more)

    def source_problem(self, folder: Path) -> Problem | None:
        near = sorted(path.name for path in folder.glob(self.pattern))[:8] if folder.is_dir() else []
        fix = f"The folder has {', '.join(map(shown, near))}." if near else "There are no scripts in that folder."
        if self.source_directory is None:
            fix += " Give the step a source_directory, or the pipeline a default_source_directory."
        return missing_file(self, folder / self.script_name, "script", fix)


class PythonScriptStep(ScriptStep):
    """Runs `python <script_name> <arguments>` in a copy of `source_directory`.

    `name` defaults to the script's. Beside v1's arguments: `retry` (a RetryPolicy, or a number of tries after the
    first), `timeout_seconds`, which may be a parameter, `priority`, -100 to 100, of which more goes first, and
    `source_files`: names, folders or patterns of the files whose change makes the step run again; the script always
    counts, and without `source_files` the whole folder does.
    With an MPI communicator in its `runconfig`, the script runs in as many processes as that says, or as
    `runconfig_pipeline_params` say; otherwise these are recorded. `hash_paths` means nothing.
    """

    kind = "python_script"

    def __init__(
        self,
        script_name: str,
        name: str | None = None,
        arguments: Any = None,
        compute_target: Any = None,
        runconfig: Any = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        inputs: Any = None,
        outputs: Any = None,
        params: Mapping[str, Any] | None = None,
        source_directory: str | Path | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Any = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        del hash_paths
        refuse_unknown(PythonScriptStep.__init__, unknown)
        super().__init__(
            script_name,
            name,
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            compute_target=compute_target,
            params=params,
            runconfig=runconfig,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
            source_files=source_files,
        )
        self.run_settings = run_settings(runconfig_pipeline_params, self.wiring, f"Step {shown(self.name)}")
        self.processes = mpi_counts(runconfig, self.run_settings)
        if self.processes is not None:
            self.kind = MPI

    @property
    def settings(self) -> dict[str, Any]:
        recorded = {"environment": self.wishes, **(self.processes or {"run_settings": self.run_settings})}
        return {"script": self.script_name, **{name: value for name, value in recorded.items() if value != {}}}


def script_path(name: Any, field: str) -> str:
    """The path of a script in its source folder. Raises InvalidRequest, with the field, for one that cannot be."""
    path = SCRIPT.check(str(name).replace("\\", "/").removeprefix("./"), field)
    refuse_tokens(path, field)
    return path


def missing_file(step: PipelineStep, file: Path, what: str, fix: str) -> Problem | None:
    """What to say if there is no such file. `what` it is; `fix`: what to do then."""
    if file.is_file():
        return None
    return Problem("MissingScript", f"step {shown(step.name)}", f"There is no {what} {file.absolute()}.", fix)


def mpi_counts(runconfig: Any, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """How many nodes and processes MPI was asked for, by a RunConfiguration, or first by runconfig_pipeline_params;
    None: it was not.
    """
    if getattr(runconfig, "communicator", None) not in MPI_COMMUNICATORS:
        return None
    nodes = max(runconfig.node_count, runconfig.mpi.node_count)
    return {
        "node_count": given.get("NodeCount", nodes),
        "process_count_per_node": given.get("MpiProcessCountPerNode", runconfig.mpi.process_count_per_node),
    }


def run_settings(given: Mapping[str, Any] | None, wiring: Wiring, what: str) -> dict[str, Any]:
    """v1's runconfig_pipeline_params. Raises ValueError for a name that v1 does not have either."""
    unknown = [name for name in given or {} if name not in RUN_SETTINGS]
    if unknown:
        hint = suggestion(unknown[0], RUN_SETTINGS, "names")
        raise ValueError(f"{what}: runconfig_pipeline_params has {shown(unknown[0])}, which is not known. {hint}")
    made: dict[str, Any] = wiring.setting(dict(given or {}), f"{what}, runconfig_pipeline_params")
    return made


def _timeout(given: Any, wiring: Wiring, what: str) -> float | FromParameter | None:
    if isinstance(given, PipelineParameter):
        wiring.parameters.append(given)
        return FromParameter(name=given.name)
    if given is not None and (isinstance(given, bool) or not isinstance(given, int | float)):
        raise TypeError(f"{what}: timeout_seconds must be a number or a PipelineParameter, not {given!r}.")
    return None if given is None else float(given)


def _priority(given: Any, what: str) -> int | None:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise TypeError(f"{what}: priority must be a whole number, not {given!r}.")
    if given is not None and not LEAST <= given <= MOST:
        raise ValueError(f"{what}: priority is {given}; it must be {LEAST} to {MOST}.")
    return given


def compute_name(target: Any, runconfig: Any, what: str) -> str:
    """The name of the compute that a step asks for; without one, the functions app itself."""
    if target is None:
        asked = getattr(runconfig, "target", None)
        target = None if asked == "local" else asked
    if isinstance(target, tuple):
        target = target[0] if target else None
    if target is None:
        return DEFAULT_COMPUTE
    name = target if isinstance(target, str) else getattr(target, "name", None)
    if not isinstance(name, str) or not name:
        raise TypeError(f"{what}: compute_target must be a name or a compute target, not {target!r}.")
    return name


def retry_policy(retry: RetryPolicy | int | None) -> RetryPolicy:
    if isinstance(retry, RetryPolicy):
        return retry
    return RetryPolicy(max_retries=retry or 0)
