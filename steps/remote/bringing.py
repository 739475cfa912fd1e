"""The outputs of a job, from where it wrote them to where a script would have."""

from __future__ import annotations

from steps.context import StepContext
from steps.progress import Progress
from steps.remote.places import Places
from steps.transfer import Fetch, fetch_all


def bring_outputs(context: StepContext, places: Places) -> None:
    """Raises OutputNotWritten, InvalidStep, and what `steps.transfer.fetch` does."""
    fetches = []
    for port in context.job.step.outputs:
        target = context.outputs[port.name]
        for container, name, path in places.written(context.job, port.name, target):
            place = path / name.rpartition("/")[2] if path.is_dir() else path
            fetches.append(Fetch(container=container, name=name, target=place))
    progress = Progress(context.log, "Outputs of the job", len(fetches))
    fetch_all(context.pool, context.store, fetches, context.stop, progress)
    progress.end()
