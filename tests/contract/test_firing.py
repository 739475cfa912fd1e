"""Firing on real storage: several processes at once, and each occurrence has one run."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import pytest

from azurerest.account import Account
from azurerest.transport import Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.catalog import firing, firings, pipelines, schedules
from orchestrator.catalog.pipelines import Publication
from orchestrator.catalog.schedules import Wish
from orchestrator.catalog.submissions import Submitter
from orchestrator.core import message as messages
from orchestrator.core import schedule as rules
from orchestrator.core.definition import Definition, Step
from orchestrator.core.recurrence import Frequency, Recurrence
from orchestrator.core.schedule import CatchUp, ScheduleStatus
from orchestrator.engine.cancel import cancel
from orchestrator.engine.memory import EngineSettings, ProcessMemory

pytestmark = pytest.mark.azurite

PROCESSES = 5
OCCURRENCES = 60
DEFINITION = Definition(
    name="fired", steps=(Step(id="a", name="a", kind="python_script", settings={"script": "a.py"}),)
)


class Process(NamedTuple):
    world: AzureWorld
    memory: ProcessMemory
    submitter: Submitter


@contextmanager
def process(connection: str, queue: str) -> Iterator[Process]:
    transport = Transport()
    memory = ProcessMemory(EngineSettings(queue=queue))
    submitter = Submitter(memory, computes=("function",), datastores=(), assignment_bytes=24_000)
    yield Process(AzureWorld(Account.from_connection_string(connection), transport), memory, submitter)
    transport.close()


def missed(here: Process) -> str:
    """A schedule of every minute that has not been looked at for an hour."""
    start = datetime.now(UTC).replace(microsecond=0, tzinfo=None) - timedelta(hours=2)
    pipeline, _ = here.world.run(pipelines.publish(Publication(definition=DEFINITION)))
    wish = Wish(
        name="missed",
        experiment="fired",
        pipeline_id=pipeline.id,
        recurrence=Recurrence(frequency=Frequency.MINUTE, start_time=start),
        catch_up=CatchUp.ALL,
    )
    made, _, _ = here.world.run(schedules.create(here.memory, wish, datastores=()))
    late = msgspec.structs.replace(made.progress, handled=start.replace(tzinfo=UTC).timestamp() + 60 * 30)
    assert here.world.run(schedules.write(made, made.schedule, rules.progressed(made.schedule, late)))
    return made.schedule.id


def fire_until_done(connection: str, queue: str, schedule_id: str, until: float) -> None:
    """One process, which fires the schedule up to a moment as long as there is something to do."""
    with process(connection, queue) as here:
        while True:
            progress = here.world.run(schedules.get(schedule_id)).progress
            if progress.due is None or progress.due > until:
                return
            here.world.run(firing.fire_one(here.submitter, schedule_id, until, most=7))


@pytest.mark.timeout(300)
def test_several_processes_fire_one_schedule(azurite_connection: str) -> None:
    queue = f"fired-{uuid.uuid4().hex[:12]}"
    with process(azurite_connection, queue) as here:
        id_ = missed(here)
        before = here.world.run(schedules.get(id_)).progress.handled
        until = before + 60 * OCCURRENCES
        with ThreadPoolExecutor(PROCESSES) as pool:
            running = [pool.submit(fire_until_done, azurite_connection, queue, id_, until) for _ in range(PROCESSES)]
            for one in running:
                one.result()
        here.world.run(
            schedules.change(
                here.memory,
                id_,
                lambda there: msgspec.structs.replace(there, status=ScheduleStatus.DISABLED),
                datastores=(),
            )
        )
        page = here.world.run(firings.listing(id_, started_only=False, limit=1000, continuation=None))
        runs = [found.run for found in page.items]
        for run in runs:  # no other test's service is to find them unfinished
            here.world.run(cancel(here.memory, run))
        wanted = [before + 60 * (n + 1) for n in range(OCCURRENCES)]
        assert sorted(runs) == sorted(rules.run_id(id_, rules.moment(at)) for at in wanted)
        assert all(found.failure is None for found in page.items)
        sent = Counter(
            messages.decode(message.body).run
            for _ in range(10 * OCCURRENCES // 32 + 2)
            for message in here.world.queues.receive(queue, count=32, visibility=300)
        )
        assert set(sent) == set(runs)
