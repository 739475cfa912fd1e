"""What a run is said to have used, held against what the storage service itself has written down of its requests.

A worker process as it is (its world, engine, steps and consumer) runs a pipeline of real scripts on an Azurite of its
own, which logs each request that it gets.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest

from azurerest import NotFound
from azurerest.billing import billed_as
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, FromInput, FromOutput, Input, Output, Step, StepSource
from orchestrator.core.message import encode
from orchestrator.core.plan import Plan
from orchestrator.core.prices import PUBLIC
from orchestrator.core.run import RunInfo
from orchestrator.engine.costview import RunCost, cost_view
from orchestrator.engine.start import start
from orchestrator.ports import Send
from orchestrator.settings import read
from steps.azure_store import AzureStore
from tests.azurite import Azurite, running_azurite
from tests.unit.steps.jobs import put_snapshot
from tests.unit.steps.running import eventually
from worker.consumer import Consumer
from worker.equipment import Equipment, equip

QUEUE: Final = "millstream-steps"
REQUEST: Final = re.compile(r'"(GET|PUT|POST|DELETE|MERGE|PATCH|HEAD) (\S+) HTTP')
LARGE: Final = 20_000_000
WRITES: Final = f"import os, sys\nprint('hello')\nopen(sys.argv[1], 'wb').write(os.urandom({LARGE}))"
COPIES: Final = (
    "import sys, time\ntime.sleep(1.2)\nos = __import__('os')\nos.mkdir(sys.argv[2])\n"
    "for n in range(30):\n    open(f'{sys.argv[2]}/{n}', 'w').write(str(n))\n"
    "print(os.path.getsize(sys.argv[1]))"
)
FAILS: Final = "raise SystemExit(3)"


@pytest.fixture
def logging_azurite() -> Iterator[Azurite]:
    with running_azurite(silent=False) as azurite:
        yield azurite


def written(azurite: Azurite, own: Equipment) -> int:
    """How long the log is with all requests of before: each service is asked for something, until it is in there."""
    name = f"mark{uuid.uuid4().hex}"
    world = own.world
    for ask in (
        world.blobs.head,
        lambda _, name: world.queues.peek(name),
        lambda _, name: world.tables.get(name, "", ""),
    ):
        with contextlib.suppress(NotFound):
            ask("marks", name)
    eventually(lambda: azurite.log.read_bytes().count(name.encode()) == 3)
    return azurite.log.stat().st_size


def requests(azurite: Azurite, own: Equipment, since: int) -> Counter[str]:
    """What Azurite has logged from this byte on, by the class under which it would be billed."""
    found: Counter[str] = Counter()
    end = written(azurite, own)
    log = azurite.log.read_bytes()[since:end].decode(errors="replace")
    for verb, target in REQUEST.findall(log):
        path, _, query = target.partition("?")
        if "/mark" not in path:
            found[billed_as(_service(path), verb, parse_qsl(query, keep_blank_values=True))] += 1
    return found


def _service(path: str) -> str:
    """Which service a path of the account is of."""
    first = path.split("/")[2]
    if path.endswith("/messages") or "/messages/" in path or first == QUEUE:
        return "queue"
    tables = ("$batch", "Tables", "runs", "index", "reuse", "catalog")
    return "table" if first.split("(")[0] in tables else "blob"


def script(name: str, snapshot: str, source: str = "", **more: Any) -> Step:
    output = Output(name="out", datastore="workspaceblobstore")
    reads = (Input(name="data", source=StepSource(step=source, output="out")),) if source else ()
    arguments = ((FromInput(name="data"),) if source else ()) + (FromOutput(name="out"),)
    return Step(
        id=name,
        name=name,
        kind="python_script",
        snapshot=snapshot,
        settings={"script": "script.py"},
        inputs=reads,
        outputs=(output,),
        arguments=arguments,
        **more,
    )


def play(own: Equipment, run: str, steps: tuple[Step, ...]) -> None:
    """Run them, one after the other, as an execution of a compute does."""
    document = definitions.encode(Definition(name="costly", steps=steps))
    plan = Plan(address=definitions.address(document), definition=definitions.decode(document))
    info = RunInfo(id=run, experiment="e", definition=plan.address, submitted_at=time.time())
    started = own.world.run(start(own.memory, info, plan, document))
    for message in started.messages:
        own.world.run(iter(Send(queue=QUEUE, body=encode(message))))
    consumer = Consumer(own, (QUEUE,), visibility=3600)
    while (taken := consumer.take()).found:
        assert taken.well


def cost(own: Equipment, run: str) -> RunCost:
    return own.world.run(cost_view(own.memory, run, PUBLIC, limit=100))


def test_the_service_logs_as_many_requests_as_the_run_counts(logging_azurite: Azurite, tmp_path: Path) -> None:
    settings = {
        "AzureWebJobsStorage": logging_azurite.connection,
        "MILLSTREAM_TOKEN": "t",
        "MILLSTREAM_CACHE_DIR": str(tmp_path / "cache"),
        "MILLSTREAM_HEARTBEAT_SECONDS": "0.5",
        # One that is under way when its step ends is too late to be counted.
        "MILLSTREAM_CANCEL_CHECK_SECONDS": "600",
    }
    own = equip(read(settings), settings)
    try:
        store = AzureStore(own.world.blobs)
        writes, copies, fails = (put_snapshot(store, {"script.py": source}) for source in (WRITES, COPIES, FAILS))
        # What is made by the first write to it is there: that is a cost of the account, not of a run.
        play(own, "first", (script("a", put_snapshot(store, {"script.py": "print(1)"})),))
        mark = written(logging_azurite, own)
        steps = (script("w", writes), script("c", copies, "w"), script("f", fails, "c", allow_reuse=False))
        play(own, "second", steps)
        logged = requests(logging_azurite, own, mark)
        known = cost(own, "second")
        by_step = {step.id: step.used for step in known.steps}
        assert [used.executions for used in by_step.values()] == [1, 1, 1]
        assert by_step["w"].stored > LARGE and by_step["w"].sent > LARGE
        assert by_step["c"].requests["blob_write"] >= 30
        assert by_step["c"].requests["table_write"] > by_step["f"].requests["table_write"], "it beat its heart"
        counted = Counter(known.used.requests)
        # The definition is the request's that started the run; the queue was asked once in vain.
        assert logged == counted + Counter(blob_write=1, queue=1)
        mark = written(logging_azurite, own)
        play(own, "third", steps[:2])
        again = cost(own, "third")
        assert again.saved == sum(step.amount for step in known.steps[:2])
        assert again.used == again.overhead, "nothing was executed"
        assert sum(requests(logging_azurite, own, mark).values()) <= 25
    finally:
        own.steps.close()
