"""One group of mini-batches in the processes of its step: what they read is brought, what became of them is kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core.kinds.parallel_run import VERDICTS, MiniBatches, ParallelRun
from orchestrator.core.result import File
from orchestrator.datasets.files import Reading, bring
from steps.context import StepContext
from steps.dataset_access import StoreAccess
from steps.datastores import container_of
from steps.failures import (
    InitFailed,
    InputDamaged,
    InputMissing,
    InputUnusable,
    InvalidStep,
    ScriptFailed,
    ScriptMissing,
    TooManyFailed,
)
from steps.parallel import given_up
from steps.parallel import verdicts as judging
from steps.parallel.plan import Group, Item, MiniBatch
from steps.parallel.sources import failing, leaf_of
from steps.parallel.verdicts import Verdict, Verdicts
from steps.paths import UnsafeName, below
from steps.transfer import Fetch, fetch, fetch_all

MAIN = Path(__file__).with_name("child") / "main.py"
VERDICTS_FILE = "verdicts.json"
ROWS_FILE = "rows.txt"
LOGS = Path("logs") / "user"
RESULTS = "results"
_UNREADABLE = (InputMissing, InputDamaged, InputUnusable)


def run(context: StepContext, settings: MiniBatches, group: Group, access: StoreAccess) -> None:
    """Raises InitFailed, TooManyFailed, and other StepFailure, Stopped.

    Either of the two is the end of the whole step: it is left beside the groups, for those that have not begun.
    """
    given_up.check(context, settings)
    try:
        _run(context, settings, group, access)
    except (InitFailed, TooManyFailed) as failure:
        given_up.leave(context, settings, failure)
        raise


def _run(context: StepContext, settings: MiniBatches, group: Group, access: StoreAccess) -> None:
    entry = _entry(context, settings)
    place = context.folders.inputs / group.port
    lost = _bring(group, place, access)
    rows = _rows(context, group, access)
    orders = [_order(batch, place, rows) for batch in group.batches if batch.index not in lost]
    context.log.note(_said(group, settings))
    outcome = _worked(context, settings, entry, orders)
    every = sorted([*lost.values(), *outcome.verdicts], key=lambda verdict: verdict.index)
    for line in judging.first_errors(every, most=len(every)):
        context.log.note(line)
    if outcome.init_error:
        raise InitFailed(f"The entry script {settings.entry_script} did not start: {outcome.init_error}")
    # Of a share only the whole step can judge.
    own = msgspec.structs.replace(settings, allowed_failed_percent=-1.0)
    if complaint := judging.complaint(judging.count(every), own):
        raise TooManyFailed("\n".join([complaint, *judging.first_errors(every)]))
    _keep(context, settings, every)


def _entry(context: StepContext, settings: MiniBatches) -> Path:
    try:
        path = below(context.folders.code, settings.entry_script)
    except UnsafeName as error:
        raise InvalidStep(f"settings.entry_script: {error}") from error
    if not path.is_file():
        raise ScriptMissing(f"There is no entry script {settings.entry_script!r} in the step's source folder.")
    return path


def _said(group: Group, settings: MiniBatches) -> str:
    first, last = group.batches[0].index, group.batches[-1].index
    return f"Mini-batches {first} to {last} of input {group.port!r}, by {settings.entry_script}"


def _bring(group: Group, place: Path, access: StoreAccess) -> dict[int, Verdict]:
    """The files of all mini-batches, at once. When some cannot be had: verdicts on the mini-batches that lack them."""
    try:
        _bring_files(group.port, [item for batch in group.batches for item in batch.files], place, access)
    except _UNREADABLE:
        shutil.rmtree(place, ignore_errors=True)
    else:
        return {}
    lost = {}
    for batch in group.batches:
        try:
            _bring_files(group.port, batch.files, place, access)
        except _UNREADABLE as failure:
            lost[batch.index] = Verdict(index=batch.index, items=batch.items, error=failure.message)
    return lost


def _bring_files(port: str, items: Sequence[Item], place: Path, access: StoreAccess) -> None:
    summed = [item for item in items if item.sha256]
    fetch_all(access.pool, access.store, [_fetch(item, place, access) for item in summed], access.stop)
    with failing(port), Reading(access) as reading:
        bring((leaf_of(item) for item in items if not item.sha256), place, reading)


def _fetch(item: Item, place: Path, access: StoreAccess) -> Fetch:
    expected = File(path=item.path, size=item.size or 0, sha256=item.sha256)
    try:
        target = below(place, item.path)
    except UnsafeName as error:
        raise InputUnusable(f"A file of the input cannot be laid out: {error}") from error
    container = container_of(access.datastores, item.datastore or "")
    return Fetch(container=container, name=item.blob, target=target, expected=expected)


def _rows(context: StepContext, group: Group, access: StoreAccess) -> Path | None:
    if not group.rows:
        return None
    target = context.folders.root / "mini-batches.parquet"
    fetch(access.store, Fetch(container=context.settings.container, name=group.rows, target=target), access.stop)
    return target


def _order(batch: MiniBatch, place: Path, rows: Path | None) -> dict[str, Any]:
    """A mini-batch as `steps.parallel.child` is given it."""
    order = {"index": batch.index, "items": batch.items, "key": batch.key, "moments": batch.moments}
    if batch.row_group is not None:
        return {**order, "parquet": str(rows), "row_group": batch.row_group}
    return {**order, "files": [str(place / item.path) for item in batch.files]}


def _worked(context: StepContext, settings: MiniBatches, entry: Path, orders: list[dict[str, Any]]) -> Verdicts:
    """What the processes say. Raises StepFailure, Stopped."""
    if not orders:
        return Verdicts()
    root = context.folders.root
    outcome, request = root / "outcome.json", root / "request.json"
    asked = {**_request(context, settings), "entry": str(entry), "outcome": str(outcome), "batches": orders}
    request.write_text(json.dumps(asked), encoding="utf-8")
    output = context.outputs.get(settings.output)
    variables = {} if output is None else {"AZUREML_BI_OUTPUT_PATH": str(output)}
    context.run_command((context.python, str(MAIN), str(request)), variables)
    try:
        return judging.decode(outcome.read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise ScriptFailed(f"What became of the mini-batches is not known: {error}") from error


def _request(context: StepContext, settings: MiniBatches) -> dict[str, Any]:
    results = context.folders.root / RESULTS
    results.mkdir()
    return {
        "arguments": context.arguments(),
        "processes": processes(settings),
        "timeout": settings.run_invocation_timeout,
        "tries": settings.run_max_try,
        "level": settings.logging_level,
        "error_threshold": settings.error_threshold,
        "allowed_failed_count": settings.allowed_failed_count,
        "rows": str(results) if settings.output_action == "append_row" else None,
        "logs": str(context.folders.code / LOGS),
    }


def processes(settings: ParallelRun) -> int:
    """How many processes the group gets; unless the step says it, as many as this node has processors."""
    return settings.process_count_per_node or len(os.sched_getaffinity(0))


def _keep(context: StepContext, settings: MiniBatches, verdicts: Iterable[Verdict]) -> None:
    """The verdicts, and the rows of those that went well, in order."""
    folder, results = context.outputs[VERDICTS], context.folders.root / RESULTS
    every = tuple(verdicts)
    (folder / VERDICTS_FILE).write_bytes(judging.encode(Verdicts(verdicts=every)))
    if settings.output_action != "append_row":
        return
    with (folder / ROWS_FILE).open("wb") as sink:
        for verdict in every:
            if not verdict.error and (path := results / str(verdict.index)).is_file():
                with path.open("rb") as source:
                    shutil.copyfileobj(source, sink)
