"""Rules about what refers to what: sources, datastores, computes, arguments, sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.core.cycles import cycles
from orchestrator.core.dataset_rules import view_problems
from orchestrator.core.definition import (
    Argument,
    DataPathValue,
    DatasetSource,
    DatastoreSource,
    FromInput,
    FromOutput,
    FromParameter,
    Input,
    Literal,
    OutputText,
    ParameterSource,
    ParameterValue,
    ParentSource,
    Step,
    StepSource,
    Text,
)
from orchestrator.core.errors import Problem
from orchestrator.core.kinds import KINDS
from orchestrator.core.names import DATA_PATH, DATASET_ID, DATASTORE, TEXT, VARIABLE, listed, shown, suggestion
from orchestrator.core.parameters import DATA_TYPES
from orchestrator.core.resolving import parameters_used, references
from orchestrator.core.rules.scene import Scene, label, present


def input_sources(scene: Scene) -> Iterator[Problem]:
    """Each input takes an output that another step has, a path of a datastore that exists, a saved dataset, or what a
    parameter of type "datapath" or "dataset" stands for.
    """
    for place, step in scene.placed():
        for index, port in enumerate(step.inputs):
            yield from _source(scene, step, port, f"{place}.inputs[{index}].source")


def _source(scene: Scene, step: Step, port: Input, where: str) -> Iterator[Problem]:
    match port.source:
        case DatastoreSource(datastore=datastore, path=path):
            yield from _datastore(scene, datastore, f"{where}.datastore")
            yield from _path(scene, step, path, f"{where}.path")
        case DatasetSource(id=id_):
            yield from present(DATASET_ID.problem(id_, f"{where}.id"))
        case ParameterSource(name=name):
            yield from _data_parameter(scene, step, port, name, f"{where}.name")
        case StepSource() as source:
            yield from _producer(scene, step, port, source, where)
            if source.view is not None:
                yield from view_problems(source.view, f"{where}.view")
        case ParentSource() as source:
            yield from _parent(scene, step, port, source, where)


def _parent(scene: Scene, step: Step, port: Input, source: ParentSource, where: str) -> Iterator[Problem]:
    wanted = f"The input {shown(port.name)} of step {label(step)} takes the input {shown(source.input)} of a step above"
    above = scene.parent
    if above is None:
        message = f"{wanted}, and the pipeline is no template."
        yield Problem("NoParent", where, message, "Use another source outside of templates.")
        return
    names = {port.name for port in above.inputs}
    if source.input not in names:
        message = f"{wanted}, and {label(above)} has no such input."
        yield Problem("UnknownPort", f"{where}.input", message, suggestion(source.input, names, "inputs"))
    if source.file:
        yield from present(DATA_PATH.problem(source.file, f"{where}.file"))
    for index, name in enumerate(source.files):
        yield from present(DATA_PATH.problem(name, f"{where}.files[{index}]"))


def _path(scene: Scene, step: Step, path: str | Text, where: str) -> Iterator[Problem]:
    """What values may make of a path of parts is seen when a run gives them: see `orchestrator.core.fitting`."""
    if isinstance(path, str):
        yield from present(DATA_PATH.problem(path, where))
        return
    known = Known(scene.parameters, frozenset(), frozenset(), scene.data_parameters)
    yield from _reference(known, step, path, where)


def _data_parameter(scene: Scene, step: Step, port: Input, name: str, where: str) -> Iterator[Problem]:
    parameter = scene.parameters_by_name.get(name)
    wanted = f"The input {shown(port.name)} of step {label(step)} takes its data from the parameter {shown(name)}"
    if parameter is None:
        fix = suggestion(name, scene.parameters, "pipeline parameters")
        yield Problem("UnknownParameter", where, f"{wanted}, and there is no such parameter.", fix)
    elif parameter.type not in DATA_TYPES:
        fix = f"Use a parameter of type {listed(DATA_TYPES)}."
        yield Problem("WrongParameter", where, f"{wanted}, whose type is {shown(parameter.type)}.", fix)


def _producer(scene: Scene, step: Step, port: Input, source: StepSource, where: str) -> Iterator[Problem]:
    wanted = f"The input {shown(port.name)} of step {label(step)}"
    if source.step == step.id:
        message = f"{wanted} takes {shown(source.output)} from the step itself."
        yield Problem("SelfReference", f"{where}.step", message, "Take it from another step.")
        return
    producer = scene.steps.get(source.step)
    if producer is None:
        message = f"{wanted} takes {shown(source.output)} from {shown(source.step)}, and there is no such step."
        yield Problem("MissingProducer", f"{where}.step", message, suggestion(source.step, scene.steps, "steps"))
    elif source.output not in scene.outputs[source.step]:
        message = f"{wanted} takes {shown(source.output)} from step {label(producer)}, which has no such output."
        fix = suggestion(source.output, scene.outputs[source.step], f"outputs of {label(producer)}")
        yield Problem("UnknownOutput", f"{where}.output", message, fix)


def input_modes(scene: Scene) -> Iterator[Problem]:
    """The mode "direct" is for datasets, and a table has no other."""
    for place, step in scene.placed():
        for index, port in enumerate(step.inputs):
            where = f"{place}.inputs[{index}].mode"
            dataset = _is_dataset(scene, port)
            if port.mode == "direct" and dataset is False:
                message = f"The input {shown(port.name)} of step {label(step)} is no dataset, and cannot be direct."
                yield Problem("WrongMode", where, message, 'Use "mount" or "download".')
            view = port.source.view if isinstance(port.source, StepSource) else None
            if port.mode != "direct" and view is not None and view.type == "tabular":
                message = f"The input {shown(port.name)} of step {label(step)} is a table, which has no path."
                yield Problem("WrongMode", where, message, 'Use "direct".')


def _is_dataset(scene: Scene, port: Input) -> bool | None:
    """None: the definition does not tell."""
    match port.source:
        case ParentSource():
            return None
        case StepSource(view=view):
            return view is not None
        case ParameterSource(name=name):
            parameter = scene.parameters_by_name.get(name)
            return parameter is None or parameter.type != "datapath"
        case source:
            return isinstance(source, DatasetSource)


def parameter_datastores(scene: Scene) -> Iterator[Problem]:
    """The default of a parameter of type "datapath" names a datastore that exists."""
    for index, parameter in enumerate(scene.definition.parameters):
        if isinstance(parameter.default, DataPathValue):
            yield from _datastore(scene, parameter.default.datastore, f"parameters[{index}].default.datastore")


def output_datastores(scene: Scene) -> Iterator[Problem]:
    """Each output goes to a datastore that exists, and a destination is made of texts and parameters that exist."""
    for place, step in scene.placed():
        for index, port in enumerate(step.outputs):
            where = f"{place}.outputs[{index}]"
            yield from _datastore(scene, port.datastore, f"{where}.datastore")
            known = Known(scene.parameters, frozenset(), frozenset(), scene.data_parameters)
            for number, part in enumerate(port.destination):
                yield from _reference(known, step, part, f"{where}.destination[{number}]")


def _datastore(scene: Scene, name: str, field: str) -> Iterator[Problem]:
    if name in scene.datastores:
        return
    malformed = DATASTORE.problem(name, field)
    fix = suggestion(name, scene.datastores, "datastores")
    yield malformed or Problem("UnknownDatastore", field, f"There is no datastore {shown(name)}.", fix)


def computes(scene: Scene) -> Iterator[Problem]:
    """Each step runs on a compute that exists."""
    for place, step in scene.placed():
        if step.compute not in scene.computes:
            message = f"Step {label(step)}: there is no compute {shown(step.compute)}."
            fix = suggestion(step.compute, scene.computes, "computes")
            yield Problem("UnknownCompute", f"{place}.compute", message, fix)


def services(scene: Scene) -> Iterator[Problem]:
    """Each step whose work is done by a service alone has a compute that is attached to one."""
    for place, step in scene.placed():
        kind = KINDS.get(step.kind)
        if scene.attached is None or kind is None or not kind.service or step.compute not in scene.computes:
            continue
        if (there := scene.attached.get(step.compute)) != kind.service:
            what = f"is attached to {there}" if there else "is not attached to any service"
            message = f"Step {label(step)} is work for {kind.service}, and the compute {shown(step.compute)} {what}."
            fix = f"Attach one under that name ({kind.service}Compute.attach_configuration), or name another compute."
            yield Problem("NoSuchService", f"{place}.compute", message, fix)


def _asked(scene: Scene, step: Step) -> ParameterValue | None:
    """The time limit of a step, or the default of the parameter that says it."""
    limit = step.timeout_seconds
    return scene.defaults.get(limit.name) if isinstance(limit, FromParameter) else limit


def time_on_computes(scene: Scene) -> Iterator[Problem]:
    """No step asks for more time than its compute has."""
    for place, step in scene.placed():
        most, asked = scene.longest.get(step.compute), _asked(scene, step)
        if most is not None and isinstance(asked, int | float) and asked > most:
            message = (
                f"Step {label(step)} may take {asked:g} s, and {shown(step.compute)} ends scripts after {most:g} s."
            )
            fix = "Ask for less, or use a compute with a longer timeout_seconds (functionTimeout, for a function)."
            yield Problem("TimeoutTooLong", f"{place}.timeout_seconds", message, fix)


def arguments(scene: Scene) -> Iterator[Problem]:
    """Arguments and environment values refer to ports of their step and to parameters of the pipeline; settings and
    the timeout to parameters.
    """
    for place, step in scene.placed():
        inputs, outputs = (frozenset(port.name for port in ports) for ports in (step.inputs, step.outputs))
        known = Known(scene.parameters, inputs, outputs, scene.data_parameters)
        for parameter in dict.fromkeys(references(step.settings)):
            yield from _reference(known, step, FromParameter(name=parameter), f"{place}.settings")
        if isinstance(step.timeout_seconds, FromParameter):
            yield from _reference(known, step, step.timeout_seconds, f"{place}.timeout_seconds")
        for index, argument in enumerate(step.arguments):
            yield from _reference(known, step, argument, f"{place}.arguments[{index}]")
        for name, value in step.environment.items():
            malformed = VARIABLE.problem(name, f"{place}.environment")
            yield from present(malformed)
            where = f"{place}.environment" if malformed else f"{place}.environment.{name}"
            yield from _reference(known, step, value, where)


class Known(NamedTuple):
    """The names that the arguments of one step may use."""

    parameters: frozenset[str]
    inputs: frozenset[str]
    outputs: frozenset[str]
    data_parameters: frozenset[str]


def _reference(known: Known, step: Step, argument: Argument, where: str) -> Iterator[Problem]:
    match argument:
        case Literal(value=value):
            yield from present(TEXT.problem(value, f"{where}.value"))
            return
        case Text(parts=parts):
            for index, part in enumerate(parts):
                yield from _reference(known, step, part, f"{where}.parts[{index}]")
            return
        case FromParameter():
            names, code, noun = known.parameters, "UnknownParameter", "pipeline parameter"
        case FromInput():
            names, code, noun = known.inputs, "UnknownPort", "input"
        case FromOutput():
            names, code, noun = known.outputs, "UnknownPort", "output"
    if argument.name not in names:
        message = f"Step {label(step)} refers to the {noun} {shown(argument.name)}, which is not declared."
        yield Problem(code, f"{where}.name", message, suggestion(argument.name, names, f"{noun}s"))
    elif isinstance(argument, FromParameter) and argument.name in known.data_parameters:
        message = f"Step {label(step)} uses the parameter {shown(argument.name)}, which is data, as a text."
        yield Problem("WrongParameter", f"{where}.name", message, "Make it the source of an input, and use that.")


def unused_parameters(scene: Scene) -> Iterator[Problem]:
    """A parameter that no step uses is worth a warning."""
    used = {name for step in scene.definition.steps for name in parameters_used(step)}
    for index, parameter in enumerate(scene.definition.parameters):
        if parameter.name not in used:
            message = f"No step uses the parameter {shown(parameter.name)}."
            fix = "Pass it in a step's arguments or inputs, or leave it out."
            yield Problem("UnusedParameter", f"parameters[{index}]", message, fix, severity="warning")


def sequence(scene: Scene) -> Iterator[Problem]:
    """`run_after` names other steps of the pipeline, each once."""
    for place, step in scene.placed():
        seen: set[str] = set()
        for index, name in enumerate(step.run_after):
            where = f"{place}.run_after[{index}]"
            if name == step.id:
                message = f"Step {label(step)} is to run after itself."
                yield Problem("SelfReference", where, message, "Leave it out.")
            elif name not in scene.steps:
                message = f"Step {label(step)} is to run after {shown(name)}, and there is no such step."
                yield Problem("UnknownStep", where, message, suggestion(name, scene.steps, "steps"))
            elif name in seen:
                message = f"Step {label(step)} is to run after {shown(name)} twice."
                yield Problem("DuplicateStep", where, message, "Name it once.")
            seen.add(name)


def conditions(scene: Scene) -> Iterator[Problem]:
    """A condition is about what another step leaves, and compares it with a value or a parameter that has one."""
    for place, step in scene.placed():
        condition = step.condition
        if condition is None:
            continue
        value, where = condition.value, f"{place}.condition"
        wanted = f"The condition of step {label(step)} is about"
        if value.step == step.id or value.step not in scene.steps:
            code = "SelfReference" if value.step == step.id else "UnknownStep"
            fix = suggestion(value.step, scene.steps, "steps")
            yield Problem(
                code, f"{where}.value.step", f"{wanted} {shown(value.step)}, and is to be about another step.", fix
            )
        elif isinstance(value, OutputText) and value.output not in scene.outputs[value.step]:
            message = f"{wanted} the output {shown(value.output)} of {shown(value.step)}, which has none of that name."
            fix = suggestion(value.output, scene.outputs[value.step], "outputs")
            yield Problem("UnknownOutput", f"{where}.value.output", message, fix)
        if isinstance(condition.than, FromParameter):
            known = Known(scene.parameters, frozenset(), frozenset(), scene.data_parameters)
            yield from _reference(known, step, condition.than, f"{where}.than")


def acyclic(scene: Scene) -> Iterator[Problem]:
    """No step waits, directly or through others, for itself."""
    positions = {key: position for position, key in enumerate(scene.steps)}
    waits = [_waits(step, positions) for step in scene.steps.values()]
    steps = list(scene.steps.values())
    for cycle in cycles(waits):
        round_trip = [steps[position] for position in (*cycle, cycle[0])]
        path = " -> ".join(label(step) for step in round_trip)
        place = f"steps[{scene.definition.steps.index(round_trip[0])}]"
        fix = "Remove one of these dependencies (an input, or run_after)."
        yield Problem("Cycle", place, f"These steps wait for each other in a circle: {path}.", fix)


def _waits(step: Step, positions: dict[str, int]) -> list[int]:
    sources = [port.source.step for port in step.inputs if isinstance(port.source, StepSource)]
    condition = () if step.condition is None else (step.condition.value.step,)
    waited_for = (*sources, *condition, *step.run_after)
    return [positions[name] for name in waited_for if name in positions and name != step.id]
