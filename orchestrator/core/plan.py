"""The plan: what the engine needs to know of a definition to decide what runs next.

Sets of steps are Python integers, one bit a step (bit i is the i-th step of the definition), so that "are all parents
done" is one `&` even on ten thousand steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from orchestrator.core.definition import Definition, Step, StepSource
from orchestrator.core.fitting import has_places
from orchestrator.core.kinds import KINDS
from orchestrator.core.kinds.hyperdrive import TRIAL


def bits(mask: int) -> Iterator[int]:
    """The positions of the ones in `mask`, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def mask_of(positions: Iterator[int] | list[int] | tuple[int, ...]) -> int:
    """The set holding these positions."""
    mask = 0
    for position in positions:
        mask |= 1 << position
    return mask


@dataclass(frozen=True)
class Plan:
    """A definition made ready to be walked. `address` is the definition's content address."""

    address: str
    definition: Definition

    @property
    def size(self) -> int:
        return len(self.definition.steps)

    @cached_property
    def everything(self) -> int:
        return (1 << self.size) - 1

    @cached_property
    def index(self) -> dict[str, int]:
        """Step id -> position."""
        return {step.id: position for position, step in enumerate(self.definition.steps)}

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """For each step, the set of steps it waits for: its data producers and its `run_after`."""
        return tuple(mask_of([self.index[name] for name in waits_for(step)]) for step in self.definition.steps)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """For each step, the steps that wait for it, ascending."""
        lists: list[list[int]] = [[] for _ in self.definition.steps]
        for child, parents in enumerate(self.parents):
            for parent in bits(parents):
                lists[parent].append(child)
        return tuple(tuple(children) for children in lists)

    @cached_property
    def roots(self) -> tuple[int, ...]:
        return tuple(position for position, parents in enumerate(self.parents) if not parents)

    @cached_property
    def composites(self) -> int:
        """The steps that become runs of their own."""
        return mask_of([position for position, step in enumerate(self.definition.steps) if _is_composite(step)])

    @cached_property
    def deferrables(self) -> int:
        """The steps whose work a service may do, while nobody holds them."""
        return mask_of([position for position, step in enumerate(self.definition.steps) if _is_deferrable(step)])

    @cached_property
    def has_trials(self) -> bool:
        """Whether steps of it are trials of a search, who tell each other what they have reached."""
        return any(step.kind == TRIAL for step in self.definition.steps)

    @cached_property
    def priorities(self) -> dict[int, int]:
        """Position -> priority, of the steps that have one of their own."""
        return {at: step.priority for at, step in enumerate(self.definition.steps) if step.priority is not None}

    def in_order(self, steps: Iterable[int], usual: int) -> tuple[int, ...]:
        """The order in which these steps are to go: by priority, else by position. `usual`: the run's priority."""
        own = self.priorities
        if not own:
            return tuple(sorted(steps))
        return tuple(sorted(steps, key=lambda step: (-own.get(step, usual), step)))

    @cached_property
    def computes(self) -> frozenset[str]:
        """The names of all computes that steps run on."""
        return frozenset(step.compute for step in self.definition.steps)

    @cached_property
    def conditional(self) -> int:
        """The steps that may be skipped for their condition."""
        return mask_of([position for position, step in enumerate(self.definition.steps) if step.condition])

    @cached_property
    def tolerant(self) -> int:
        """The steps that run even if one before them was skipped for its condition."""
        return mask_of([position for position, step in enumerate(self.definition.steps) if step.after_skipped])

    @cached_property
    def particular(self) -> tuple[Step, ...]:
        """The steps that put values of parameters where not every value may stand."""
        return tuple(step for step in self.definition.steps if has_places(step))

    def descendants(self, mask: int) -> int:
        """Every step that waits, directly or through others, for one of `mask`."""
        seen, todo = 0, list(bits(mask))
        while todo:
            for child in self.children[todo.pop()]:
                if not seen >> child & 1:
                    seen |= 1 << child
                    todo.append(child)
        return seen

    def skipped_with(self, mask: int) -> int:
        """What is skipped when these steps are, for their conditions: these, and what waits for them and minds."""
        seen, todo = mask, list(bits(mask))
        while todo:
            for child in self.children[todo.pop()]:
                if not (seen | self.tolerant) >> child & 1:
                    seen |= 1 << child
                    todo.append(child)
        return seen

    def step(self, position: int) -> Step:
        return self.definition.steps[position]


def _is_composite(step: Step) -> bool:
    return step.kind in KINDS and KINDS[step.kind].composite


def _is_deferrable(step: Step) -> bool:
    return step.kind in KINDS and KINDS[step.kind].deferrable


def waits_for(step: Step) -> set[str]:
    """The ids of the steps that must be done before `step` starts."""
    producers = {port.source.step for port in step.inputs if isinstance(port.source, StepSource)}
    condition = {step.condition.value.step} if step.condition is not None else set()
    return producers | condition | set(step.run_after)
