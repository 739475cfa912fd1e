"""The kind "map": a pipeline for each item of a list, or each file of a folder.

settings: see `orchestrator.core.kinds.map`. A template of one step becomes a step for each item; one of several steps a
step of kind "pipeline" for each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core.definition import Definition, Input, Output, ParameterValue, ParentSource, Step
from orchestrator.core.errors import InvalidRequest, MillstreamError
from orchestrator.core.kinds.map import MapItems
from orchestrator.core.nesting import Child
from orchestrator.core.parameters import resolve_parameters
from orchestrator.core.resolving import bind
from orchestrator.core.states import RunStatus, StepStatus
from orchestrator.core.validation import MOST_STEPS
from steps.composite import Children, CompositeContext, Expansion, check_completed
from steps.failures import ChildFailed, InvalidStep


def expand(context: CompositeContext) -> Expansion | None:
    """Raises InvalidStep, InputMissing, InputUnusable, StorageFailed."""
    settings = context.settings_as(MapItems)
    items = _items(context, settings)
    context.log.note(f"{len(items):,} items")
    if len(items) > MOST_STEPS:
        raise InvalidStep(f"There are {len(items):,} items; at most {MOST_STEPS:,} are taken.")
    if not items:
        _write(context, settings, [])
        return None
    steps = tuple(_step(context, settings, number, item) for number, item in enumerate(items))
    definition = Definition(name=context.template.name, steps=steps)
    return Expansion(definition=definition, window=settings.window, join={"items": list(items)})


def join(context: CompositeContext, children: Children) -> None:
    """Raises ChildFailed, InvalidStep."""
    settings = context.settings_as(MapItems)
    failed = [child for child in children.steps if child.status is not StepStatus.COMPLETED]
    context.properties |= {"items": str(len(children.steps)), "items_failed": str(len(failed))}
    if children.status is RunStatus.CANCELED or len(failed) > settings.allowed_failures:
        check_completed(children)
        raise ChildFailed(f"{len(failed)} of {len(children.steps)} items failed.")
    for child in children.steps:
        for port, source in settings.outputs.items():
            output = child.result.outputs.get(port if _is_pipeline(context) else source.output)
            if output is not None:
                context.adopt(port, output, under=f"{child.position:05d}")
    _write(context, settings, [_told(child, context.join_data["items"]) for child in children.steps])


def _is_pipeline(context: CompositeContext) -> bool:
    return len(context.template.steps) > 1


def _items(context: CompositeContext, settings: MapItems) -> Sequence[Any]:
    if settings.files:
        assert settings.over is not None
        return [entry.path for entry in context.files(settings.over)]
    if settings.over is None:
        return _parsed(settings.items, "items") if isinstance(settings.items, str) else settings.items or []
    files = context.files(settings.over)
    if len(files) != 1:
        raise InvalidStep(f"The input {settings.over!r} is {len(files)} files, and should be one, with a list.")
    return _parsed(context.read(settings.over, files[0].path).decode("utf-8", "replace"), settings.over)


def _parsed(text: str, what: str) -> Sequence[Any]:
    """A JSON array, or a line for each item."""
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidStep(f"The list in {what!r} is no JSON: {error}") from error
    assert isinstance(found, list)
    return found


def _step(context: CompositeContext, settings: MapItems, number: int, item: Any) -> Step:
    """The step for one item."""
    template, id_ = context.template, f"{number:05d}"
    values = dict(settings.parameters)
    if not settings.files:
        values[settings.item] = item if isinstance(item, str | int | float) else json.dumps(item)
    try:
        parameters, _ = resolve_parameters(template, values)
        if _is_pipeline(context):
            return _pipeline(context, settings, id_, item, parameters)
        (step,) = template.steps
        bound = bind(step, parameters)
    except InvalidRequest as error:
        raise InvalidStep(f"Item {number}, {item!r}: {error.message}") from error
    except (MillstreamError, TypeError) as error:
        raise InvalidStep(f"Item {number}, {item!r}, does not fit: {error}") from error
    inputs = tuple(_input(port, settings, item) for port in bound.inputs)
    return msgspec.structs.replace(bound, id=id_, inputs=inputs)


def _input(port: Input, settings: MapItems, item: Any) -> Input:
    """The input of a step; the file, where it takes the item."""
    if not settings.files or not isinstance(port.source, ParentSource) or port.source.input != settings.item:
        return port
    return msgspec.structs.replace(port, source=ParentSource(input=str(settings.over), file=item))


def _pipeline(
    context: CompositeContext, settings: MapItems, id_: str, item: Any, parameters: dict[str, ParameterValue]
) -> Step:
    own = context.job.step
    inputs = [Input(name=port.name, source=ParentSource(input=port.name), mode=port.mode) for port in own.inputs]
    ports = {port.name: port for port in own.outputs}
    return Step(
        id=id_,
        name=context.template.name,
        kind="pipeline",
        template=context.template,
        settings={
            "parameters": {name: msgspec.to_builtins(value) for name, value in parameters.items()},
            "outputs": {port: msgspec.to_builtins(source) for port, source in settings.outputs.items()},
        },
        inputs=tuple(_input(port, settings, item) for port in inputs),
        outputs=tuple(Output(name=port, datastore=ports[port].datastore) for port in settings.outputs),
        allow_reuse=own.allow_reuse,
    )


def _write(context: CompositeContext, settings: MapItems, told: list[dict[str, Any]]) -> None:
    for port, path in context.outputs.items():
        if port == settings.results:
            path.write_text(json.dumps(told, indent=1), encoding="utf-8")
        elif port not in context.adopted:
            Path(path).mkdir(parents=True, exist_ok=True)


def _told(child: Child, items: Sequence[Any]) -> dict[str, Any]:
    result = child.result
    told = {"item": items[child.position], "folder": f"{child.position:05d}", "status": child.status.value}
    metrics = {metric.name: metric.value for metric in result.metrics}
    error = None if result.error is None else {"code": result.error.code, "message": result.error.message}
    more = {"metrics": metrics, "properties": result.properties, "error": error}
    return told | {name: value for name, value in more.items() if value}
