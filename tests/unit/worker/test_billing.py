"""What a process is billed by: as the app, as a container that was told its size, or, as a process, not at all."""

from __future__ import annotations

import pytest

from orchestrator.core.compute import Compute, ComputeKind, Executions
from orchestrator.core.usage import Machine
from orchestrator.settings import read
from worker.equipment import EXECUTION_NAME, engine_settings
from worker.processes import told

STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


def compute(kind: ComputeKind) -> Compute:
    return Compute(name="c", kind=kind, created_at=0.0, executions=Executions(cpu=0.5, memory_gib=1.25))


def machine(environment: dict[str, str]) -> Machine:
    name = environment.pop(EXECUTION_NAME, "")
    return engine_settings(read({**STORAGE, **environment}), name).machine


@pytest.mark.parametrize(("memory", "gib"), [("", 2.0), ("512", 0.5), ("4096", 4.0)])
def test_the_app_is_billed_by_the_memory_of_its_instances(memory: str, gib: float) -> None:
    expected = Machine(kind=ComputeKind.FUNCTION, memory_gib=gib)
    assert machine({"MILLSTREAM_INSTANCE_MEMORY_MB": memory}) == expected


def test_a_container_is_billed_by_the_size_that_it_was_told() -> None:
    expected = Machine(kind=ComputeKind.CONTAINER, memory_gib=1.25, cpu=0.5)
    assert machine(told(compute(ComputeKind.CONTAINER), "c-1")) == expected


def test_a_worker_process_is_not_billed() -> None:
    assert machine(told(compute(ComputeKind.PROCESS), "p-1")).kind is ComputeKind.PROCESS
