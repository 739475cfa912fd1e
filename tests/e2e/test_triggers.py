"""The queue and timer functions of the real app: lost messages are made up for, given-up ones fail their step."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import msgspec
import pytest

from azurerest import Account, Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, Step
from orchestrator.core.message import StepMessage, encode
from orchestrator.core.plan import Plan
from orchestrator.core.run import RunInfo
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.poison import MOST_POISONINGS
from orchestrator.engine.start import start
from tests.azurite import Azurite
from tests.e2e.devhost.harness import eventually
from tests.service import QUICK, Service, running_service

pytestmark = pytest.mark.azurite


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("triggers"), QUICK) as service:
        yield service


@pytest.fixture(scope="module")
def world(azurite: Azurite) -> Iterator[AzureWorld]:
    transport = Transport()
    yield AzureWorld(Account.from_connection_string(azurite.connection), transport)
    transport.close()


def start_without_sending(service: Service, world: AzureWorld) -> tuple[str, tuple[StepMessage, ...]]:
    """A start whose process died between its commit and its messages; the run and those messages."""
    snapshot = service.upload({"step.py": "print('done')"})
    step = Step(id="a", name="a", kind="python_script", snapshot=snapshot, settings={"script": "step.py"})
    definition = Definition(name="x", steps=(step,))
    document = definitions.encode(definition)
    plan = Plan(address=definitions.address(document), definition=definition)
    info = RunInfo(id=uuid.uuid4().hex, experiment="e", definition=plan.address, submitted_at=1_800_000_000.0)
    started = world.run(start(ProcessMemory(), info, plan, document))
    return info.id, started.messages


def test_the_sweep_finds_a_run_whose_messages_were_lost(service: Service, world: AzureWorld) -> None:
    run, _ = start_without_sending(service, world)

    def swept() -> bool:
        answer = service.host.admin("POST", "/admin/functions/sweep", json.dumps({"input": ""}).encode())
        assert answer.status == 202, answer
        return bool(service.ask("GET", f"runs/{run}")["status"] != "Running")

    eventually(swept, 30, service.host.log)
    assert service.ask("GET", f"runs/{run}")["status"] == "Completed"
    assert service.log(run, "a") == "done\n"


def test_a_message_that_the_host_gave_up_fails_its_step(service: Service, world: AzureWorld) -> None:
    run, (message,) = start_without_sending(service, world)
    world.queues.create("millstream-steps-poison")
    last_chance = msgspec.structs.replace(message, poisoned=MOST_POISONINGS)
    world.queues.put("millstream-steps-poison", encode(last_chance))
    ended = service.wait(run)
    assert (ended["status"], ended["steps_failed"]) == ("Failed", 1)
    error = service.steps(run)["a"]["error"]
    assert (error["code"], bool(error["message"])) == ("Crashed", True)


def test_a_message_that_comes_twice_runs_the_step_once(service: Service, world: AzureWorld) -> None:
    """Duplicates of every message of a run: still one attempt a step."""
    run, (message,) = start_without_sending(service, world)
    for _ in range(4):
        world.queues.put("millstream-steps", encode(message))
    assert service.wait(run)["status"] == "Completed"
    assert service.steps(run)["a"]["attempt"] == 1
    assert service.log(run, "a") == "done\n"
