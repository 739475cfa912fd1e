"""Driving a task: what every world has in common.

A `World` is one process's view: it holds that process's locks and clock, and a table of interpreters, one for each type
of effect. An interpreter is called with the effect and returns its result; what it raises is raised inside the task, at
the effect. Storage adds the interpreters for its effects; the composition root adds those of other rooms
(`world.register(Perform, worker)`).
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator import events
from orchestrator.adapters import metering
from orchestrator.core.errors import Broken
from orchestrator.events import Tell
from orchestrator.ports import Acquire, Effect, Monotonic, NewId, Now, Pause, Release, Task, Used

T = TypeVar("T")
E = TypeVar("E", bound=Effect[Any])

Observer = Callable[[Effect[Any], float, float], None]
"""Told of each effect that was carried out: the effect, and when it began and ended, by the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A process's sense of time, all in seconds: since the epoch, steady, and how to wait."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Locks:
    """Named locks of one process. A name that nobody holds or waits for takes no memory."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    def acquire(self, key: str) -> None:
        with self._guard:
            lock, users = self._locks.get(key) or (threading.Lock(), 0)
            self._locks[key] = (lock, users + 1)
        lock.acquire()

    def release(self, key: str) -> None:
        with self._guard:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
        lock.release()


class World:
    """Runs tasks. Thread-safe: any number of threads may run tasks at once.

    `observer` is called on the thread of the task, after each effect; it must not raise.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.observer: Observer | None = None
        self._locks = Locks()
        self._interpreters: dict[type[Effect[Any]], Callable[[Any], Any]] = {}
        self.register(Now, lambda _: self.clock.now())
        self.register(Monotonic, lambda _: self.clock.monotonic())
        self.register(Tell, events.write)
        self.register(Used, lambda _: metering.read())
        self.register(NewId, lambda _: secrets.token_hex(6))
        self.register(Pause, lambda pause: self.clock.sleep(random.uniform(0.0, pause.at_most)))  # noqa: S311

    def register(self, kind: type[E], interpreter: Callable[[E], Any]) -> None:
        """Have effects of this type carried out by `interpreter`, from now on. The last one registered counts."""
        self._interpreters[kind] = interpreter

    def run(self, task: Task[T]) -> T:
        """Drive the task to its end and return its result. Raises what the task raises."""
        with metering.metered(self.clock.monotonic):
            return self._drive(task)

    def _drive(self, task: Task[T]) -> T:
        held: set[str] = set()
        try:
            effect = next(task)
            while True:
                try:
                    answer = self._perform(effect, held)
                except Exception as error:  # noqa: BLE001 - an effect fails where it was asked for, like a call
                    effect = task.throw(error)
                else:
                    effect = task.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            for key in held:
                self._locks.release(key)

    def _perform(self, effect: Effect[Any], held: set[str]) -> Any:
        if self.observer is None:
            return self._interpret(effect, held)
        began = self.clock.monotonic()
        try:
            return self._interpret(effect, held)
        finally:
            self.observer(effect, began, self.clock.monotonic())

    def _interpret(self, effect: Effect[Any], held: set[str]) -> Any:
        if interpreter := self._interpreters.get(type(effect)):
            return interpreter(effect)
        if isinstance(effect, Acquire):
            return self._acquire(effect.key, held)
        if isinstance(effect, Release):
            return self._release(effect.key, held)
        raise Broken(f"this world has no interpreter for {type(effect).__name__}")

    def _acquire(self, key: str, held: set[str]) -> None:
        if key in held:
            raise Broken(f"the task holds the lock {key!r} already")
        self._locks.acquire(key)
        held.add(key)

    def _release(self, key: str, held: set[str]) -> None:
        if key not in held:
            raise Broken(f"the task does not hold the lock {key!r}")
        held.remove(key)
        self._locks.release(key)
