"""Driving tasks by hand: one effect at a time, with a fault at any of them, or several processes in turns."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from random import Random
from typing import Any

from orchestrator.adapters.driver import World
from orchestrator.core.errors import Unavailable
from orchestrator.ports import (
    Acquire,
    Commit,
    Effect,
    Get,
    Query,
    ReadBlob,
    Release,
    Send,
    Task,
    Unanswered,
    WriteBlob,
)

STORAGE = (Commit, Get, Query, ReadBlob, Send, WriteBlob)


class Killed(BaseException):
    """The process is gone."""


class Fault(Enum):
    """What goes wrong at an operation of storage."""

    KILLED_BEFORE = "killed before it"
    KILLED_AFTER = "killed after it"
    ANSWER_LOST = "applied, but the answer is lost"
    REQUEST_LOST = "not applied, and no answer"
    UNAVAILABLE = "storage does not serve us"

    @property
    def deadly(self) -> bool:
        return self in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


def drive(world: World, task: Task[Any], fault: Fault | None = None, at: int = -1) -> tuple[Any, int]:
    """Run the task; `fault` strikes at the operation of storage with the number `at`. The result, and their number."""
    number = 0
    answer: Any = None
    error: Exception | None = None
    try:
        while True:
            effect = task.send(answer) if error is None else task.throw(error)
            of_storage = isinstance(effect, STORAGE)
            hit = fault if of_storage and number == at else None
            number += of_storage
            answer, error = _answer(world, effect, hit)
    except StopIteration as stop:
        return stop.value, number


def _answer(world: World, effect: Effect[Any], fault: Fault | None = None) -> tuple[Any, Exception | None]:
    if isinstance(effect, Acquire | Release):
        return None, None  # one task a process: nobody else wants it
    if fault is Fault.KILLED_BEFORE:
        raise Killed
    if fault is Fault.UNAVAILABLE or (fault is Fault.REQUEST_LOST and not isinstance(effect, Commit)):
        return None, Unavailable("storage is not there for us")
    if fault is Fault.REQUEST_LOST:
        return None, Unanswered("no answer")
    try:
        answer = world.run(_one(effect))
    except Exception as error:  # noqa: BLE001 - an effect fails where it was asked for
        return None, error
    if fault is Fault.KILLED_AFTER:
        raise Killed
    if fault is Fault.ANSWER_LOST and isinstance(effect, Commit):
        return None, Unanswered("no answer")
    return answer, None


def _one(effect: Effect[Any]) -> Task[Any]:
    return (yield from effect)


def in_turns(tasks: Iterable[tuple[World, Task[Any]]], random: Random) -> list[Any]:
    """Run the tasks of several processes at once: an effect of this one, an effect of that, as chance will have it."""
    running = dict(enumerate(tasks))
    answers: dict[int, tuple[Any, Exception | None]] = dict.fromkeys(running, (None, None))
    results: list[Any] = []
    while running:
        number = random.choice(list(running))
        world, task = running[number]
        answer, error = answers[number]
        try:
            effect = task.send(answer) if error is None else task.throw(error)
        except StopIteration as stop:
            results.append(stop.value)
            del running[number]
        else:
            answers[number] = _answer(world, effect)
    return results
