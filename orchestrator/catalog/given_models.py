"""Models from files that the script of a step has uploaded, registered while it runs: v1's `run.register_model`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from orchestrator.catalog.models import Model, Origin, register
from orchestrator.core.errors import TooLarge, UnknownThing
from orchestrator.core.names import MODEL, PATH, shown, suggestion
from orchestrator.core.result import File, ModelRegistration, StepResult
from orchestrator.engine import given
from orchestrator.engine.stepview import Execution
from orchestrator.files import FileItem
from orchestrator.ports import Task

MOST_BYTES: Final = 1024 * 1024 * 1024
_PART: Final = 8 * 1024 * 1024


def publish(on: Execution, wish: ModelRegistration) -> Task[Model]:
    """The file or folder `wish.path` as the next version of a model; the same wish again finds the version it made.

    The files are read once, for their sums: whoever downloads the model sees whether they are what they were then.
    Raises InvalidRequest, UnknownThing, TooLarge.
    """
    MODEL.check(wish.name, "name")
    PATH.check(wish.path, "url")
    place = given.by_script(on)
    items = yield from given.listed(place)
    found = [item for item in items if f"{item.name}/".startswith(f"{wish.path}/")]
    if not found:
        names = [item.name for item in items]
        raise UnknownThing(
            f"The run has no file {shown(wish.path)}. {suggestion(wish.path, names, 'files')}", field="url"
        )
    files = yield from _summed(place, found)
    request = hashlib.sha256(f"{on.owner}\0{wish.name}\0{wish.path}".encode()).hexdigest()[:32]
    origin = Origin(run=on.run, step=on.step, attempt=on.attempt, request=request)
    (model,) = yield from register(origin, StepResult(artifacts=files, artifact_prefix=place[:-1], models=(wish,)))
    return model


def _summed(place: str, items: Sequence[FileItem]) -> Task[tuple[File, ...]]:
    size = sum(item.size for item in items)
    if size > MOST_BYTES:
        raise TooLarge(
            f"The model has {size:,} bytes; while a script runs, at most {MOST_BYTES:,} are registered. Write it to "
            "./outputs, and register it from outside when the step has ended.",
            field="url",
        )
    files: list[File] = []
    for item in items:
        total = hashlib.sha256()
        for start in range(0, item.size, _PART):
            part = yield from given.part(place, item.name, limit=_PART, start=start)
            total.update(part.data if part is not None else b"")
        files.append(File(path=item.name, size=item.size, sha256=total.hexdigest()))
    return tuple(files)
