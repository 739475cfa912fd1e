"""The kind "data_transfer": what lies at one place is copied to another, without a script.

The step has one input, the source, and one output, the destination. Its data is not brought to the node: from blob to
blob storage copies by itself, other files come through in blocks. What was copied is noted on the copies, so that an
attempt, this step's or another's, goes on where one before was broken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.core.kinds.data_transfer import DataTransfer
from steps import environment
from steps.brought import Brought
from steps.context import StepContext
from steps.copying.copier import Copier
from steps.copying.finder import Finder
from steps.copying.targets import target_of
from steps.datastores import container_of
from steps.failures import InvalidStep, TimedOut
from steps.outputs import Found


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    job = context.job
    if len(job.step.inputs) != 1 or len(job.step.outputs) != 1:
        raise InvalidStep("A step of kind data_transfer has one input, its source, and one output, its destination.")
    settings = DataTransfer.of(job.step.settings)
    (port,), (out,) = job.step.inputs, job.step.outputs
    container = container_of(context.settings.datastores, out.datastore)
    check = _checking(context)
    source = Finder(context=context, port=port, settings=settings).find(job.inputs[port.name])
    target = target_of(context.store, container, job, out, source, settings.destination_type)
    files = "1 file" if len(source.items) == 1 else f"{len(source.items):,} files"
    context.log.note(f"From the {source.label} ({files}, {source.size:,} bytes) to the {target.label}.")
    copier = Copier(
        store=context.store,
        pool=context.pool,
        log=context.log,
        owner=environment.run_id(job),
        overwrite=out.overwrite,
        check=check,
    )
    stored = copier.copy(source, target)
    context.inputs = {port.name: Brought(value=source.label, read=source.read)}
    context.found = [
        Found(port=out, prefix=target.place, is_file=not target.is_directory, stored=stored, in_place=target.named)
    ]


def _checking(context: StepContext) -> Callable[[], None]:
    """What ends the work when it is not wanted any more, or takes too long."""
    left = context.time_left()
    end = None if left is None else time.monotonic() + left

    def check() -> None:
        context.stop.check()
        if end is not None and time.monotonic() > end:
            raise TimedOut(
                f"The time limit, {left:,.0f} s, is over. What is copied stays copied: the next attempt goes on from "
                "there, so give the step retries, or more time."
            )

    return check
