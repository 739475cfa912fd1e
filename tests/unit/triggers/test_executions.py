"""Executions that the app itself starts and stops, in a world where they are only noted."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.errors import Unavailable
from orchestrator.core.message import Delivery, StepMessage
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.engine.take import take
from orchestrator.executions import Backlog, CountMessages, ListExecutions, StartExecution, StopExecution
from orchestrator.triggers.outbox import send
from tests.unit.triggers.calling import Api, definition

QUEUE = "millstream-steps-on-cpu"


class Outbox:
    """Takes what the host would send."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def set(self, bodies: list[str]) -> None:
        self.bodies += bodies


class Apps:
    """An app whose executions are only noted."""

    def __init__(self, executions: str = "container-apps") -> None:
        self.api = Api({"MILLSTREAM_EXECUTIONS": executions})
        self.started: list[str] = []
        self.stopped: list[str] = []
        world = self.api.world
        world.register(CountMessages, self._count)
        world.register(ListExecutions, lambda _: tuple(self.started))
        world.register(StartExecution, self._start)
        world.register(StopExecution, lambda asked: self.stopped.append(asked.name))
        self.api.call("PUT", "computes/cpu", {"kind": "container", "executions": {"most": 2}})

    def _count(self, asked: CountMessages) -> Backlog:
        waiting = len(self.api.world.account.queues.messages(asked.queue))
        return Backlog(total=waiting, visible=waiting)

    def _start(self, asked: StartExecution) -> str:
        self.started.append(f"job-{asked.compute.name}-{len(self.started)}")
        return self.started[-1]

    def start_run(self) -> tuple[str, tuple[StepMessage, ...]]:
        wanted: dict[str, Any] = definition()
        wanted["steps"] = [{**step, "compute": "cpu"} for step in wanted["steps"]]
        answer = self.api.call("POST", "runs", {"experiment_name": "e", "definition": wanted})
        return str(answer.json["id"]), answer.messages

    def claim(self, run: str, message: StepMessage, execution: str) -> None:
        """As an execution of this name would."""
        memory = ProcessMemory(EngineSettings(execution=execution))
        self.api.world.run(take(memory, run, message.position, Delivery(message_id="m", count=1)))


def test_a_message_for_a_container_starts_its_execution() -> None:
    apps, outbox = Apps(), Outbox()
    _, messages = apps.start_run()
    send(apps.api.service, outbox, Outbox(), messages)  # type: ignore[arg-type]
    assert outbox.bodies == [], "the host sends what is for the app's own queue"
    assert len(apps.api.world.account.queues.messages(QUEUE)) == len(messages)
    assert len(apps.started) == min(2, len(messages))


def test_where_the_platform_starts_them_the_app_does_not() -> None:
    apps, outbox = Apps("events"), Outbox()
    _, messages = apps.start_run()
    send(apps.api.service, outbox, Outbox(), messages)  # type: ignore[arg-type]
    assert apps.started == []
    assert len(apps.api.world.account.queues.messages(QUEUE)) == len(messages)


def test_what_is_sent_is_sent_even_if_nothing_can_be_started(caplog: pytest.LogCaptureFixture) -> None:
    apps, outbox = Apps(), Outbox()

    def fail(_: StartExecution) -> str:
        raise Unavailable("no room")

    apps.api.world.register(StartExecution, fail)
    _, messages = apps.start_run()
    send(apps.api.service, outbox, Outbox(), messages)  # type: ignore[arg-type]
    assert len(apps.api.world.account.queues.messages(QUEUE)) == len(messages)
    assert "no room" in caplog.text


def test_cancelling_a_run_stops_the_executions_that_hold_its_steps() -> None:
    apps = Apps()
    run, messages = apps.start_run()
    apps.claim(run, messages[0], "job-cpu-7")
    other, others = apps.start_run()
    apps.claim(other, others[0], "job-cpu-8")
    assert apps.api.call("POST", f"runs/{run}/cancel").status == 200
    assert apps.stopped == ["job-cpu-7"]


def test_a_run_of_functions_has_none_to_stop() -> None:
    apps = Apps()
    run, messages = apps.start_run()
    apps.claim(run, messages[0], "")
    apps.api.call("POST", f"runs/{run}/cancel")
    assert apps.stopped == []
