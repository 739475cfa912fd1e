"""The kinds of step a definition may hold. A new kind is a module with its settings, and one line in KINDS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.core.definition import Definition, all_steps
from orchestrator.core.kinds.azure_batch import BatchTask
from orchestrator.core.kinds.command import CommandLine
from orchestrator.core.kinds.data_transfer import DataTransfer
from orchestrator.core.kinds.databricks import DatabricksJob
from orchestrator.core.kinds.hyperdrive import TRIAL, HyperDrive, HyperDriveTrial
from orchestrator.core.kinds.kusto import KustoQuery
from orchestrator.core.kinds.map import MapItems
from orchestrator.core.kinds.mpi import MpiScript
from orchestrator.core.kinds.notebook import NotebookRun
from orchestrator.core.kinds.parallel_run import MiniBatches, ParallelRun
from orchestrator.core.kinds.pipeline import SubPipeline
from orchestrator.core.kinds.python_script import PythonScript
from orchestrator.core.kinds.r_script import RScript
from orchestrator.core.kinds.settings import Settings
from orchestrator.core.kinds.sql import SqlQuery
from orchestrator.core.kinds.synapse_spark import SparkBatch
from orchestrator.core.kinds.usql import UsqlScript


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`needs_snapshot`: the step runs from a source folder, which must have been uploaded. `composite`: it becomes a
    run of many steps, whose results it joins. `template`: its steps have one. `deferrable`: a service may do its work,
    while nobody holds the step. `service`: the type of what its steps' computes must be attached to, since nothing else
    does their work; "": there is no such thing.
    """

    settings: type[Settings]
    needs_snapshot: bool
    composite: bool = False
    template: bool = False
    deferrable: bool = False
    service: str = ""


KINDS: Mapping[str, Kind] = {
    "adla": Kind(settings=UsqlScript, needs_snapshot=True),
    "azure_batch": Kind(settings=BatchTask, needs_snapshot=False, deferrable=True, service="Batch"),
    "databricks": Kind(settings=DatabricksJob, needs_snapshot=False, deferrable=True),
    "command": Kind(settings=CommandLine, needs_snapshot=False),
    "data_transfer": Kind(settings=DataTransfer, needs_snapshot=False),
    "hyperdrive": Kind(settings=HyperDrive, needs_snapshot=False, composite=True, template=True),
    TRIAL: Kind(settings=HyperDriveTrial, needs_snapshot=True),
    "kusto": Kind(settings=KustoQuery, needs_snapshot=False, service="Kusto"),
    "mpi": Kind(settings=MpiScript, needs_snapshot=True),
    "map": Kind(settings=MapItems, needs_snapshot=False, composite=True, template=True),
    "notebook": Kind(settings=NotebookRun, needs_snapshot=True),
    "mini_batches": Kind(settings=MiniBatches, needs_snapshot=True),
    "parallel_run": Kind(settings=ParallelRun, needs_snapshot=True, composite=True),
    "pipeline": Kind(settings=SubPipeline, needs_snapshot=False, composite=True, template=True),
    "python_script": Kind(settings=PythonScript, needs_snapshot=True),
    "r_script": Kind(settings=RScript, needs_snapshot=True),
    "sql": Kind(settings=SqlQuery, needs_snapshot=False),
    "synapse_spark": Kind(settings=SparkBatch, needs_snapshot=True, deferrable=True),
}


def settings_of(kind: str, settings: Mapping[str, Any]) -> Settings:
    """The settings of a step as its kind's own value. Raises KeyError (kind), msgspec.ValidationError (shape)."""
    return msgspec.convert(dict(settings), KINDS[kind].settings)


def served(definition: Definition) -> set[str]:
    """The computes of steps whose work a service does, and nothing else."""
    steps = (step for _, step in all_steps(definition))
    return {step.compute for step in steps if (kind := KINDS.get(step.kind)) is not None and kind.service}
