"""What all groups gave, as the outputs of the step."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from orchestrator.core.kinds.parallel_run import VERDICTS, ParallelRun
from orchestrator.core.nesting import Child
from orchestrator.core.result import OutputData
from steps.composite import CompositeContext
from steps.datastores import container_of
from steps.failures import InputDamaged, InputMissing, StorageFailed
from steps.parallel import expansion, plan, verdicts
from steps.parallel.given_up import FATAL
from steps.parallel.group import ROWS_FILE, VERDICTS_FILE
from steps.parallel.verdicts import Verdict
from steps.store import BlobMissing, StoreFailed
from steps.transfer import Fetch, fetch_all


def raise_what_was_fatal(children: Sequence[Child]) -> None:
    """Raises InitFailed, TooManyFailed as the first group that found it out."""
    for child in children:
        error = child.result.error
        if error is not None and error.code in FATAL:
            raise FATAL[error.code](error.message)


def bring(context: CompositeContext, children: Sequence[Child]) -> dict[int, Path]:
    """The verdicts and rows of every group that ended well: position -> folder. Raises StepFailure, Stopped."""
    folders: dict[int, Path] = {}
    fetches: list[Fetch] = []
    for child in children:
        source = child.result.outputs.get(VERDICTS)
        if source is None:
            continue
        folder = folders[child.position] = context.scratch / f"group-{child.position}"
        container = container_of(context.settings.datastores, source.datastore)
        for file in source.files:
            name = file.name_below(source.prefix)
            fetches.append(Fetch(container=container, name=name, target=folder / file.path, expected=file))
    fetch_all(context.pool, context.store, fetches, context.stop)
    return folders


def judged(context: CompositeContext, children: Sequence[Child], folders: dict[int, Path]) -> list[Verdict]:
    """The verdict on every mini-batch of the step, by index. Of a group that was lost, all of them failed.

    Raises InputMissing, InputDamaged (it is not one for each), StorageFailed.
    """
    every: list[Verdict] = []
    for child in children:
        if child.position in folders:
            data = (folders[child.position] / VERDICTS_FILE).read_bytes()
            every += verdicts.decode(data).verdicts
        else:
            every += _lost(context, child)
    every.sort(key=lambda verdict: verdict.index)
    total = context.join_data["batches"]
    if [verdict.index for verdict in every] != list(range(total)):
        raise InputDamaged(f"There are {len(every):,} verdicts on {total:,} mini-batches, and not one on each.")
    return every


def _lost(context: CompositeContext, child: Child) -> list[Verdict]:
    error = child.result.error
    words = f"{error.code}: {error.message}" if error is not None else f"its group is {child.status.value}"
    name, kept = expansion.name_of(context.join_data["prefix"], child.position), io.BytesIO()
    try:
        context.store.download(context.settings.container, name, kept)
    except BlobMissing as missing:
        raise InputMissing(f"The list of mini-batches is gone: {missing}") from missing
    except StoreFailed as failed:
        raise StorageFailed(f"The list of mini-batches could not be read: {failed}") from failed
    group = plan.decode(kept.getvalue())
    return [Verdict(index=batch.index, items=batch.items, error=words) for batch in group.batches]


def write_rows(context: CompositeContext, settings: ParallelRun, folders: dict[int, Path]) -> None:
    """All rows in the order of the mini-batches, in one file of the output."""
    target = context.outputs[settings.output] / settings.append_row_file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        for position in sorted(folders):
            with (folders[position] / ROWS_FILE).open("rb") as source:
                shutil.copyfileobj(source, sink)


def adopt(context: CompositeContext, settings: ParallelRun, children: Sequence[Child]) -> None:
    """The files that the script itself wrote to the outputs; of one name, the last group's. Raises InvalidStep."""
    for port in context.job.step.outputs:
        sources = [child.result.outputs[port.name] for child in children if port.name in child.result.outputs]
        last = {file.path: place for place, source in enumerate(sources) for file in source.files}
        if port.name == settings.output and settings.output_action == "append_row":
            last.pop(settings.append_row_file_name, None)
        total = sum(len(source.files) for source in sources)
        if total > len(last):
            context.log.note(f"Output {port.name!r}: {total - len(last):,} files were written again by a later group.")
        if not last:
            context.outputs[port.name].mkdir(parents=True, exist_ok=True)
        for place, source in enumerate(sources):
            context.adopt(port.name, _only(source, {path for path, owner in last.items() if owner == place}))


def _only(source: OutputData, paths: set[str]) -> OutputData:
    return msgspec.structs.replace(source, files=tuple(file for file in source.files if file.path in paths))
