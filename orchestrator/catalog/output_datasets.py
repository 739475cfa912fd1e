"""Outputs of steps that become versions of datasets when their step completes.

A registration is known by run, step and output, so it makes one version however often it is repeated. A later attempt
of the step puts its own data in place of an earlier one's, never the other way round.

    r|<run>|<step>|<output>      which version a registration became, and by which attempt
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from orchestrator.catalog import datasets
from orchestrator.catalog.datasets import KIND, Registration
from orchestrator.catalog.models import Origin, Runner
from orchestrator.catalog.rows import CATALOG, VERSION
from orchestrator.core.errors import Unavailable
from orchestrator.core.names import DATASET, shown
from orchestrator.core.result import DatasetRegistration, StepResult
from orchestrator.engine.lease import Perform, Performed
from orchestrator.ports import Commit, Get, Merge, Now, Pause, Props, Refused, Row, Task, Unanswered, Upsert, Write

_TRIES = 20


def registering(world: Runner, interpret: Callable[[Perform], Performed]) -> Callable[[Perform], Any]:
    """The interpreter of Perform that does as `interpret` and then registers the outputs that are to be datasets.

    It does so before the step is committed, so that whoever sees the step Completed finds its datasets.
    """

    def whole(effect: Perform) -> Performed:
        result = interpret(effect)
        if isinstance(result, StepResult) and result.error is None and result.datasets:
            job = effect.job
            world.run(register(Origin(run=job.run, step=job.step.id, attempt=job.attempt), result))
        return result

    return whole


def register(origin: Origin, result: StepResult) -> Task[tuple[Registration, ...]]:
    """The datasets of a result, each as the next version of its name, or as the version it was registered as before."""
    made: list[Registration] = []
    for wish in result.datasets:
        if DATASET.allows(wish.name):
            one = yield from _register(origin, wish)
            made.append(one)
    return tuple(made)


def _register(origin: Origin, wish: DatasetRegistration) -> Task[Registration]:
    key = f"r|{origin.run}|{origin.step}|{wish.output}"
    now = yield from Now()
    for attempt in range(_TRIES):
        if attempt:
            yield from Pause(at_most=0.05 * attempt)
        row = yield from Get(table=CATALOG, pk=KIND, rk=key)
        # Somebody may have unregistered it since: then it is registered anew.
        before = None if row is None else (yield from datasets.find(wish.name, int(row.props["version"])))
        if row is not None and before is not None and int(row.props["attempt"]) >= origin.attempt:
            return before
        head = yield from Get(table=CATALOG, pk=KIND, rk=datasets.name_key(wish.name))
        version = before.version if before else int(head.props["latest"]) + 1 if head else 1
        made = Registration(
            name=wish.name,
            version=version,
            id=wish.id,
            created_at=now,
            description=wish.description,
            tags=wish.tags,
        )
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=_writes(key, origin, made, row if before else None, head))
        except (Refused, Unanswered):
            continue
        return made
    raise Unavailable(f"The dataset {shown(wish.name)} is registered too often at once. Try again.")


def _writes(key: str, origin: Origin, made: Registration, row: Row | None, head: Row | None) -> tuple[Write, ...]:
    """A new version; or, where an earlier attempt made it, this attempt's data for it."""
    known: Props = {"v": VERSION, "version": made.version, "attempt": origin.attempt}
    if row is None:
        return (*datasets.writes(made, head), Upsert(rk=key, props=known))
    version: Props = {"v": VERSION, "dataset": msgspec.json.encode(made).decode()}
    return (
        Merge(rk=key, props=known, etag=row.etag),
        Merge(rk=datasets.version_key(made.name, made.version), props=version, etag="*"),
    )
