"""The run, seen from a script: `Run.get_context()`.

Standard library only, and little of that: this import is on the way of every script.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing costs milliseconds that every step would pay
if TYPE_CHECKING:
    from typing import Any

    from millstream.experiment import Experiment
    from millstream.runs import ServiceRun
    from millstream.script_run import ScriptRun

STEP_INFO = "MILLSTREAM_STEP_INFO"


def late(module: str) -> Any:
    """Import a module when it is needed, by name, so that a check of imports sees what a script pays for at once."""
    from importlib import import_module

    return import_module(module)


class RunContextError(Exception):
    """The run context was asked for something that it cannot do here."""


class NotAvailable(RunContextError, AttributeError):
    """A member that v1's Run has and this one has not, with the reason or the alternative."""


class Run:
    """A run. `Run.get_context()` is the one that this script belongs to; `Run.get(workspace, id)` is any other.

    `Run(experiment, run_id)` is a `PipelineRun`, or a `StepRun` when the id is that of a step.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Run:
        if cls is Run and (args or kwargs):
            kind: type[Run] = late("millstream.runs").class_of(*args, **kwargs)
            return object.__new__(kind)
        return object.__new__(cls)

    @classmethod
    def get_context(cls, allow_offline: bool = True, **_: Any) -> ScriptRun:
        """The run of the step whose script calls this; an object that prints, where there is none.

        With `allow_offline` False, RunContextError instead of the latter.
        """
        global _context
        path = os.environ.get(STEP_INFO)
        if path is None and not allow_offline:
            raise RunContextError("This script does not run in a step of a pipeline, and allow_offline is False.")
        if _context is None:
            contexts = late("millstream.contexts")
            _context = contexts.OfflineRun() if path is None else contexts.SubmittedRun(path)
        return _context

    get_submitted_run = get_context

    @classmethod
    def get_docs_url(cls) -> str:
        """The document that says what this class can do."""
        return "docs/v1-compatibility.md#run"

    @staticmethod
    def get(workspace: Any, run_id: str) -> ServiceRun:
        """The pipeline run or step run with this id. Raises UnknownThing."""
        run: ServiceRun = late("millstream.runs").get_run(workspace, run_id)
        return run

    @staticmethod
    def list(
        experiment: Experiment,
        type: str | None = None,
        tags: Any = None,
        properties: Any = None,
        status: str | None = None,
        include_children: bool = False,
    ) -> Any:
        """The runs of an experiment, newest first."""
        return experiment.get_runs(type, tags, properties, include_children, status=status)


_context: ScriptRun | None = None
