"""The kinds of steps. To add one, add its line here.

A kind is a module with `run(context: StepContext) -> None`, or, of a step that becomes many, with `expand` and `join`
(see `steps.composite`). One whose work a service may do (`deferrable` in `orchestrator.core.kinds`) returns NotYet
until it is done, and has a `call_off`, too. It is imported when first needed, so that a worker pays only for the kinds
it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Protocol, cast

from steps.composite import Composite
from steps.context import StepContext
from steps.deferred import NotYet
from steps.failures import InvalidStep

KINDS: Mapping[str, str] = {
    "adla": "steps.adla",
    "azure_batch": "steps.azure_batch.step",
    "databricks": "steps.databricks.step",
    "command": "steps.command",
    "data_transfer": "steps.data_transfer",
    "hyperdrive": "steps.hyperdrive",
    "hyperdrive_trial": "steps.hyperdrive_trial",
    "kusto": "steps.kusto.step",
    "mpi": "steps.mpi",
    "map": "steps.map",
    "notebook": "steps.notebook",
    "mini_batches": "steps.mini_batches",
    "parallel_run": "steps.parallel_run",
    "pipeline": "steps.pipeline",
    "python_script": "steps.python_script",
    "r_script": "steps.r_script",
    "sql": "steps.sql",
    "synapse_spark": "steps.synapse.step",
}

IN_STORAGE = frozenset({"data_transfer"})
"""Kinds that leave the data of a step where it lies: nothing is brought for them, and what they put out they say."""


class Kind(Protocol):
    """Does the step's own work."""

    def run(self, context: StepContext) -> NotYet | None:
        """Raises StepFailure when it cannot be done, Stopped when it is not wanted any more."""
        ...

    def call_off(self, context: StepContext) -> NotYet | None:
        """End what a service does for the step, if it does. Safe to repeat. Raises StepFailure, Stopped."""
        ...


def kind(name: str) -> Kind:
    """Raises InvalidStep."""
    return cast(Kind, _module(name))


def composite(name: str) -> Composite | None:
    """A kind whose steps become many; None: the kind is not of that sort. Raises InvalidStep."""
    found = _module(name)
    return cast(Composite, found) if hasattr(found, "expand") else None


def _module(name: str) -> ModuleType:
    try:
        return import_module(KINDS[name])
    except KeyError:
        raise InvalidStep(f"There is no kind of step {name!r}; there are: {', '.join(sorted(KINDS))}.") from None
