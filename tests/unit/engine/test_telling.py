"""What operators are told of steps that end."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from orchestrator import events, logs
from orchestrator.core.definition import Condition, MetricOf
from orchestrator.core.message import Delivery
from orchestrator.core.result import Metric, StepResult
from orchestrator.engine.deliver import deliver
from orchestrator.engine.telling import waited
from orchestrator.events import RUN_ENDED, STEP_ENDED, Tell
from tests.unit.engine.running import FAILURE, Runner, step


class Told(Runner):
    """Keeps what is told. A message was put on its queue `queued` seconds before it is delivered."""

    queued = 5.0

    def watch(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []

        def note(told: Tell) -> None:
            if told.event == STEP_ENDED:
                found.append(dict(told.facts))

        self.world.register(Tell, note)
        return found

    def deliver(self) -> None:
        message = self.waiting.pop(0)
        self._count += 1
        sent_at = self.clock.now() - self.queued
        delivery = Delivery(message_id=f"m{self._count}", count=1, sent_at=sent_at)
        self.waiting += self.world.run(deliver(self.memory, message, delivery))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    logging.getLogger(logs.TREE).handlers.clear()


def test_each_step_is_told_of_once_with_what_it_took() -> None:
    runner = Told(step("a"), step("b", "a"))
    told = runner.watch()
    runner.start()
    runner.finish()
    common = {"run": "run1", "kind": "python_script", "compute": "function", "verdict": "done", "reused": False}
    took = {"attempt": 1, "crashes": 0, "waited_ms": 5000, "ran_ms": 2000}
    assert told == [{**common, "step": "a", **took}, {**common, "step": "b", **took}]


def test_a_failed_step_says_why_and_after_how_many_attempts() -> None:
    runner = Told(step("a", retries=1), scripts={"a": lambda _: FAILURE})
    told = runner.watch()
    runner.start()
    first = runner.waiting[0]
    runner.finish()
    assert told == []  # it is to be tried again
    runner.clock.advance(100)
    runner.waiting.append(first)
    runner.queued = 100.0
    runner.finish()
    (found,) = told
    assert (found["verdict"], found["error"], found["attempt"]) == ("failed", "ScriptFailed", 2)
    assert found["waited_ms"] == 40_000  # beyond the minute that it was to wait for


def test_what_is_reused_or_skipped_did_not_run() -> None:
    passed = step("a")
    told_of = Condition(value=MetricOf(step="a", name="auc"), operator=">", than=0.9)
    left_out = msgspec.structs.replace(step("b", "a"), condition=told_of)
    runner = Told(passed, left_out, scripts={"a": lambda _: StepResult(exit_code=0, metrics=(metric(0.5),))})
    told = runner.watch()
    runner.start("run1")
    runner.finish()
    runner.start("run2")
    runner.finish()
    assert [(it["run"], it["step"], it["verdict"], it["reused"], "ran_ms" in it) for it in told] == [
        ("run1", "a", "done", False, True),
        ("run1", "b", "skipped", False, False),
        ("run2", "a", "done", True, False),
        ("run2", "b", "skipped", False, False),
    ]


def metric(value: float) -> Metric:
    return Metric(name="auc", kind="scalar", value=value, at=1.0)


def test_the_end_of_a_run_is_told_once_it_is_noted() -> None:
    runner = Told(step("a"), step("b", "a"), scripts={"b": lambda _: FAILURE})
    found: list[Tell] = []
    runner.world.register(Tell, found.append)
    runner.start()
    runner.finish()
    ends = [dict(told.facts) for told in found if told.event == RUN_ENDED]
    assert ends == [{"run": "run1", "status": "Failed", "pipeline": "shapes", "experiment": "e"}]


def test_a_message_that_came_back_says_nothing_of_a_wait() -> None:
    first = Delivery(message_id="m", count=1, sent_at=100.0)
    assert waited(first, 103.5) == 3.5
    assert waited(first, 99.0) == 0.0  # the queue's clock is ahead of ours
    assert waited(first, 103.5, delay=10.0) == 0.0
    assert waited(Delivery(message_id="m", count=2, sent_at=100.0), 103.5) is None
    assert waited(Delivery(message_id="m", count=1), 103.5) is None


def test_a_line_is_as_long_as_the_document_says() -> None:
    facts = {"run": "1" * 36, "step": "s" * 20, "kind": "python_script", "compute": "function", "verdict": "done"}
    facts2 = {"reused": False, "attempt": 1, "crashes": 0, "waited_ms": 12_345, "ran_ms": 1_234_567}
    record = logging.makeLogRecord({"name": "millstream.events", "levelname": "INFO"})
    record.facts = {"event": events.STEP_ENDED, **facts, **facts2}
    with logs.about(run="1" * 36, position=100):
        line = logs.as_json(record)
    assert json.loads(line)["ran_ms"] == 1_234_567
    assert 250 < len(line) < 400
