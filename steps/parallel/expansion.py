"""Mini-batches as a pipeline: a step for each group, and what it does in a blob beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core.definition import (
    DataPathValue,
    DatasetValue,
    Definition,
    Input,
    Output,
    Parameter,
    ParentSource,
    Step,
)
from orchestrator.core.kinds.parallel_run import VERDICTS
from orchestrator.core.parameters import type_of
from orchestrator.core.resolving import parameters_used
from orchestrator.core.retry import RetryPolicy
from steps.composite import CompositeContext
from steps.environment import LINK
from steps.failures import InvalidStep, StorageFailed
from steps.parallel import plan
from steps.parallel.plan import Group
from steps.parallel.sources import Divided
from steps.store import StoreFailed
from steps.transfer import Push, push

RETRIES = RetryPolicy(max_retries=2, delay_seconds=2)
"""Of a group whose node or storage failed: what its script does wrong is tried again within the group."""


def write(context: CompositeContext, divided: Sequence[Divided], parts: Sequence[range]) -> list[Group]:
    """Keep the groups `parts` of all mini-batches where their steps find them. Raises StorageFailed, Stopped."""
    groups = [_group(context, number, part, divided) for number, part in enumerate(parts)]
    folder = context.scratch / "groups"
    folder.mkdir(parents=True, exist_ok=True)

    def store(item: tuple[Group, range]) -> None:
        group, part = item
        container = context.settings.container
        if group.rows:
            path = folder / f"{group.number}.parquet"
            _write_rows(path, part, divided)
            push(context.store, Push(container=container, name=group.rows, source=path, path=""), context.stop)
            path.unlink()
        try:
            context.store.put(container, name_of(context.job.prefix, group.number), plan.encode(group))
        except StoreFailed as error:
            raise StorageFailed(f"The list of mini-batches could not be stored: {error}") from error

    context.pool.map(store, list(zip(groups, parts, strict=True)))
    return groups


def name_of(prefix: str, number: int) -> str:
    """The blob of a group; `prefix` is that of the attempt that wrote it."""
    return f"{prefix}/groups/{number:06}.json"


def _group(context: CompositeContext, number: int, part: range, divided: Sequence[Divided]) -> Group:
    source, first = _source(part, divided)
    batches = [
        msgspec.structs.replace(
            source.batches[index - first], index=index, row_group=None if source.rows is None else place
        )
        for place, index in enumerate(part)
    ]
    rows = "" if source.rows is None else name_of(context.job.prefix, number).replace(".json", ".parquet")
    return Group(number=number, port=source.port, batches=tuple(batches), rows=rows)


def _source(part: range, divided: Sequence[Divided]) -> tuple[Divided, int]:
    """The input that a group is of, and the number of its first mini-batch."""
    first = 0
    for source in divided:
        if part.start < first + len(source.batches):
            return source, first
        first += len(source.batches)
    raise AssertionError("a group is of an input")


def _write_rows(path: Path, part: range, divided: Sequence[Divided]) -> None:
    """A row group for each mini-batch."""
    import pyarrow.parquet as parquet

    source, first = _source(part, divided)
    assert source.rows is not None
    tables = (source.rows(index - first) for index in part)
    table = next(tables)
    with parquet.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table, row_group_size=table.num_rows)
        for table in tables:
            writer.write_table(table, row_group_size=table.num_rows)


def definition(context: CompositeContext, groups: Sequence[Group], prefix: str, inputs: Sequence[str]) -> Definition:
    """The pipeline of all groups, which lie below `prefix`. `inputs`: those that were divided; the others go to each
    step whole. Raises InvalidStep.
    """
    job = context.job
    known = {name: job.parameters[name] for name in sorted(parameters_used(job.step)) if name in job.parameters}
    return Definition(
        name=job.step.name,
        parameters=tuple(
            Parameter(name=name, type=type_of(value), default=value)
            for name, value in known.items()
            if not isinstance(value, DataPathValue | DatasetValue)
        ),
        steps=tuple(_step(job.step, prefix, group, inputs) for group in groups),
    )


def _step(step: Step, prefix: str, group: Group, inputs: Sequence[str]) -> Step:
    first, last = group.batches[0].index, group.batches[-1].index
    settings: dict[str, Any] = {**step.settings, "group": name_of(prefix, group.number), "rows": bool(group.rows)}
    whole = [port for port in step.inputs if port.name not in inputs]
    return Step(
        id=f"group-{group.number:05}",
        name=f"mini-batches {first} to {last}" if last > first else f"mini-batch {first}",
        kind="mini_batches",
        compute=step.compute,
        snapshot=step.snapshot,
        settings=settings,
        arguments=step.arguments,
        environment=step.environment,
        inputs=tuple(_side_input(port) for port in whole),
        outputs=(*(_output(port) for port in step.outputs), _verdicts(step)),
        allow_reuse=False,
        retry=RETRIES,
    )


def _side_input(port: Input) -> Input:
    return msgspec.structs.replace(port, source=ParentSource(input=port.name))


def _output(port: Output) -> Output:
    """The group's part of an output: a folder, whatever becomes of the whole."""
    if port.mode == LINK:
        raise InvalidStep(f"Output {port.name!r} is a link to a dataset, which many processes cannot make together.")
    return Output(
        name=port.name,
        datastore=port.datastore,
        mode=port.mode,
        path_on_compute=port.path_on_compute,
        create=True,
        globs=port.globs,
    )


def _verdicts(step: Step) -> Output:
    """Where the step's own outputs lie, so that it needs no datastore besides."""
    made = Output(name=VERDICTS, create=True)
    return msgspec.structs.replace(made, datastore=step.outputs[0].datastore) if step.outputs else made
