"""Whether the values that a run gives fit the places where its steps put them: settings, timeouts and paths.

The rules of a definition look at these places with the defaults; this looks at them again with the run's own values,
before the run is started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.core.definition import DatastoreSource, FromParameter, Input, Output, Step, Text
from orchestrator.core.errors import InvalidRequest, Problem
from orchestrator.core.names import DATA_PATH, PATH
from orchestrator.core.resolving import Values, references, resolve_path, resolve_text
from orchestrator.core.rules.shape import destination_path, settings_problems, timeout_problems


def check_fit(steps: Iterable[Step], values: Values) -> None:
    """Raises InvalidRequest, with the field `parameters.<name>`, for the first value that does not fit."""
    for step in steps:
        for name, problem in _problems(step, values):
            message = f"The value of {name} does not fit step {step.name!r}: {problem.message} {problem.fix}"
            raise InvalidRequest(message, field=f"parameters.{name}")


def has_places(step: Step) -> bool:
    """Whether the step puts the value of a parameter where not every value may stand."""
    limited = isinstance(step.timeout_seconds, FromParameter)
    return limited or any(_names_of(port) for port in _ports(step)) or any(references(step.settings))


def _problems(step: Step, values: Values) -> Iterator[tuple[str, Problem]]:
    """The name of a parameter, and what is wrong with its value."""
    if used := list(references(step.settings)):
        yield from ((used[0], problem) for problem in settings_problems(step, values, "settings"))
    if isinstance(step.timeout_seconds, FromParameter):
        name = step.timeout_seconds.name
        yield from ((name, problem) for problem in timeout_problems(step, values, "timeout_seconds"))
    for port in _ports(step):
        names = _names_of(port)
        problem = _path_problem(port, values) if names else None
        if problem is not None:
            yield names[0], problem


def _ports(step: Step) -> Iterator[Input | Output]:
    yield from step.inputs
    yield from step.outputs


def _names_of(port: Input | Output) -> list[str]:
    """The parameters in the path that the port names."""
    parts = port.destination if isinstance(port, Output) else _parts(port)
    return [part.name for part in parts if isinstance(part, FromParameter)]


def _parts(port: Input) -> Iterable[object]:
    source = port.source
    return source.path.parts if isinstance(source, DatastoreSource) and isinstance(source.path, Text) else ()


def _path_problem(port: Input | Output, values: Values) -> Problem | None:
    if isinstance(port, Output):
        template = resolve_text(Text(parts=port.destination), values)
        return PATH.problem(destination_path(template, "run", port.name), "destination")
    assert isinstance(port.source, DatastoreSource)
    return DATA_PATH.problem(resolve_path(port.source.path, values), "path")
