"""The tags and properties of a run: how large they may be, and how to change them, while the run goes on or after."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from orchestrator.core import run as runs
from orchestrator.core.errors import Conflict, TooLarge, Unavailable
from orchestrator.core.names import RUN_ID, shown
from orchestrator.core.run import RunInfo
from orchestrator.engine import index
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.rows import INFO, RUNS
from orchestrator.engine.view import unknown_run
from orchestrator.ports import Commit, Get, Merge, Pause, Refused, Task, Unanswered

_TRIES = 10


def check_size(info: RunInfo, most_bytes: int, field: str) -> None:
    """Raises TooLarge naming `field` when what the caller chose freely takes more than `most_bytes` as JSON."""
    size = len(msgspec.json.encode([info.parameters, info.tags, info.properties, info.description, info.notify]))
    if size > most_bytes:
        raise TooLarge(
            f"Parameters, tags, properties, description and webhooks take {size:,} bytes together; at most "
            f"{most_bytes:,} are kept. Pass large values as data.",
            field=field,
        )


def change_tags(
    memory: ProcessMemory,
    run: str,
    changes: Mapping[str, str | None],
    *,
    most_bytes: int,
    properties: Mapping[str, str] = MappingProxyType({}),
) -> Task[RunInfo]:
    """Set each tag, or remove it where the value is None; others stay. Add `properties`. Safe to repeat.

    The run is changed first, then its lines in the lists: whoever gets no answer repeats, and so mends the lists.

    Raises UnknownThing, Conflict for a property that has another value, and TooLarge when they and what else the
    caller chose would exceed `most_bytes`.
    """
    if not RUN_ID.allows(run):
        raise unknown_run(run)
    for _ in range(_TRIES):
        row = yield from Get(table=RUNS, pk=run, rk=INFO)
        if row is None:
            raise unknown_run(run)
        info = runs.decode(str(row.props["info"]))
        tags = {key: value for key, value in {**info.tags, **changes}.items() if value is not None}
        for key, value in properties.items():
            if info.properties.get(key, value) != value:
                raise Conflict(f"The property {shown(key)} is set, and cannot be changed.", field=f"properties.{key}")
        changed = msgspec.structs.replace(info, tags=tags, properties={**info.properties, **properties})
        check_size(changed, most_bytes, "tags")
        if changed == info:
            break
        write = Merge(rk=INFO, props={"info": runs.encode(changed)}, etag=row.etag)
        try:
            yield from Commit(table=RUNS, pk=run, writes=(write,))
        except (Refused, Unanswered):
            yield from Pause(at_most=0.05)
            continue
        break
    else:
        raise Unavailable(f"The tags of run {run} change too fast just now. Try again.")
    memory.infos.put(run, changed)
    yield from index.relabel(memory, changed)
    return changed
