"""From a graph of step objects to the definition that the service runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from millstream import wiring
from millstream.conditions import Comparison, StepMetric, StepProperty, StepText, Value
from millstream.dataset import AbstractDataset
from millstream.dataset_consumption import DatasetConsumptionConfig
from millstream.graph import Graph
from millstream.parameter import PipelineParameter
from millstream.path_parts import path_of
from millstream.pipeline_input import PipelineInput
from millstream.steps import PipelineStep
from millstream.wiring import InPort, Produced
from orchestrator.core.definition import (
    Condition,
    DatasetSource,
    DatastoreSource,
    Definition,
    FromParameter,
    Input,
    MetricOf,
    OutputText,
    Parameter,
    ParameterSource,
    ParentSource,
    PropertyOf,
    Source,
    Step,
    StepSource,
)
from orchestrator.core.errors import InvalidDefinition, Problem
from orchestrator.core.kinds import KINDS
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
            _step(
                step,
                graph,
                default_datastore,
                snapshots.get(folder_of(step, default_folder)),
                _template(step, default_datastore, snapshots, default_folder),
            )
            for step in graph.steps
        ),
    )


def _template(
    step: PipelineStep, default_datastore: str, snapshots: Mapping[Path, str], default_folder: Path
) -> Definition | None:
    """The pipeline that a step runs."""
    if step.body is None:
        return None
    return compile_pipeline(
        step.body,
        name=step.name,
        description="",
        default_datastore=default_datastore,
        snapshots=snapshots,
        default_folder=step.body_folder or default_folder,
    )


def placed(graph: Graph, default_folder: Path) -> Iterator[tuple[PipelineStep, Path]]:
    """Every step, also of the pipelines that are steps, with its source folder."""
    for step in graph.steps:
        yield step, folder_of(step, default_folder)
        if step.body is not None:
            yield from placed(step.body, step.body_folder or default_folder)


def folders_of(graph: Graph, default_folder: Path) -> list[Path]:
    """The source folders of all steps that run from one which is not kept yet, each once."""
    steps = placed(graph, default_folder)
    return list(dict.fromkeys(at for step, at in steps if step.needs_snapshot and step.kept_snapshot is None))


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


def _step(
    step: PipelineStep, graph: Graph, default_datastore: str, snapshot: str | None, template: Definition | None
) -> Step:
    snapshot = (step.kept_snapshot or snapshot) if step.needs_snapshot else None
    return Step(
        id=graph.id_of(step),
        name=step.name,
        kind=step.kind,
        compute=step.compute,
        snapshot=None if KINDS[step.kind].template else snapshot,  # its template has it
        settings=step.settings,
        arguments=tuple(step.wiring.arguments),
        environment=step.environment,
        inputs=tuple(_input(port, graph) for port in step.wiring.inputs),
        outputs=tuple(handle.output(default_datastore) for handle in step.wiring.outputs),
        run_after=tuple(graph.id_of(earlier) for earlier in graph.after[id(step)]),
        allow_reuse=step.allow_reuse,
        source_files=step.source_files,
        version=step.version,
        retry=step.retry,
        timeout_seconds=step.timeout,
        priority=step.priority,
        template=template or step.template(default_datastore, snapshot),
        condition=None if step.condition is None else _condition(step.condition, graph),
        after_skipped=step.after_skipped,
    )


def _condition(condition: Comparison, graph: Graph) -> Condition:
    than = condition.than
    return Condition(
        value=_value(condition.value, graph),
        operator=condition.operator,
        than=FromParameter(name=than.name) if isinstance(than, PipelineParameter) else than,
    )


def _value(value: Value, graph: Graph) -> MetricOf | PropertyOf | OutputText:
    match value:
        case StepMetric(step=step, name=name):
            return MetricOf(step=graph.id_of(step), name=name)
        case StepProperty(step=step, name=name):
            return PropertyOf(step=graph.id_of(step), name=name)
        case StepText(output=output, path=path):
            producer = graph.producer_of(output.port)
            return OutputText(step=graph.id_of(producer), output=output.output_name, path=path)
        case _:
            raise TypeError(f"{value!r} is no value of a step.")


def datasets_of(graph: Graph) -> list[AbstractDataset]:
    """The datasets that the steps read, and those that parameters stand for by default, each once."""
    found = [port.source for step in graph.every_step for port in step.wiring.inputs]
    found += [parameter.default_value for step in graph.every_step for parameter in step.wiring.parameters]
    plain = [item.dataset if isinstance(item, DatasetConsumptionConfig) else item for item in found]
    return list({item.content_id: item for item in plain if isinstance(item, AbstractDataset)}.values())


def _input(port: InPort, graph: Graph) -> Input:
    return Input(
        name=port.name, source=_source(port.source, graph), mode=port.mode, path_on_compute=port.path_on_compute
    )


def _source(source: wiring.Source, graph: Graph) -> Source:
    match source:
        case Produced(port, view):
            producer = graph.id_of(graph.producer_of(port))
            return StepSource(step=producer, output=port.output_name, view=view)
        case AbstractDataset():
            return DatasetSource(id=source.content_id)
        case PipelineParameter():
            return ParameterSource(name=source.name)
        case PipelineInput():
            return ParentSource(input=source.name)
        case _:
            return DatastoreSource(datastore=source.datastore_name, path=path_of(source.parts))
