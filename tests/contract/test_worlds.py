"""What every world promises, asked of each of them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from azurerest.account import Account
from azurerest.transport import Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.driver import World
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.core.errors import Broken, Unavailable
from orchestrator.ports import (
    Commit,
    Delete,
    Effect,
    Get,
    Insert,
    Merge,
    Props,
    Query,
    ReadBlob,
    Reason,
    Refused,
    Row,
    Send,
    ServerNow,
    Task,
    Upsert,
    Write,
    WriteBlob,
)

TABLE = "worlds"


@pytest.fixture(params=["memory", pytest.param("azure", marks=pytest.mark.azurite)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield MemoryWorld()
        return
    transport = Transport()
    account = Account.from_connection_string(request.getfixturevalue("azurite_connection"))
    yield AzureWorld(account, transport, container="worlds")
    transport.close()


@pytest.fixture
def pk() -> str:
    return f"p{uuid.uuid4().hex}"


def ask(world: World, effect: Effect[object]) -> object:
    def task() -> Task[object]:
        return (yield from effect)

    return world.run(task())


def commit(world: World, pk: str, *writes: Write) -> tuple[str, ...]:
    def task() -> Task[tuple[str, ...]]:
        return (yield from Commit(table=TABLE, pk=pk, writes=writes))

    return world.run(task())


def get(world: World, pk: str, rk: str) -> Row | None:
    def task() -> Task[Row | None]:
        return (yield from Get(table=TABLE, pk=pk, rk=rk))

    return world.run(task())


def props(world: World, pk: str, rk: str) -> Props:
    row = get(world, pk, rk)
    assert row is not None
    return row.props


def query(
    world: World, pk: str, first: str, last: str, *, limit: int | None = None, select: tuple[str, ...] | None = None
) -> tuple[Row, ...]:
    def task() -> Task[tuple[Row, ...]]:
        return (yield from Query(table=TABLE, pk=pk, first=first, last=last, limit=limit, select=select))

    return world.run(task())


def received(world: World, queue: str) -> list[tuple[str, int]]:
    """Bodies and dequeue counts of the messages that are visible now."""
    if isinstance(world, MemoryWorld):
        return [(message.body, message.count) for message in world.account.queues.receive(queue, count=32)]
    assert isinstance(world, AzureWorld)
    return [(message.body.decode(), message.dequeue_count) for message in world.queues.receive(queue, 32)]


def test_values_come_back_as_they_were_written(world: World, pk: str) -> None:
    values: Props = {
        "text": "é '\"\\ <&> 漢 😀 \n",
        "empty": "",
        "yes": True,
        "no": False,
        "small": -1,
        "large": 2**62 + 1,
        "whole": 3.0,
        "tiny": 1.5e-300,
        "raw": bytes(range(256)),
        "none": b"",
    }
    (etag,) = commit(world, pk, Insert(rk="r", props=values))
    row = get(world, pk, "r")
    assert row is not None
    assert (row.pk, row.rk, row.etag) == (pk, "r", etag)
    assert dict(row.props) == values
    assert {name: type(value) for name, value in row.props.items()} == {n: type(v) for n, v in values.items()}


def test_keys_may_hold_quotes_bars_and_letters_of_any_script(world: World, pk: str) -> None:
    for rk in ("c|000001", "it's 100% + & = @", "schlüssel 鍵"):
        commit(world, pk, Insert(rk=rk, props={"n": 1}))
        assert props(world, pk, rk) == {"n": 1}
        assert [row.rk for row in query(world, pk, rk, rk + "~")] == [rk]
        commit(world, pk, Delete(rk=rk), Insert(rk="other" + rk, props={}))
        assert get(world, pk, rk) is None


def test_what_is_not_there_is_none_or_nothing(world: World, pk: str) -> None:
    assert get(world, pk, "r") is None
    assert query(world, pk, "a", "z") == ()
    assert ask(world, Get(table="nosuchtable", pk=pk, rk="r")) is None
    assert ask(world, Query(table="nosuchtable", pk=pk, first="a", last="z")) == ()
    assert ask(world, ReadBlob(name=f"{pk}/none")) is None


def test_an_insert_is_refused_when_the_row_exists(world: World, pk: str) -> None:
    commit(world, pk, Insert(rk="r", props={"n": 1}))
    with pytest.raises(Refused) as refused:
        commit(world, pk, Insert(rk="r", props={"n": 2}))
    assert (refused.value.index, refused.value.reason) == (0, Reason.EXISTS)
    assert props(world, pk, "r") == {"n": 1}


def test_a_merge_keeps_the_other_properties_and_changes_the_etag(world: World, pk: str) -> None:
    (first,) = commit(world, pk, Insert(rk="r", props={"a": 1, "b": "x"}))
    (second,) = commit(world, pk, Merge(rk="r", props={"b": "y", "c": 2.0}, etag=first))
    assert second not in ("", first)
    row = get(world, pk, "r")
    assert row is not None
    assert (dict(row.props), row.etag) == ({"a": 1, "b": "y", "c": 2.0}, second)


@pytest.mark.parametrize("kind", ["merge", "delete"])
def test_a_stale_etag_is_refused_as_changed(world: World, pk: str, kind: str) -> None:
    (stale,) = commit(world, pk, Insert(rk="r", props={"n": 1}))
    commit(world, pk, Merge(rk="r", props={"n": 2}, etag=stale))
    with pytest.raises(Refused) as refused:
        commit(world, pk, Merge(rk="r", props={"n": 3}, etag=stale) if kind == "merge" else Delete(rk="r", etag=stale))
    assert (refused.value.index, refused.value.reason) == (0, Reason.CHANGED)
    assert props(world, pk, "r") == {"n": 2}


@pytest.mark.parametrize("etag", ["*", "theirs"])
@pytest.mark.parametrize("kind", ["merge", "delete"])
def test_a_missing_row_is_refused_as_missing(world: World, pk: str, kind: str, etag: str) -> None:
    if etag == "theirs":
        (etag,) = commit(world, pk, Insert(rk="r", props={}))
        commit(world, pk, Delete(rk="r"))
    write: Write = Merge(rk="r", props={"n": 1}, etag=etag) if kind == "merge" else Delete(rk="r", etag=etag)
    with pytest.raises(Refused) as refused:
        commit(world, pk, write)
    assert (refused.value.index, refused.value.reason) == (0, Reason.MISSING)
    assert get(world, pk, "r") is None


def test_a_star_asks_only_that_the_row_exists(world: World, pk: str) -> None:
    commit(world, pk, Insert(rk="r", props={"a": 1}))
    commit(world, pk, Merge(rk="r", props={"b": 2}, etag="*"))
    assert props(world, pk, "r") == {"a": 1, "b": 2}
    assert commit(world, pk, Delete(rk="r", etag="*")) == ("",)
    assert get(world, pk, "r") is None


def test_an_upsert_writes_the_row_whole(world: World, pk: str) -> None:
    commit(world, pk, Upsert(rk="r", props={"a": 1, "b": 2}))
    commit(world, pk, Upsert(rk="r", props={"c": 3}))
    assert props(world, pk, "r") == {"c": 3}


def test_a_commit_applies_all_its_writes_and_returns_their_etags(world: World, pk: str) -> None:
    merged, gone = commit(world, pk, Insert(rk="m", props={"n": 1}), Insert(rk="d", props={}))
    etags = commit(
        world,
        pk,
        Merge(rk="m", props={"n": 2}, etag=merged),
        Delete(rk="d", etag=gone),
        Insert(rk="i", props={"n": 3}),
        Upsert(rk="u", props={"n": 4}),
    )
    rows = {row.rk: row for row in query(world, pk, "a", "z")}
    assert {rk: dict(row.props) for rk, row in rows.items()} == {"m": {"n": 2}, "i": {"n": 3}, "u": {"n": 4}}
    assert etags == (rows["m"].etag, "", rows["i"].etag, rows["u"].etag)


REFUSALS: dict[str, tuple[Callable[[str], Write], Reason]] = {
    "insert": (lambda _: Insert(rk="there", props={}), Reason.EXISTS),
    "merge stale": (lambda stale: Merge(rk="there", props={}, etag=stale), Reason.CHANGED),
    "merge missing": (lambda _: Merge(rk="missing", props={}, etag="*"), Reason.MISSING),
    "delete stale": (lambda stale: Delete(rk="there", etag=stale), Reason.CHANGED),
    "delete missing": (lambda _: Delete(rk="missing"), Reason.MISSING),
}


@pytest.mark.parametrize("position", [0, 1, 3])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_commit_with_one_refused_write_applies_nothing_and_names_it(
    world: World, pk: str, refusal: str, position: int
) -> None:
    make, reason = REFUSALS[refusal]
    (stale,) = commit(world, pk, Insert(rk="there", props={"n": 1}))
    commit(world, pk, Merge(rk="there", props={"n": 2}, etag=stale))
    writes: list[Write] = [Upsert(rk=f"n{n}", props={}) for n in range(3)]
    writes.insert(position, make(stale))
    with pytest.raises(Refused) as refused:
        commit(world, pk, *writes)
    assert (refused.value.index, refused.value.reason) == (position, reason)
    assert {row.rk: dict(row.props) for row in query(world, pk, "a", "z")} == {"there": {"n": 2}}


def test_a_commit_takes_a_hundred_writes_and_no_more(world: World, pk: str) -> None:
    assert len(commit(world, pk, *(Insert(rk=f"{n:03}", props={"n": n}) for n in range(100)))) == 100
    with pytest.raises(Broken, match="100"):
        commit(world, pk, *(Delete(rk=f"{n:03}") for n in range(101)))
    assert len(query(world, pk, "0", "9")) == 100


def test_a_commit_of_nearly_four_mebibytes_is_taken(world: World, pk: str) -> None:
    raw = b"x" * 45_000
    commit(world, pk, *(Insert(rk=f"{n}", props={"raw": raw}) for n in range(60)))
    assert props(world, pk, "59") == {"raw": raw}


@pytest.mark.parametrize(
    "write",
    [
        Insert(rk="r", props={"text": "x" * 32_769}),
        Insert(rk="r", props={"raw": b"x" * 65_537}),
        Insert(rk="r", props={f"p{n}": 1 for n in range(253)}),
        Insert(rk="r", props={f"p{n}": b"x" * 65_000 for n in range(17)}),
        Insert(rk="a/b", props={}),
    ],
    ids=["text", "bytes", "properties", "row", "key"],
)
def test_what_is_too_large_or_misnamed_is_a_bug_of_ours(world: World, pk: str, write: Write) -> None:
    for writes in ((write,), (Insert(rk="other", props={}), write)):
        with pytest.raises(Broken):
            commit(world, pk, *writes)
    assert query(world, pk, "a", "z") == ()


def test_a_query_is_a_half_open_range_in_key_order(world: World, pk: str) -> None:
    keys = ["c|1", "g", "h", "i|000001", "i|000002", "j"]
    commit(world, pk, *(Insert(rk=rk, props={"n": 1, "m": 2}) for rk in reversed(keys)))
    assert [row.rk for row in query(world, pk, "h", "i}")] == ["h", "i|000001", "i|000002"]
    assert [row.rk for row in query(world, pk, "g", "j")] == keys[1:5]
    assert [row.rk for row in query(world, pk, "a", "z", limit=2)] == keys[:2]
    assert query(world, pk, "k", "z") == ()
    assert query(world, "other" + pk, "a", "z") == ()


def test_a_query_brings_the_properties_it_selects(world: World, pk: str) -> None:
    commit(world, pk, Insert(rk="a", props={"n": 1, "m": 2}), Insert(rk="b", props={"m": 3}))
    whole = query(world, pk, "a", "z")
    some = query(world, pk, "a", "z", select=("n", "absent"))
    assert [dict(row.props) for row in some] == [{"n": 1}, {}]
    assert [row.etag for row in some] == [row.etag for row in whole]


def test_a_query_follows_the_pages(world: World, pk: str) -> None:
    for start in range(0, 2100, 100):
        commit(world, pk, *(Insert(rk=f"{n:04}", props={"n": n}) for n in range(start, start + 100)))
    rows = query(world, pk, "0000", "9999", select=("n",))
    assert [row.props["n"] for row in rows] == list(range(2100))
    assert [row.props["n"] for row in query(world, pk, "0000", "9999", limit=1050)] == list(range(1050))


def test_the_age_of_a_row_is_the_servers_and_starts_again_with_each_write(world: World, pk: str) -> None:
    (etag,) = commit(world, pk, Insert(rk="r", props={"n": 1}))
    young = get(world, pk, "r")
    assert young is not None
    assert 0 <= young.age < 5
    deadline = threading.Event()
    while (row := get(world, pk, "r")) is None or row.age < 1:
        deadline.wait(0.1)
    commit(world, pk, Merge(rk="r", props={}, etag=etag))
    again = get(world, pk, "r")
    assert again is not None
    assert again.age < row.age
    assert again.etag != etag


def test_of_many_writers_with_one_etag_one_wins(world: World, pk: str) -> None:
    (etag,) = commit(world, pk, Insert(rk="r", props={"by": -1}))
    outcomes: dict[int, str] = {}

    def write(number: int) -> None:
        try:
            commit(world, pk, Merge(rk="r", props={"by": number}, etag=etag), Insert(rk=f"w{number}", props={}))
            outcomes[number] = "won"
        except Refused as refused:
            outcomes[number] = f"{refused.index} {refused.reason}"

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes.values()) == ["0 changed"] * 7 + ["won"]
    (winner,) = [number for number, outcome in outcomes.items() if outcome == "won"]
    assert props(world, pk, "r") == {"by": winner}
    assert [row.rk for row in query(world, pk, "w", "x")] == [f"w{winner}"]


def test_documents_are_written_whole_and_may_be_written_again(world: World, pk: str) -> None:
    name, data = f"definitions/{pk}.json", b'{"a": "\xc3\xa9"}' * 1000
    for _ in range(2):
        ask(world, WriteBlob(name=name, data=data))
    assert ask(world, ReadBlob(name=name)) == data
    ask(world, WriteBlob(name=name + ".empty", data=b""))
    assert ask(world, ReadBlob(name=name + ".empty")) == b""


def test_messages_arrive_as_they_were_sent(world: World, pk: str) -> None:
    body = '{"run": "é <&> 漢"}'
    ask(world, Send(queue=pk, body=body))
    assert received(world, pk) == [(body, 1)]


def test_a_delayed_message_is_not_there_yet(world: World, pk: str) -> None:
    ask(world, Send(queue=pk, body="later", delay=3600.0))
    ask(world, Send(queue=pk, body="now"))
    assert received(world, pk) == [("now", 1)]


def test_a_message_that_is_too_large_is_a_bug_of_ours(world: World, pk: str) -> None:
    ask(world, Send(queue=pk, body="x" * 49_152))
    with pytest.raises(Broken, match="49152"):
        ask(world, Send(queue=pk, body="x" * 49_153))
    assert received(world, pk) == [("x" * 49_152, 1)]


def test_the_time_is_that_of_storage(world: World, pk: str) -> None:
    """Asked for after a read, it is that of the answer; it goes on by itself."""

    def task() -> Task[float]:
        yield from Get(table=TABLE, pk=pk, rk="a")
        return (yield from ServerNow())

    before = time.time()
    told = world.run(task())
    assert before - 2 < told < time.time() + 2
    assert world.run(task()) >= told - 1


@pytest.mark.azurite
def test_before_its_first_answer_storage_has_told_no_time(azurite_connection: str) -> None:
    transport = Transport()
    world = AzureWorld(Account.from_connection_string(azurite_connection), transport, container="worlds")
    with pytest.raises(Unavailable, match="time"):
        ask(world, ServerNow())
    transport.close()
