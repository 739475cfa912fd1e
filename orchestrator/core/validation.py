"""Whether a pipeline definition can run: every rule speaks before any work starts.

`validate` returns all problems, `check` raises if one of them is an error. Both look only at the definition and at the
names of what exists. A definition of the right shape (see `definition.decode`) never makes them raise anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice

from orchestrator.core.definition import Definition, Step
from orchestrator.core.errors import InvalidDefinition, Problem
from orchestrator.core.parameters import resolve_parameters
from orchestrator.core.rules import links, shape
from orchestrator.core.rules.scene import Rule, Scene
from orchestrator.core.rules.shape import MOST_STEPS

__all__ = ["MOST_STEPS", "RULES", "check", "resolve_parameters", "validate"]

MOST_PROBLEMS = 100

RULES: tuple[Rule, ...] = (
    shape.document,
    shape.number_of_steps,
    shape.step_names,
    shape.port_names,
    shape.source_files,
    shape.port_modes,
    shape.outputs,
    shape.kinds,
    shape.templates,
    shape.limits,
    shape.parameters,
    links.unused_parameters,
    links.input_sources,
    links.input_modes,
    links.parameter_datastores,
    links.output_datastores,
    links.computes,
    links.services,
    links.time_on_computes,
    links.arguments,
    links.sequence,
    links.conditions,
    links.acyclic,
)
"""All rules, in the order in which they speak."""


def validate(
    definition: Definition,
    *,
    computes: Collection[str],
    datastores: Collection[str],
    longest: Mapping[str, float] | None = None,
    attached: Mapping[str, str] | None = None,
    parent: Step | None = None,
) -> list[Problem]:
    """The problems of the definition, errors and warnings, in the order of the rules; the first hundred if more.

    After its own come those of the templates of its steps. `longest`: compute -> the seconds that a step may take
    there, where that is known. `attached`: compute -> the type of what it is attached to; None: that is not known.
    `parent`: the step that it is the template of.
    """
    scene = Scene(definition, frozenset(computes), frozenset(datastores), longest or {}, attached, parent)
    if len(definition.steps) > MOST_STEPS:
        return list(shape.number_of_steps(scene))
    own = chain.from_iterable(rule(scene) for rule in RULES)
    return list(islice(chain(own, _in_templates(scene)), MOST_PROBLEMS))


def _in_templates(scene: Scene) -> Iterator[Problem]:
    for place, step in scene.placed():
        if step.template is not None:
            found = validate(
                step.template,
                computes=scene.computes,
                datastores=scene.datastores,
                longest=scene.longest,
                attached=scene.attached,
                parent=step,
            )
            for problem in found:
                yield replace(problem, field=f"{place}.template.{problem.field}")


def check(
    definition: Definition,
    *,
    computes: Collection[str],
    datastores: Collection[str],
    longest: Mapping[str, float] | None = None,
    attached: Mapping[str, str] | None = None,
) -> tuple[Problem, ...]:
    """The warnings. Raises InvalidDefinition, with every problem, if there is an error among them."""
    problems = validate(definition, computes=computes, datastores=datastores, longest=longest, attached=attached)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise InvalidDefinition(errors + [problem for problem in problems if problem.severity != "error"])
    return tuple(problems)
