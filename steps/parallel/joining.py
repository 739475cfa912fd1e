"""What all groups gave, as the outputs of the step."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from orchestrator.core.kinds.parallel_run import VERDICTS, ParallelRun
from orchestrator.core.result import OutputData
from steps.composite import CompositeContext
from steps.datastores import container_of
from steps.failures import InputDamaged
from steps.parallel import verdicts
from steps.parallel.group import ROWS_FILE, VERDICTS_FILE
from steps.parallel.parts import Part, group_of
from steps.parallel.verdicts import Verdict
from steps.transfer import Fetch, fetch_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A part with its verdicts. `folder`: where its rows are; None: it is lost."""

    part: Part
    verdicts: tuple[Verdict, ...]
    folder: Path | None


def bring(context: CompositeContext, parts: Sequence[Part]) -> list[Brought]:
    """All parts in the order of their mini-batches, each of which is in one. Of a lost part, all have failed.

    Raises InputDamaged (there is not one verdict on each), InputMissing, StorageFailed, Stopped.
    """
    folders = _fetch(context, [part for part in parts if not part.error])
    found = [_brought(context, part, folders.get(part.number)) for part in parts]
    found.sort(key=lambda one: one.verdicts[0].index if one.verdicts else -1)
    indexes, total = [verdict.index for one in found for verdict in one.verdicts], context.join_data["batches"]
    if indexes != list(range(total)):
        raise InputDamaged(f"There are {len(indexes):,} verdicts on {total:,} mini-batches, and not one on each.")
    return found


def _fetch(context: CompositeContext, parts: Sequence[Part]) -> dict[int, Path]:
    folders = {part.number: context.scratch / f"group-{part.number}" for part in parts}
    fetches = []
    for part in parts:
        source = part.outputs[VERDICTS]
        container = container_of(context.settings.datastores, source.datastore)
        for file in source.files:
            target = folders[part.number] / file.path
            name = file.name_below(source.prefix)
            fetches.append(Fetch(container=container, name=name, target=target, expected=file))
    fetch_all(context.pool, context.store, fetches, context.stop)
    return folders


def _brought(context: CompositeContext, part: Part, folder: Path | None) -> Brought:
    if folder is not None:
        told = verdicts.decode((folder / VERDICTS_FILE).read_bytes())
        return Brought(part=part, verdicts=told.verdicts, folder=folder)
    batches = group_of(context, part).batches
    lost = tuple(Verdict(index=batch.index, items=batch.items, error=part.error) for batch in batches)
    return Brought(part=part, verdicts=lost, folder=None)


def write_rows(context: CompositeContext, settings: ParallelRun, found: Sequence[Brought]) -> None:
    """All rows in the order of the mini-batches, in one file of the output."""
    target = context.outputs[settings.output] / settings.append_row_file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as sink:
        for folder in (one.folder for one in found if one.folder is not None):
            with (folder / ROWS_FILE).open("rb") as source:
                shutil.copyfileobj(source, sink)


def adopt(context: CompositeContext, settings: ParallelRun, found: Sequence[Brought]) -> None:
    """The files that the script itself wrote to the outputs; of one name, the last group's. Raises InvalidStep."""
    for port in context.job.step.outputs:
        sources = [one.part.outputs[port.name] for one in found if port.name in one.part.outputs]
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
