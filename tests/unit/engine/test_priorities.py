"""Which steps are sent first, and by which queue."""

from __future__ import annotations

import msgspec
import pytest

from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, Step
from orchestrator.core.fingerprint import ingredients_of
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from tests.unit.engine.running import Runner, step

MAIN = "millstream-steps"
URGENT = "millstream-steps-urgent"


def ranked(name: str, priority: int | None, *after: str) -> Step:
    return msgspec.structs.replace(step(name, *after), priority=priority)


def sent(runner: Runner) -> list[tuple[str, str]]:
    return [(runner.definition.steps[it.position].id, it.queue) for it in runner.waiting]


def test_the_highest_go_first_and_the_urgent_ones_by_a_queue_of_their_own() -> None:
    runner = Runner(ranked("a", None), ranked("b", -3), ranked("c", 1), ranked("d", 50))
    runner.start()
    assert sent(runner) == [("d", URGENT), ("c", URGENT), ("a", MAIN), ("b", MAIN)]


def test_what_follows_goes_by_its_own_priority() -> None:
    runner = Runner(step("a"), ranked("b", 0, "a"), ranked("c", 3, "a"))
    runner.start()
    runner.deliver()
    assert sent(runner) == [("c", URGENT), ("b", MAIN)]


def test_a_run_has_a_priority_for_the_steps_that_have_none() -> None:
    runner = Runner(step("a"), ranked("b", 0), step("c", "a"))
    runner.start(priority=2)
    assert sent(runner) == [("a", URGENT), ("b", MAIN)]
    runner.deliver()
    assert sent(runner) == [("b", MAIN), ("c", URGENT)]


def test_without_the_urgent_queues_priorities_order_only() -> None:
    runner = Runner(ranked("a", None), ranked("b", 50))
    runner.memory = ProcessMemory(EngineSettings(urgent=False))
    runner.start()
    assert sent(runner) == [("b", MAIN), ("a", MAIN)]


@pytest.mark.parametrize("inner", [None, 7])
def test_a_priority_decides_nothing_of_what_is_made(inner: int | None) -> None:
    def fingerprint(own: int | None, inside: int | None) -> str:
        template = Definition(name="t", steps=(ranked("x", inside),))
        made = msgspec.structs.replace(ranked("a", own), kind="pipeline", template=template)
        return ingredients_of(made, parameters={}, code="", environment="", contents={}).fingerprint

    assert fingerprint(5, inner) == fingerprint(None, None)


def test_a_definition_without_priorities_is_what_it_was() -> None:
    assert b"priority" not in definitions.encode(Definition(name="p", steps=(step("a"),)))
