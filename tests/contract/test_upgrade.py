"""What the previous version has stored, in the middle of a run, is gone on with by this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pytest

from azurerest.account import Account
from azurerest.transport import Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.driver import World
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.core import decision as decisions
from orchestrator.core import stored as versions
from orchestrator.core.decision import Action
from orchestrator.core.errors import NewerVersion
from orchestrator.core.message import Delivery, StepMessage
from orchestrator.core.states import ClaimState, RunStatus
from orchestrator.engine.deliver import deliver
from orchestrator.engine.index import is_unfinished
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.engine.reading import definition_blob, fresh_head, load_plan, read_info
from orchestrator.engine.rows import HEAD, RUNS, claim_key, read_claim
from orchestrator.engine.start import start
from orchestrator.engine.sweep import sweep
from orchestrator.ports import Commit, Get, Merge, Props, Query, ReadBlob, Row, Task, Upsert
from tests import stored
from tests.unit.triggers.calling import Api

FILE = "stored-1.json"


@pytest.fixture(params=["memory", pytest.param("azure", marks=pytest.mark.azurite)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    transport = Transport()
    account = Account.from_connection_string(request.getfixturevalue("azurite_connection"))
    yield AzureWorld(account, transport, container="upgrade")
    transport.close()


def process() -> ProcessMemory:
    """A process of this version, which has just started; it looks after runs however lately they moved."""
    return ProcessMemory(EngineSettings(sweep_quiet=-1.0))


def drive(world: World, memory: ProcessMemory, first: Sequence[tuple[StepMessage, Delivery]]) -> None:
    """Deliver these messages and all that follow."""
    waiting = list(first)
    for number in range(100):
        if not waiting:
            return
        follows = world.run(deliver(memory, *waiting.pop(0)))
        waiting += [(it, Delivery(message_id=f"m-{number}-{it.position}", count=1)) for it in follows]
    raise AssertionError("the run goes on for ever")


def claim(world: World, run: str, step: int) -> Row:
    row = world.run(iter(Get(table=RUNS, pk=run, rk=claim_key(step))))
    assert row is not None
    return row


def test_a_run_that_the_previous_version_has_begun_is_finished(world: World) -> None:
    waiting = stored.load(FILE, world)
    stored.equip(world)
    memory = process()
    began = world.run(fresh_head(memory, stored.RUN))
    assert began is not None
    assert (began.head.done, began.head.window) == (0b000001, 0)
    died = msgspec.structs.replace(waiting[0], position=1)
    first = [(it, Delivery(message_id=f"m-of-{it.position}", count=1)) for it in waiting]
    # The message of the step whose process died comes back.
    drive(world, memory, [*first, (died, Delivery(message_id=stored.DEAD, count=2))])
    swept = world.run(sweep(memory)).messages
    drive(world, memory, [(it, Delivery(message_id=f"swept-{it.position}", count=1)) for it in swept])
    known = world.run(fresh_head(memory, stored.RUN))
    assert known is not None
    assert (known.head.status, known.head.done) == (RunStatus.COMPLETED, 0b111111)
    assert dict(known.head.attempts) == {1: 2, 2: 2}
    assert world.run(is_unfinished(stored.RUN)) is False


def test_what_the_previous_version_has_made_is_reused(world: World) -> None:
    stored.load(FILE, world)
    stored.equip(world)
    memory = process()
    before = world.run(read_info(memory, stored.FINISHED))
    assert before is not None
    document = world.run(iter(ReadBlob(name=definition_blob(before.definition))))
    assert document is not None
    again = msgspec.structs.replace(before, id="11111111-aaaa-bbbb-cccc-555555555555")
    plan = world.run(load_plan(memory, before.definition))
    sent = world.run(start(memory, again, plan, document)).messages
    drive(world, memory, [(it, Delivery(message_id="m", count=1)) for it in sent])
    made = read_claim(claim(world, again.id, 0))
    assert made.state is ClaimState.DONE
    assert decisions.decode(made.decision).action is Action.REUSE


def test_records_of_the_previous_version_are_found_and_changed() -> None:
    api = Api(stored.SETTINGS)
    stored.load(FILE, api.world)
    (pipeline,) = api.call("GET", "pipelines").json["pipelines"]
    (schedule,) = api.call("GET", "schedules").json["schedules"]
    (endpoint,) = api.call("GET", "endpoints").json["endpoints"]
    (webhook,) = api.call("GET", "webhooks").json["webhooks"]
    assert (pipeline["name"], schedule["name"], endpoint["name"], webhook["name"]) == ("long", "yearly", "front", "ear")
    changed = api.call("PATCH", f"schedules/{schedule['id']}", {"description": "other"})
    assert (changed.status, changed.json["description"]) == (200, "other")
    assert {run["id"] for run in api.call("GET", "runs").json["runs"]} == {stored.RUN, stored.FINISHED}


def test_rows_of_before_there_were_windows_are_read(world: World) -> None:
    props: Props = {
        "status": "Running",
        "done": b"\x01",
        "failed": b"",
        "skipped": b"",
        "attempts": "{}",
        "keep_going": True,
    }
    world.run(iter(Commit(table=RUNS, pk="of-old", writes=(Upsert(rk=HEAD, props=props),))))
    known = world.run(fresh_head(process(), "of-old"))
    assert known is not None
    assert (known.head.done, known.head.window, known.head.keep_going) == (1, 0, True)
    (row,) = world.run(iter(Query(table=RUNS, pk="of-old", first="", last="~", select=("done",))))
    assert row.props == {"window": 0, "done": b"\x01", "v": versions.newest(versions.HEAD)}


def test_what_a_newer_version_has_written_is_left_as_it_is(world: World) -> None:
    waiting = stored.load(FILE, world)
    stored.equip(world)
    head = world.run(iter(Get(table=RUNS, pk=stored.RUN, rk=HEAD)))
    assert head is not None
    newer: Props = {"v": versions.newest(versions.HEAD) + 1, "done": b"\x7f"}
    world.run(iter(Commit(table=RUNS, pk=stored.RUN, writes=(Merge(rk=HEAD, props=newer, etag=head.etag),))))
    before = [dict(row.props) for row in _raw(world)]
    memory = process()
    for message in waiting:
        with pytest.raises(NewerVersion, match="Upgrade this app"):
            world.run(deliver(memory, message, Delivery(message_id="m", count=1)))
    swept = world.run(sweep(memory))
    assert [run for run, reason in swept.failed if "Upgrade this app" in reason] == [stored.RUN]
    assert [dict(row.props) for row in _raw(world)] == before


def test_every_row_says_its_version() -> None:
    for row in stored.record()["rows"]:
        kind = versions.kind_of(row["table"], row["pk"], row["rk"])
        assert row["props"]["v"] == versions.newest(kind), kind


def _raw(world: World) -> Sequence[Row]:
    """The rows of the run, of whatever version."""
    everything = Query(table=RUNS, pk=stored.RUN, first="", last="~")

    def task() -> Task[Sequence[Row]]:
        rows: Sequence[Row] = yield everything
        return rows

    return world.run(task())
