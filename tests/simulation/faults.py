"""What goes wrong, and when. Every storage operation of a process asks `decide`; the answer is a fault or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Protocol

from orchestrator.ports import Commit, Effect, Send, WriteBlob


class Fault(Enum):
    """`*_BEFORE`: the request never leaves. `*_AFTER`: it is applied, and the answer finds nobody.

    MESSAGE_LOST happens to a Send only: it is answered, and nobody will ever receive it.
    """

    KILL_BEFORE = "killed before"
    KILL_AFTER = "killed after"
    FREEZE_BEFORE = "frozen before"
    FREEZE_AFTER = "frozen after"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    APPLIED_LATE = "answer lost, applied late"
    UNAVAILABLE = "unavailable"
    STALL = "stalled"
    MESSAGE_LOST = "message lost"


DEADLY = (Fault.KILL_BEFORE, Fault.KILL_AFTER)
AMBIGUOUS = (Fault.REQUEST_LOST, Fault.ANSWER_LOST, Fault.APPLIED_LATE)


def is_write(effect: Effect[Any]) -> bool:
    return isinstance(effect, Commit | Send | WriteBlob)


class Faults(Protocol):
    """duplicate, reorder, early: the chances that a message comes twice, late, or back too soon.

    deaths: the ways in which a killed process may die, see `Host`.
    """

    @property
    def duplicate(self) -> float: ...
    @property
    def reorder(self) -> float: ...
    @property
    def early(self) -> float: ...
    @property
    def deaths(self) -> Sequence[str]: ...

    def decide(self, number: int, effect: Effect[Any]) -> Fault | None:
        """number: of the operation, counted from 0 over the whole world."""
        ...


@dataclass(slots=True, kw_only=True)
class Calm:
    """Nothing goes wrong, unless a script says so: fault by number of the operation."""

    script: Mapping[int, Fault] = field(default_factory=dict)
    duplicate: float = 0.0
    reorder: float = 0.0
    early: float = 0.0
    deaths: Sequence[str] = ("killed",)

    def decide(self, number: int, effect: Effect[Any]) -> Fault | None:
        return self.script.get(number)


class Storm:
    """Everything goes wrong, each kind of thing with a chance of its own that the seed decides. `lost`: that of a
    message, if the seed does not.
    """

    def __init__(self, random: Random, lost: float | None = None) -> None:
        self._random = random
        self.duplicate = random.choice((0.0, 0.05, 0.5))
        self.reorder = random.choice((0.0, 0.1, 0.5))
        self.early = random.choice((0.0, 0.0, 0.05))
        self.deaths = ("killed", "killed", "worker", "ghost")
        lossy = random.choice((0.0, 0.02, 0.05))
        deadly = random.choice((0.0, 0.003, 0.02))
        icy = random.choice((0.0, 0.01, 0.03))
        # A world repeats a refused request four times: of 20 % refused, 0.16 % reach the engine; of 67 %, 20 % do.
        self._chances: tuple[tuple[Fault, float], ...] = (
            (Fault.KILL_BEFORE, deadly / 2),
            (Fault.KILL_AFTER, deadly / 2),
            (Fault.FREEZE_BEFORE, icy / 2),
            (Fault.FREEZE_AFTER, icy / 2),
            (Fault.REQUEST_LOST, lossy),
            (Fault.ANSWER_LOST, lossy),
            (Fault.APPLIED_LATE, lossy / 2),
            (Fault.UNAVAILABLE, random.choice((0.0, 0.0016, 0.02, 0.2))),
            (Fault.STALL, random.choice((0.0, 0.01))),
            (Fault.MESSAGE_LOST, random.choice((0.0, 0.02)) if lost is None else lost),
        )
        self._calm = 1.0 - sum(chance for _, chance in self._chances)

    def decide(self, number: int, effect: Effect[Any]) -> Fault | None:
        draw = self._random.random()
        if draw < self._calm:
            return None
        draw -= self._calm
        for fault, chance in self._chances:
            if draw < chance:
                return fault if fault is not Fault.MESSAGE_LOST or isinstance(effect, Send) else None
            draw -= chance
        return None
