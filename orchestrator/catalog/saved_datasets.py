"""Whether the datasets that a run would read are saved, which is asked before it starts."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core.definition import DatasetSource, DatasetValue, Definition, ParameterValue, all_steps
from orchestrator.core.errors import InvalidDefinition, InvalidRequest, Problem
from orchestrator.core.names import shown
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_dataset
from orchestrator.ports import Task

FIX = "Save it first: POST /api/datasets."


def check_saved(memory: ProcessMemory, definition: Definition) -> Task[None]:
    """Raises InvalidDefinition naming every input, and every default, whose dataset is not saved."""
    wanted = [
        (f"{place}.inputs[{index}].source.id", port.source.id)
        for place, step in all_steps(definition)
        for index, port in enumerate(step.inputs)
        if isinstance(port.source, DatasetSource)
    ]
    wanted += [
        (f"parameters[{index}].default.id", parameter.default.id)
        for index, parameter in enumerate(definition.parameters)
        if isinstance(parameter.default, DatasetValue)
    ]
    missing: set[str] = set()
    for id_ in dict.fromkeys(id_ for _, id_ in wanted):
        if (yield from load_dataset(memory, id_)) is None:
            missing.add(id_)
    if missing:
        raise InvalidDefinition(
            [
                Problem("DatasetNotSaved", field, f"There is no dataset with the id {shown(id_)}.", FIX)
                for field, id_ in wanted
                if id_ in missing
            ]
        )


def check_values(memory: ProcessMemory, values: Mapping[str, ParameterValue]) -> Task[None]:
    """Raises InvalidRequest naming the first parameter whose dataset is not saved."""
    for name, value in values.items():
        if isinstance(value, DatasetValue) and (yield from load_dataset(memory, value.id)) is None:
            message = f"There is no dataset with the id {shown(value.id)}. {FIX}"
            raise InvalidRequest(message, field=f"parameters.{name}")
