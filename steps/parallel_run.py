"""The kind "parallel_run": an input in mini-batches, groups of which are the steps of a run of their own.

A group is a step rather than a mini-batch, since `init()` may cost more than many calls of `run()`. A group is all or
nothing: its verdicts and rows are published by the claim that commits its step, so that a mini-batch counts once
however many workers have died over it; what is lost with a worker is done again, which `splitting.group_size` bounds.
Within a group, a mini-batch that fails is tried again by itself, and takes no other along. A group that is lost,
perhaps by one of its mini-batches, is done again in a second round with each of them in a group by itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from orchestrator.core.kinds.parallel_run import ParallelRun
from orchestrator.core.names import suggestion
from orchestrator.core.states import RunStatus
from steps.composite import Children, CompositeContext, Expansion, check_completed
from steps.dataset_access import StoreAccess
from steps.failures import InputUnusable, InvalidStep, TimedOut, TooManyFailed
from steps.parallel import expansion, joining, parts, splitting, verdicts
from steps.parallel.group import processes
from steps.parallel.plan import Group
from steps.parallel.sources import Divided, divide
from steps.parallel.verdicts import Verdict

MOST_NOTED = 200


def expand(context: CompositeContext) -> Expansion:
    """Raises StepFailure, Stopped."""
    settings = context.settings_as(ParallelRun)
    _check_ports(context, settings)
    divided = _divided(context, settings)
    sizes = [len(source.batches) for source in divided]
    if not sum(sizes):
        raise InputUnusable("The inputs have nothing in them: there are no mini-batches.")
    together = splitting.group_size(
        sum(sizes),
        nodes=settings.node_count,
        processes=processes(settings),
        seconds=settings.run_invocation_timeout,
        limit=context.settings.function_timeout_seconds,
    )
    groups = expansion.write(context, divided, splitting.grouped(sizes, together))
    items = sum(batch.items for source in divided for batch in source.batches)
    context.log.note(
        f"{items:,} items in {sum(sizes):,} mini-batches, in {len(groups):,} groups; {settings.node_count} at once."
    )
    return _expansion(context, settings, groups, {"prefix": context.job.prefix, "batches": sum(sizes)})


def _expansion(
    context: CompositeContext, settings: ParallelRun, groups: Sequence[Group], data: dict[str, Any]
) -> Expansion:
    made = expansion.definition(context, groups, data["prefix"], settings.inputs)
    return Expansion(
        definition=made,
        parameters={parameter.name: parameter.default for parameter in made.parameters},
        window=settings.node_count,
        keep_going=True,
        join=data,
    )


def _check_ports(context: CompositeContext, settings: ParallelRun) -> None:
    """Raises InvalidStep."""
    step = context.job.step
    for name, there, what in (
        *((name, [port.name for port in step.inputs], "input") for name in settings.inputs),
        *((name, [port.name for port in step.outputs], "output") for name in (settings.output,) if name),
    ):
        if name not in there:
            raise InvalidStep(f"The settings name the {what} {name!r}. {suggestion(name, there, f'{what}s')}")
    if len(set(settings.inputs)) != len(settings.inputs):
        raise InvalidStep(f"An input is divided once, and the settings name these: {', '.join(settings.inputs)}.")


def _divided(context: CompositeContext, settings: ParallelRun) -> list[Divided]:
    access = StoreAccess(
        store=context.store,
        pool=context.pool,
        datastores=context.settings.datastores,
        scratch=context.scratch / "read",
        stop=context.stop,
        web_bytes=context.settings.web_bytes,
    )
    try:
        return [divide(name, context.job.inputs[name], settings, access) for name in settings.inputs]
    finally:
        access.forget()


def join(context: CompositeContext, children: Children) -> Expansion | None:
    """Raises StepFailure, Stopped."""
    settings = context.settings_as(ParallelRun)
    if children.status is RunStatus.CANCELED:
        if children.timed_out:
            raise TimedOut(f"The mini-batches took longer than they may; their run {children.run} was canceled.")
        check_completed(children)
    every = parts.found(context, children.steps)
    again, data = parts.second_round(context, every, most=splitting.MOST_GROUPS)
    if again:
        context.log.note(f"Groups were lost: their {len(again):,} mini-batches are done again, each by itself.")
        return _expansion(context, settings, again, data)
    _finish(context, settings, joining.bring(context, every))
    parts.logged(context, every)
    return None


def _finish(context: CompositeContext, settings: ParallelRun, found: Sequence[joining.Brought]) -> None:
    told = [verdict for one in found for verdict in one.verdicts]
    _report(context, told)
    if complaint := verdicts.complaint(verdicts.count(told), settings):
        raise TooManyFailed("\n".join([complaint, *verdicts.first_errors(told)]))
    if settings.output_action == "append_row":
        joining.write_rows(context, settings, found)
    joining.adopt(context, settings, found)


def _report(context: CompositeContext, every: Sequence[Verdict]) -> None:
    """In the log, in properties, and in the files in which v1 has it."""
    found = verdicts.count(every)
    context.properties.update(
        mini_batches=str(found.batches),
        failed_mini_batches=str(found.failed_batches),
        items=str(found.items),
        failed_items=str(found.failed_items),
    )
    summary = (
        f"{found.batches:,} mini-batches: {found.batches - found.failed_batches:,} ended well, "
        f"{found.failed_batches:,} failed; of {found.items:,} items {found.failed_items:,} failed."
    )
    context.log.note(summary)
    for line in verdicts.first_errors(every, most=MOST_NOTED):
        context.log.note(line)
    logs = context.kept / "logs"
    (logs / "user").mkdir(parents=True, exist_ok=True)
    (logs / "job_result.txt").write_text(f"{summary}\n", encoding="utf-8")
    progress = "".join(f"{json.dumps(msgspec.to_builtins(verdict))}\n" for verdict in every)
    (logs / "job_progress_overview.txt").write_text(progress, encoding="utf-8")
    if errors := verdicts.first_errors(every, most=len(every)):
        (logs / "user" / "error.txt").write_text("".join(f"{line}\n" for line in errors), encoding="utf-8")
