"""Resolve a step into a job: its parameters, and what stands behind each of its input ports."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from orchestrator.core.definition import (
    DataPathValue,
    DatasetSource,
    DatasetValue,
    DatastoreSource,
    Input,
    ParameterSource,
    ParentSource,
    StepSource,
)
from orchestrator.core.errors import Broken
from orchestrator.core.job import Deferred, InputData, Job
from orchestrator.core.nesting import Children
from orchestrator.core.plan import Plan
from orchestrator.core.resolving import resolve_path, resolve_step
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.engine.lease import Lease
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import fresh_head, load_dataset, load_plan, load_results, read_info, step_result
from orchestrator.ports import Task


def resolve(
    memory: ProcessMemory,
    plan: Plan,
    info: RunInfo,
    position: int,
    adopted: Mapping[int, StepResult] = MappingProxyType({}),
) -> Task[dict[str, InputData]]:
    """What stands behind each input port of the step. Raises Broken when a producer that is done has no such output.

    `adopted`: results that are about to be committed, and not yet to be found in storage.
    """
    step = plan.step(position)
    producers = {plan.index[port.source.step] for port in step.inputs if isinstance(port.source, StepSource)}
    yield from load_results(memory, info.id, producers - adopted.keys())
    inputs: dict[str, InputData] = {}
    for port in step.inputs:
        inputs[port.name] = yield from _resolve(memory, plan, info, port, adopted)
    return inputs


def job_of(
    plan: Plan,
    info: RunInfo,
    lease: Lease,
    inputs: dict[str, InputData],
    children: Children | None = None,
    *,
    deferred: Deferred | None = None,
    called_off: bool = False,
) -> Job:
    """The job of this attempt. Raises Broken for a parameter without a value."""
    return Job(
        run=info.id,
        experiment=info.experiment,
        position=lease.position,
        step=resolve_step(plan.step(lease.position), info.parameters),
        attempt=lease.claim.attempt,
        owner=lease.claim.owner,
        parameters=info.parameters,
        inputs=inputs,
        children=children,
        retries=lease.claim.retries,
        deferred=deferred,
        called_off=called_off,
    )


def _resolve(
    memory: ProcessMemory, plan: Plan, info: RunInfo, port: Input, adopted: Mapping[int, StepResult]
) -> Task[InputData]:
    match port.source:
        case DatastoreSource(datastore=datastore, path=path):
            return InputData(datastore=datastore, path=resolve_path(path, info.parameters))
        case DatasetSource(id=id_):
            return (yield from _saved(memory, id_))
        case ParameterSource(name=name):
            match info.parameters.get(name):
                case DataPathValue(datastore=datastore, path=path):
                    return InputData(datastore=datastore, path=path)
                case DatasetValue(id=id_):
                    return (yield from _saved(memory, id_))
                case value:
                    raise Broken(f"The parameter {name} of run {info.id} is {value!r}, and is no data.")
        case StepSource() as source:
            return (yield from _committed(memory, plan, info.id, source, adopted))
        case ParentSource() as source:
            return (yield from _of_parent(memory, info, source))


def _was_skipped(memory: ProcessMemory, plan: Plan, run: str, position: int) -> Task[bool]:
    """Whether a condition has skipped the step, so that it has no outputs."""
    if not plan.conditional:
        return False
    known = memory.head(run)
    if known is None or not known.head.ended >> position & 1:
        known = yield from fresh_head(memory, run)
    return known is not None and bool(known.head.skipped >> position & 1)


def _of_parent(memory: ProcessMemory, info: RunInfo, source: ParentSource) -> Task[InputData]:
    """What the step has that became this run."""
    parent = (yield from read_info(memory, info.parent_run)) if info.is_part else None
    if parent is None:
        raise Broken(f"Run {info.id} is not part of another run, whose input {source.input} it could take.")
    plan = yield from load_plan(memory, parent.definition)
    ports = {port.name: port for port in plan.step(info.parent_step).inputs}
    if source.input not in ports:
        raise Broken(f"The step that became run {info.id} has no input {source.input}.")
    data = yield from _resolve(memory, plan, parent, ports[source.input], {})
    return _one_file(data, source.file) if source.file else _narrowed(data, source.files)


def _one_file(data: InputData, name: str) -> InputData:
    """This file of it. Raises Broken when an upstream output has no such file."""
    if data.dataset_id:
        return msgspec.structs.replace(data, only=(name,), is_file=True)
    if data.files is None:
        return InputData(datastore=data.datastore, path=f"{data.path.strip('/')}/{name}".strip("/"))
    (file,) = _narrowed(data, (name,)).files or ()
    whole = msgspec.structs.replace(file, path="", blob="")
    return InputData(datastore=data.datastore, path=file.name_below(data.path), is_file=True, files=(whole,))


def _narrowed(data: InputData, names: tuple[str, ...]) -> InputData:
    """Only these files of it. Raises Broken when an upstream output has no such file."""
    if not names:
        return data
    if data.files is None:
        return msgspec.structs.replace(data, only=names)
    there = {file.path: file for file in data.files}
    missing = [name for name in names if name not in there]
    if missing:
        raise Broken(f"The output at {data.path} has no file {missing[0]!r}.")
    return msgspec.structs.replace(data, files=tuple(there[name] for name in names))


def _saved(memory: ProcessMemory, id_: str) -> Task[InputData]:
    document = yield from load_dataset(memory, id_)
    return InputData(dataset_id=id_, dataset=document)


def _committed(
    memory: ProcessMemory, plan: Plan, run: str, source: StepSource, adopted: Mapping[int, StepResult]
) -> Task[InputData]:
    position = plan.index[source.step]
    if (yield from _was_skipped(memory, plan, run, position)):
        store = next(port.datastore for port in plan.step(position).outputs if port.name == source.output)
        return InputData(datastore=store, path=f"runs/{run}/{source.step}/skipped", files=(), view=source.view)
    result = adopted.get(position) or (yield from step_result(memory, run, position))
    output = result.outputs.get(source.output)
    if output is None:
        raise Broken(f"Step {source.step} of run {run} committed no output named {source.output}.")
    if output.dataset:
        return (yield from _saved(memory, output.dataset))
    if output.in_place:
        return InputData(datastore=output.datastore, path=output.prefix, is_file=output.is_file, view=source.view)
    return InputData(
        datastore=output.datastore,
        path=output.prefix,
        is_file=output.is_file,
        files=output.files,
        view=source.view,
    )
