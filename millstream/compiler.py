"""From a graph of step objects to the definition that the service runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from millstream.data import PipelineData
from millstream.graph import Graph
from millstream.steps import PipelineStep
from millstream.wiring import InPort
from orchestrator.core.definition import (
    DatastoreSource,
    Definition,
    Input,
    Output,
    Parameter,
    Step,
    StepSource,
)
from orchestrator.core.errors import InvalidDefinition, Problem
from orchestrator.core.names import shown


def compile_pipeline(
    graph: Graph,
    *,
    name: str,
    description: str,
    default_datastore: str,
    snapshots: Mapping[Path, str],
    default_folder: Path,
) -> Definition:
    """`snapshots`: source folder -> id of what is in it. Raises InvalidDefinition for parameters that contradict."""
    return Definition(
        name=name,
        description=description,
        parameters=parameters_of(graph),
        steps=tuple(
            _step(step, graph, default_datastore, snapshots.get(folder_of(step, default_folder)))
            for step in graph.steps
        ),
    )


def folders_of(graph: Graph, default_folder: Path) -> list[Path]:
    """The source folders of all steps that run from one, each once."""
    return list(dict.fromkeys(folder_of(step, default_folder) for step in graph.steps if step.needs_snapshot))


def folder_of(step: PipelineStep, default_folder: Path) -> Path:
    return (step.source_directory or default_folder).absolute()


def parameters_of(graph: Graph) -> tuple[Parameter, ...]:
    """The parameters of all steps. Raises InvalidDefinition if one name stands for two defaults."""
    declared: dict[str, Parameter] = {}
    problems: list[Problem] = []
    for step in graph.steps:
        for parameter in step.wiring.parameters:
            first = declared.setdefault(parameter.name, parameter.declaration)
            if first != parameter.declaration:
                message = f"The parameter {shown(parameter.name)} has the defaults {first.default!r} and "
                problems.append(
                    Problem(
                        "DuplicateParameter",
                        f"step {shown(step.name)}",
                        f"{message}{parameter.default_value!r}.",
                        "Make one PipelineParameter and use it in all steps.",
                    )
                )
    if problems:
        raise InvalidDefinition(problems)
    return tuple(declared.values())


def _step(step: PipelineStep, graph: Graph, default_datastore: str, snapshot: str | None) -> Step:
    return Step(
        id=graph.id_of(step),
        name=step.name,
        kind=step.kind,
        compute=step.compute,
        snapshot=snapshot if step.needs_snapshot else None,
        settings=step.settings,
        arguments=tuple(step.wiring.arguments),
        environment=step.environment,
        inputs=tuple(_input(port, graph) for port in step.wiring.inputs),
        outputs=tuple(_output(data, default_datastore) for data in step.wiring.outputs),
        run_after=tuple(graph.id_of(earlier) for earlier in graph.after[id(step)]),
        allow_reuse=step.allow_reuse,
        version=step.version,
        retry=step.retry,
        timeout_seconds=None if step.timeout_seconds is None else float(step.timeout_seconds),
    )


def _input(port: InPort, graph: Graph) -> Input:
    source = port.source
    if isinstance(source, PipelineData):
        producer = graph.producer_of(source)
        edge: StepSource | DatastoreSource = StepSource(step=graph.id_of(producer), output=source.output_name)
    else:
        edge = DatastoreSource(datastore=source.datastore_name, path=source.path_on_datastore)
    return Input(name=port.name, source=edge, mode=port.mode, path_on_compute=port.path_on_compute)


def _output(data: PipelineData, default_datastore: str) -> Output:
    return Output(
        name=data.output_name,
        datastore=data.datastore_name or default_datastore,
        mode=data.output_mode,
        path_on_compute=data.output_path_on_compute,
        is_directory=data.is_directory,
    )
