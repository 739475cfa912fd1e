"""Rules about the parts by themselves: names, numbers, settings, parameters."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from orchestrator.core import priority
from orchestrator.core.dataset_rules import view_problems
from orchestrator.core.definition import SCHEMA, FromParameter, Input, Literal, Output, Registration, Step
from orchestrator.core.errors import Problem
from orchestrator.core.kinds import KINDS, settings_of
from orchestrator.core.names import (
    DATASET,
    PARAMETER,
    PATH,
    PIPELINE_NAME,
    PIPELINE_OUTPUT,
    PORT,
    SNAPSHOT,
    STEP_ID,
    STEP_NAME,
    TEXT,
    listed,
    shown,
    suggestion,
    variable_of,
)
from orchestrator.core.parameters import TYPES, default_problem
from orchestrator.core.resolving import Values, references, resolve_settings, resolve_timeout
from orchestrator.core.rules.scene import Scene, label, present

MOST_STEPS = 10_000
MOST_RETRIES = 100
LONGEST_SECONDS = 30 * 86_400
INPUT_MODES = ("mount", "download", "direct")
OUTPUT_MODES = ("mount", "upload", "link")
MOST_REGISTERED = 8_000
RUN_ID = "{run-id}"
OUTPUT_NAME = "{output-name}"


def document(scene: Scene) -> Iterator[Problem]:
    """`schema` names a version of this document that is understood, and the pipeline has a name."""
    definition = scene.definition
    if definition.schema != SCHEMA:
        yield Problem("UnknownSchema", "schema", f"{shown(definition.schema)} is not understood.", f'Use "{SCHEMA}".')
    yield from present(PIPELINE_NAME.problem(definition.name, "name"))


def number_of_steps(scene: Scene) -> Iterator[Problem]:
    """A pipeline has 1 to 10,000 steps."""
    count = len(scene.definition.steps)
    if count == 0:
        yield Problem("NoSteps", "steps", "The pipeline has no steps.", "Give it at least one.")
    if count > MOST_STEPS:
        yield Problem(
            "TooManySteps", "steps", f"The pipeline has {count:,} steps.", f"Use at most {MOST_STEPS:,}, or split it."
        )


def step_names(scene: Scene) -> Iterator[Problem]:
    """Each step has a valid id, which no other step has, and a name."""
    seen: dict[str, str] = {}
    for place, step in scene.placed():
        yield from present(STEP_ID.problem(step.id, f"{place}.id"), STEP_NAME.problem(step.name, f"{place}.name"))
        first = seen.setdefault(step.id, place)
        if first != place:
            yield Problem(
                "DuplicateStep", f"{place}.id", f"{shown(step.id)} is also the id of {first}.", "Give each its own id."
            )


def port_names(scene: Scene) -> Iterator[Problem]:
    """Port names are valid, and no two ports of a step share one, be they inputs or outputs."""
    for place, step in scene.placed():
        seen: dict[str, str] = {}
        for where, name in _ports(place, step):
            yield from present(PORT.problem(name, f"{where}.name"))
            first = seen.setdefault(name, where)
            if first != where:
                message = f"Step {label(step)} has two ports named {shown(name)}: {first} and {where}."
                yield Problem("DuplicatePort", f"{where}.name", message, "Rename one of them.")


def _ports(place: str, step: Step) -> Iterator[tuple[str, str]]:
    for index, port in enumerate(step.inputs):
        yield f"{place}.inputs[{index}]", port.name
    for index, output in enumerate(step.outputs):
        yield f"{place}.outputs[{index}]", output.name


def source_files(scene: Scene) -> Iterator[Problem]:
    """What names the source files that count is a path or a pattern within the source folder."""
    for place, step in scene.placed():
        for index, name in enumerate(step.source_files):
            yield from present(PATH.problem(name, f"{place}.source_files[{index}]"))


def port_modes(scene: Scene) -> Iterator[Problem]:
    """Inputs have mode "mount", "download" or "direct", outputs "mount", "upload" or "link"; `path_on_compute` stays in
    the folder.
    """
    for place, step in scene.placed():
        for index, port in enumerate(step.inputs):
            yield from _mode(port, f"{place}.inputs[{index}]", "An input", INPUT_MODES)
        for index, output in enumerate(step.outputs):
            yield from _mode(output, f"{place}.outputs[{index}]", "An output", OUTPUT_MODES)


def _mode(port: Input | Output, where: str, noun: str, modes: tuple[str, ...]) -> Iterator[Problem]:
    if port.mode not in modes:
        message = f"{noun} cannot have the mode {shown(port.mode)}."
        yield Problem("UnknownMode", f"{where}.mode", message, f"Use one of {listed(modes)}.")
    if port.path_on_compute is not None:
        yield from present(PATH.problem(port.path_on_compute, f"{where}.path_on_compute"))


def outputs(scene: Scene) -> Iterator[Problem]:
    """What an output says of its files is in order: patterns, destination, registration; a link has none."""
    for place, step in scene.placed():
        for index, output in enumerate(step.outputs):
            where = f"{place}.outputs[{index}]"
            yield from _files(output, where)
            if output.pipeline_output is not None:
                yield from present(PIPELINE_OUTPUT.problem(output.pipeline_output, f"{where}.pipeline_output"))
            if output.register is not None:
                yield from present(DATASET.problem(output.register.name, f"{where}.register.name"))
                yield from _texts(output.register, f"{where}.register")
                yield from view_problems(output.register.view, f"{where}.register.view")


def _texts(register: Registration, where: str) -> Iterator[Problem]:
    texts = [register.description, *register.tags, *register.tags.values()]
    yield from present(*(TEXT.problem(text, where) for text in texts))
    if sum(map(len, texts)) > MOST_REGISTERED:
        fix = f"Use at most {MOST_REGISTERED:,} characters."
        yield Problem("TooLong", where, "Description and tags are too long together.", fix)


def _files(output: Output, where: str) -> Iterator[Problem]:
    if output.mode == "link" and (output.destination or output.globs or output.path_on_compute):
        message = f"The output {shown(output.name)} is a link, which has no files of its own."
        yield Problem("WrongMode", f"{where}.mode", message, "Leave out destination, globs and path_on_compute.")
    for number, pattern in enumerate(output.globs):
        yield from present(PATH.problem(pattern, f"{where}.globs[{number}]"))
    if output.destination and all(isinstance(part, Literal) for part in output.destination):
        text = "".join(part.value for part in output.destination if isinstance(part, Literal))
        yield from present(PATH.problem(destination_path(text, "run", output.name), f"{where}.destination"))


def destination_path(template: str, run_id: str, output_name: str) -> str:
    """The path that a destination stands for."""
    return template.replace(RUN_ID, run_id).replace(OUTPUT_NAME, output_name).rstrip("/")


def kinds(scene: Scene) -> Iterator[Problem]:
    """Each step is of a known kind, with the settings of that kind and, where it needs one, a source snapshot."""
    for place, step in scene.placed():
        if step.snapshot is not None:
            yield from present(SNAPSHOT.problem(step.snapshot, f"{place}.snapshot"))
        kind = KINDS.get(step.kind)
        if kind is None:
            message = f"Step {label(step)} has the kind {shown(step.kind)}, which is not known."
            yield Problem("UnknownKind", f"{place}.kind", message, suggestion(step.kind, KINDS, "kinds"))
            continue
        if kind.needs_snapshot and step.snapshot is None:
            message = f"Step {label(step)} runs from a source folder, and none is given."
            yield Problem("MissingSnapshot", f"{place}.snapshot", message, "Upload the folder and give its id.")
        if scene.parameters.issuperset(references(step.settings)):  # otherwise links.arguments speaks
            yield from settings_problems(step, scene.defaults, f"{place}.settings")


def templates(scene: Scene) -> Iterator[Problem]:
    """A step that becomes many has a template if its kind asks for one, and other steps have none."""
    for place, step in scene.placed():
        kind = KINDS.get(step.kind)
        if kind is None or kind.template is (step.template is not None):
            yield from _mapped_outputs(place, step)
            continue
        if kind.template:
            message = f"Step {label(step)} is of the kind {shown(step.kind)}, which runs a template, and has none."
            yield Problem("MissingTemplate", f"{place}.template", message, "Give it a definition.")
        else:
            message = f"Step {label(step)} is of the kind {shown(step.kind)}, which has no use for a template."
            yield Problem("UnusedTemplate", f"{place}.template", message, "Leave it out.")


def _mapped_outputs(place: str, step: Step) -> Iterator[Problem]:
    """Where settings say which outputs of the template are those of the step, they say it of all, and are right."""
    mapped = step.settings.get("outputs", {})
    if step.template is None or not isinstance(mapped, dict) or step.kind not in ("map", "pipeline"):
        return
    made = {(inner.id, port.name) for inner in step.template.steps for port in inner.outputs}
    for name, source in mapped.items():
        if isinstance(source, dict) and (source.get("step"), source.get("output")) not in made:
            message = f"Step {label(step)} has its output {shown(str(name))} from a place that its template lacks."
            fix = "Name a step of the template and an output of it."
            yield Problem("UnknownOutput", f"{place}.settings.outputs", message, fix)
    for index, port in enumerate(step.outputs):
        if port.name not in mapped and port.name != step.settings.get("results"):
            message = f"Step {label(step)} does not say which output of its template {shown(port.name)} is."
            yield Problem("UnknownOutput", f"{place}.outputs[{index}]", message, "Name it in the settings.")


def settings_problems(step: Step, values: Values, field: str) -> Iterator[Problem]:
    """What is wrong with the settings of a step of a known kind, when its parameters have these values."""
    try:
        settings = settings_of(step.kind, resolve_settings(step, values))
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        message = f"Step {label(step)} has wrong settings for {shown(step.kind)}: {text}."
        yield Problem("InvalidSettings", field + place.rstrip("`"), message, "See docs/definition.md.")
    else:
        yield from settings.problems(field)
        yield from settings.step_problems(step, field.removesuffix(".settings"))


def parameters(scene: Scene) -> Iterator[Problem]:
    """Parameters have valid names, distinct as environment variables too, a known type, and a default of that type."""
    declared = scene.definition.parameters
    variables: dict[str, int] = {}
    for index, parameter in enumerate(declared):
        where = f"parameters[{index}]"
        yield from present(PARAMETER.problem(parameter.name, f"{where}.name"))
        first = variables.setdefault(variable_of(parameter.name), index)
        if first != index:
            other = f"parameters[{first}], {shown(declared[first].name)}"
            message = f"The parameter {shown(parameter.name)} becomes the same environment variable as {other}."
            yield Problem("DuplicateParameter", f"{where}.name", message, "Rename one of them.")
        if parameter.type not in TYPES:
            message = f"The parameter {shown(parameter.name)} has the type {shown(parameter.type)}."
            yield Problem("UnknownType", f"{where}.type", message, suggestion(parameter.type, TYPES, "types"))
        else:
            yield from present(default_problem(parameter, f"{where}.default"))


def limits(scene: Scene) -> Iterator[Problem]:
    """Retries are 0 to 100, their delays and back-off in reason; a timeout is above 0 and at most 30 days; a priority
    is -100 to 100.
    """
    for place, step in scene.placed():
        retry = step.retry
        yield from present(
            _between(retry.max_retries, 0, MOST_RETRIES, f"{place}.retry.max_retries"),
            _between(retry.delay_seconds, 0, LONGEST_SECONDS, f"{place}.retry.delay_seconds"),
            _between(retry.max_delay_seconds, 0, LONGEST_SECONDS, f"{place}.retry.max_delay_seconds"),
            _between(retry.backoff, 1, 100, f"{place}.retry.backoff"),
            _between(step.priority or 0, priority.LEAST, priority.MOST, f"{place}.priority"),
        )
        limit = step.timeout_seconds
        if not isinstance(limit, FromParameter) or limit.name in scene.parameters:
            yield from timeout_problems(step, scene.defaults, f"{place}.timeout_seconds")


def timeout_problems(step: Step, values: Values, field: str) -> Iterator[Problem]:
    """What is wrong with the timeout of a step, when its parameters have these values."""
    try:
        timeout = resolve_timeout(step, values)
    except TypeError as error:
        yield Problem("InvalidNumber", field, f"{error}.", "Use a parameter that is a number.")
        return
    if timeout is not None:
        yield from present(_between(timeout, 0, LONGEST_SECONDS, field))
    if timeout == 0:
        fix = "Leave it out for the service's own limit."
        yield Problem("InvalidNumber", field, "A timeout of 0 ends a step at once.", fix)


def _between(value: float, least: float, most: float, field: str) -> Problem | None:
    if least <= value <= most:
        return None
    return Problem("InvalidNumber", field, "The number is out of range.", f"Use {least:,} to {most:,}.")
