"""What the rules look at, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.core.definition import Definition, Parameter, ParameterValue, Step
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown
from orchestrator.core.parameters import DATA_TYPES


@dataclass(frozen=True)
class Scene:
    """What the rules look at. `longest`: compute -> the seconds that a step may take there, where that is known.
    `attached`: compute -> the type of what it is attached to; None: nothing of that is known. `parent`: the step whose
    template the definition is.
    """

    definition: Definition
    computes: frozenset[str]
    datastores: frozenset[str]
    longest: Mapping[str, float] = field(default_factory=dict)
    attached: Mapping[str, str] | None = None
    parent: Step | None = None

    @cached_property
    def steps(self) -> dict[str, Step]:
        """Step id -> step; the first one where an id is repeated."""
        found: dict[str, Step] = {}
        for step in self.definition.steps:
            found.setdefault(step.id, step)
        return found

    @cached_property
    def outputs(self) -> dict[str, frozenset[str]]:
        """Step id -> the names of its output ports."""
        return {key: frozenset(port.name for port in step.outputs) for key, step in self.steps.items()}

    @cached_property
    def parameters(self) -> frozenset[str]:
        return frozenset(parameter.name for parameter in self.definition.parameters)

    @cached_property
    def parameters_by_name(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.definition.parameters}

    @cached_property
    def defaults(self) -> dict[str, ParameterValue]:
        """Parameter -> its default."""
        return {parameter.name: parameter.default for parameter in self.definition.parameters}

    @cached_property
    def data_parameters(self) -> frozenset[str]:
        """Those that stand for data, and are no texts."""
        return frozenset(name for name, parameter in self.parameters_by_name.items() if parameter.type in DATA_TYPES)

    def placed(self) -> Iterator[tuple[str, Step]]:
        """Each step with the place where it stands, as `steps[3]`."""
        for position, step in enumerate(self.definition.steps):
            yield f"steps[{position}]", step


Rule = Callable[[Scene], Iterator[Problem]]


def label(step: Step) -> str:
    """How messages name a step."""
    return shown(step.name) if step.name == step.id or not step.name else f"{shown(step.name)} ({step.id})"


def present(*problems: Problem | None) -> list[Problem]:
    """Those that are there."""
    return [problem for problem in problems if problem is not None]
