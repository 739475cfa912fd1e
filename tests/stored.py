"""What a service has stored when it is stopped in the middle of a run, as a file, for the next version to go on with.

    python -m tests.stored > tests/data/stored-1.json        before a change of what is stored

The run has six steps: `a` is done, `b` was being executed when its process died, `c` waits to be tried again, `d` is
done and its verdict lies in the inbox, `e` waits in the queue; `f` waits for all of them. Beside it lie a finished run
and a record of each kind.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from orchestrator.adapters.driver import World
from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.core.job import Job
from orchestrator.core.message import Delivery, StepMessage, decode
from orchestrator.core.result import File, OutputData, StepError, StepResult
from orchestrator.engine.deliver import deliver
from orchestrator.engine.identify import Absent, Identified, Identify
from orchestrator.engine.lease import Perform
from orchestrator.ports import Commit, Pause, Props, Upsert, Value, WriteBlob
from tests.unit.triggers.calling import SNAPSHOT, TOKEN, Api

DATA = Path(__file__).parent / "data"
RUN = "11111111-2222-3333-4444-555555555555"
FINISHED = "99999999-2222-3333-4444-555555555555"
QUEUE = "millstream-steps"
SETTINGS = {"MILLSTREAM_WEBHOOK_KEYS": "k" * 32, "MILLSTREAM_TOKEN": TOKEN}
DEAD = "m-of-b"
"""The id of the message that `b` was being executed for."""


class Died(BaseException):
    """The process ends here."""


def perform(job: Job) -> StepResult:
    """What every step does but those that are told otherwise."""
    made = File(path="x.txt", size=1, sha256="0" * 64)
    out = OutputData(datastore="workspaceblobstore", prefix=f"{job.prefix}/out", files=(made,))
    return StepResult(outputs={"out": out}, exit_code=0, started_at=1.0, ended_at=2.0)


def equip(world: World, do: Callable[[Job], StepResult] = perform) -> None:
    """Have steps executed by `do`."""
    world.register(Perform, lambda it: do(it.job))
    world.register(Identify, lambda _: Identified(contents={}, environment="python 3"))
    world.register(Absent, lambda it: tuple("" for _ in it.made))


def record() -> dict[str, Any]:
    clock = ManualClock()
    account = MemoryAccount(server_now=clock.now)
    api = Api(SETTINGS, world=MemoryWorld(account, clock=clock.clock()))
    _records(api)
    equip(api.world)
    _finish(api, _start(api, FINISHED, {"name": "short", "steps": [_step("a")]}))
    waiting = {message.position: message for message in _start(api, RUN, _definition())}
    _stop_half_way(api, waiting)
    account.queues.put(QUEUE, msgspec.json.encode(waiting[4]).decode())
    clock.advance(3600)
    return _dumped(account)


def _definition() -> dict[str, Any]:
    roots = [_step(name) for name in "abcde"]
    retried = {**_step("c"), "retry": {"max_retries": 2, "delay_seconds": 1}}
    return {
        "name": "long",
        "parameters": [{"name": "rate", "type": "float", "default": 0.5}],
        "steps": [*roots[:2], retried, *roots[3:], {**_step("f"), "run_after": list("abcde")}],
    }


def _step(name: str) -> dict[str, Any]:
    step = {"id": name, "name": name, "kind": "python_script", "snapshot": SNAPSHOT, "settings": {"script": "a.py"}}
    return {**step, "outputs": [{"name": "out"}], "allow_reuse": name in "ad"}


def _start(api: Api, run: str, definition: Mapping[str, Any]) -> tuple[StepMessage, ...]:
    body = {"experiment_name": "e", "definition": definition, "run_id": run, "tags": {"k": "v"}}
    made = api.call("POST", "runs", body)
    assert made.status < 300, made.json
    return made.messages


def _stop_half_way(api: Api, waiting: Mapping[int, StepMessage]) -> None:
    def die(_: object) -> NoReturn:
        raise Died

    def fail(_: Job) -> StepResult:
        return StepResult(error=StepError(code="ScriptFailed", message="exit code 3"), exit_code=3)

    def deliver_one(position: int, message_id: str) -> None:
        delivery = Delivery(message_id=message_id, count=1)
        with suppress(Died):
            api.world.run(deliver(api.memory, waiting[position], delivery))

    deliver_one(0, "m-of-a")
    equip(api.world, die)
    deliver_one(1, DEAD)
    equip(api.world, fail)
    deliver_one(2, "m-of-c")
    equip(api.world)
    # Its process finds that another writes the same head, goes by the inbox, and dies before it is emptied.
    api.memory.contend(RUN, 1e18)
    api.world.register(Pause, die)
    deliver_one(3, "m-of-d")


def _finish(api: Api, messages: tuple[StepMessage, ...]) -> None:
    for number, message in enumerate(messages):
        api.world.run(deliver(api.memory, message, Delivery(message_id=f"m{number}", count=1)))


def _records(api: Api) -> None:
    pipeline = api.call("POST", "pipelines", {"definition": _definition(), "name": "long"}).json["id"]
    yearly = {"frequency": "Month", "interval": 12, "start_time": "2198-01-31T00:00:00"}
    schedule = {"name": "yearly", "experiment_name": "e", "pipeline_id": pipeline, "recurrence": yearly}
    for method, path, body in (
        ("POST", "schedules", schedule),
        ("POST", "endpoints", {"name": "front", "pipeline_id": pipeline}),
        ("PUT", "webhooks/ear", {"url": "https://ear.example.com/x", "events": ["run.failed"]}),
    ):
        made = api.call(method, path, body)
        assert made.status < 300, made.json


def _dumped(account: MemoryAccount) -> dict[str, Any]:
    rows = [
        {"table": table, "pk": pk, "rk": rk, "props": {name: _plain(value) for name, value in props.items()}}
        for table, pk in sorted(account.tables._partitions)
        for rk, props in account.tables.partition(table, pk).items()
    ]
    queues = {name: [message.body for message in queue] for name, queue in _queued(account).items()}
    documents = {name: _plain(data) for name, data in account.blobs.items() if name.endswith(".json")}
    return {"rows": rows, "queues": queues, "documents": documents}


def _queued(account: MemoryAccount) -> dict[str, Any]:
    return {name: account.queues.receive(name, count=32) for name in (QUEUE,)}


def load(name: str, world: World) -> list[StepMessage]:
    """Put what was recorded there; the messages that wait."""
    found = json.loads((DATA / name).read_text())
    for row in found["rows"]:
        props: Props = {key: _value(value) for key, value in row["props"].items()}
        world.run(iter(Commit(table=row["table"], pk=row["pk"], writes=(Upsert(rk=row["rk"], props=props),))))
    for blob, data in found["documents"].items():
        content = _value(data)
        assert isinstance(content, bytes)
        world.run(iter(WriteBlob(name=blob, data=content)))
    return [decode(body) for body in found["queues"][QUEUE]]


def _plain(value: Value) -> Any:
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _value(value: Any) -> Value:
    found: Value = base64.b64decode(value["bytes"]) if isinstance(value, dict) else value
    return found


if __name__ == "__main__":
    json.dump(record(), sys.stdout, indent=1, ensure_ascii=False)
    print()
