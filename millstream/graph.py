"""Which steps a pipeline has: those it is given, and backwards from them all that they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from millstream.conditions import StepMetric, StepProperty, StepText, Value
from millstream.data import PipelineData
from millstream.output_config import OutputDatasetConfig
from millstream.pipeline_dataset import PipelineOutputAbstractDataset
from millstream.sequence import StepSequence
from millstream.steps import PipelineStep
from millstream.wiring import Port, Produced
from orchestrator.core.errors import InvalidDefinition, Problem
from orchestrator.core.names import shown


@dataclass(frozen=True)
class Graph:
    """The steps, producers before consumers where that is possible. `after`: id of step object -> earlier steps."""

    steps: tuple[PipelineStep, ...]
    after: dict[int, list[PipelineStep]]
    producers: dict[int, PipelineStep]

    @cached_property
    def ids(self) -> dict[int, str]:
        """id of step object -> step id: made from the names, unique, and the same each time."""
        taken: set[str] = set()
        made: dict[int, str] = {}
        for step in self.steps:
            base = slug(step.name)
            names = (base if number == 1 else f"{base}-{number}" for number in range(1, len(self.steps) + 2))
            made[id(step)] = next(name for name in names if name not in taken)
            taken.add(made[id(step)])
        return made

    @property
    def every_step(self) -> Iterator[PipelineStep]:
        """The steps, and those of the pipelines that are steps, at any depth."""
        for step in self.steps:
            yield step
            if step.body is not None:
                yield from step.body.every_step

    def id_of(self, step: PipelineStep) -> str:
        return self.ids[id(step)]

    def producer_of(self, port: Port) -> PipelineStep:
        return self.producers[id(port)]


def build(items: Any, *, closure: bool = True) -> Graph:
    """Flatten what the user gave, follow data and order backwards. Raises InvalidDefinition, TypeError.

    `closure` False: a step that is needed and not given is a problem.
    """
    given = _Given()
    _spread(items, given)
    listed = list(dict.fromkeys(given.steps))
    producers = _producers(listed)
    steps = _close(listed, given, producers, closure=closure)
    _check_outputs(steps)
    return Graph(steps=tuple(steps), after=_after(steps, given), producers=producers)


def slug(name: str) -> str:
    """A step id made from a name."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower().removesuffix(".py")).strip("-_")[:60].strip("-_") or "step"


@dataclass(slots=True)
class _Given:
    """The steps that the user listed, and the order that sequences put on them."""

    steps: list[PipelineStep] = field(default_factory=list)
    waits: dict[int, list[PipelineStep]] = field(default_factory=dict)

    def order(self, later: PipelineStep, earlier: Iterable[PipelineStep]) -> None:
        self.waits.setdefault(id(later), []).extend(earlier)


def _spread(item: Any, given: _Given) -> tuple[list[PipelineStep], list[PipelineStep]]:
    """Enter an element; returns the steps it begins with and those it ends with."""
    match item:
        case PipelineStep():
            given.steps.append(item)
            return [item], [item]
        case StepSequence():
            return _spread_sequence(item, given)
        case list() | tuple():
            ends = [_spread(member, given) for member in item]
            return [s for heads, _ in ends for s in heads], [s for _, tails in ends for s in tails]
        case PipelineData() | OutputDatasetConfig() | PipelineOutputAbstractDataset():
            port = item.pipeline_data if isinstance(item, PipelineOutputAbstractDataset) else item.port
            if port.producer is None:
                raise InvalidDefinition([_no_producer(port, "the pipeline")])
            return _spread(port.producer, given)
        case _:
            raise TypeError(f"A pipeline is made of steps, lists of steps and StepSequences, not {item!r}.")


def _spread_sequence(sequence: StepSequence, given: _Given) -> tuple[list[PipelineStep], list[PipelineStep]]:
    first: list[PipelineStep] = []
    before: list[PipelineStep] = []
    for member in sequence.steps:
        heads, tails = _spread(member, given)
        for head in heads:
            given.order(head, before)
        first = first or heads
        before = tails or before
    return first, before


def _producers(steps: Iterable[PipelineStep]) -> dict[int, PipelineStep]:
    return {id(output.port): step for step in steps for output in step.wiring.outputs}


def _close(
    listed: list[PipelineStep], given: _Given, producers: dict[int, PipelineStep], *, closure: bool
) -> list[PipelineStep]:
    """All steps, each after those it needs. `producers` grows with the steps that are found."""
    allowed = set(map(id, listed))
    ordered: list[PipelineStep] = []
    seen: set[int] = set()
    problems: list[Problem] = []
    for root in listed:
        stack = [(root, _needs(root, given, producers, problems))] if id(root) not in seen else []
        seen.add(id(root))
        while stack:
            step, needs = stack[-1]
            following = next((need for need in needs if id(need) not in seen), None)
            if following is None:
                ordered.append(stack.pop()[0])
                continue
            seen.add(id(following))
            if not closure and id(following) not in allowed:
                problems.append(_left_out(following, step))
            producers.update({key: step for key, step in _producers([following]).items() if key not in producers})
            stack.append((following, _needs(following, given, producers, problems)))
    if problems:
        raise InvalidDefinition(problems)
    return ordered


def _needs(
    step: PipelineStep, given: _Given, producers: dict[int, PipelineStep], problems: list[Problem]
) -> Iterator[PipelineStep]:
    """The steps that `step` waits for."""
    for port in step.wiring.inputs:
        if isinstance(port.source, Produced):
            made = port.source.port
            producer = producers.get(id(made), made.producer)
            if producer is None:
                problems.append(_no_producer(made, f"step {shown(step.name)}"))
            else:
                yield producer
    yield from _order_of(step, given)


def _order_of(step: PipelineStep, given: _Given) -> Iterator[PipelineStep]:
    yield from step.predecessors
    if step.condition is not None:
        yield _asked(step.condition.value, step)
    yield from given.waits.get(id(step), ())


def _asked(value: Value, by: PipelineStep) -> PipelineStep:
    """The step whose value a condition is about."""
    match value:
        case StepText(output=output):
            if output.port.producer is None:
                raise InvalidDefinition([_no_producer(output.port, f"the condition of step {shown(by.name)}")])
            return output.port.producer
        case StepMetric(step=PipelineStep() as step) | StepProperty(step=PipelineStep() as step):
            return step
        case _:
            raise TypeError(
                f"Step {shown(by.name)}: a condition is about a step, not {getattr(value, 'step', value)!r}."
            )


def _after(steps: list[PipelineStep], given: _Given) -> dict[int, list[PipelineStep]]:
    # What a condition asks of a step orders the two by itself.
    return {id(step): list(dict.fromkeys((*step.predecessors, *given.waits.get(id(step), ())))) for step in steps}


def _check_outputs(steps: list[PipelineStep]) -> None:
    owners: dict[int, PipelineStep] = {}
    problems: list[Problem] = []
    for step in steps:
        for output in step.wiring.outputs:
            owner = owners.setdefault(id(output.port), step)
            if owner is not step:
                message = f"{shown(output.output_name)} is an output of step {shown(owner.name)} as well."
                fix = "Give each step an output of its own."
                problems.append(Problem("TwoProducers", f"step {shown(step.name)}", message, fix))
    if problems:
        raise InvalidDefinition(problems)


def _no_producer(port: Port, where: str) -> Problem:
    return Problem(
        "MissingProducer",
        where,
        f"No step has {shown(port.name or 'an output without a name')} among its outputs.",
        "List it in the outputs, or in the arguments if it is an OutputFileDatasetConfig, of the step that writes it.",
    )


def _left_out(needed: PipelineStep, by: PipelineStep) -> Problem:
    return Problem(
        "MissingProducer",
        f"step {shown(by.name)}",
        f"It needs step {shown(needed.name)}, which is not among the steps, and resolve_closure is False.",
        "Add that step, or leave resolve_closure True.",
    )
