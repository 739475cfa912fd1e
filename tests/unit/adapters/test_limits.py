from __future__ import annotations

import pytest

from orchestrator.adapters.limits import check_commit, check_send
from orchestrator.core.errors import Broken
from orchestrator.ports import Commit, Delete, Insert, Props, Send, Write


def commit(*writes: Write, pk: str = "p") -> Commit:
    return Commit(table="t", pk=pk, writes=writes)


def row(props: Props, rk: str = "r") -> Commit:
    return commit(Insert(rk=rk, props=props))


ALLOWED = {
    "100 writes": commit(*(Delete(rk=str(n)) for n in range(100))),
    "64 KiB of text": row({"a": "x" * 32_768}),
    "64 KiB of text outside ASCII": row({"a": "é" * 32_768}),
    "64 KiB of bytes": row({"a": b"x" * 65_536}),
    "252 properties": row({f"p{n}": n for n in range(252)}),
    "nearly 1 MiB": row({f"p{n}": b"x" * 65_000 for n in range(16)}),
    "nearly 4 MiB": commit(*(Insert(rk=str(n), props={"a": b"x" * 64_000}) for n in range(64))),
    "the largest integer": row({"a": 2**63 - 1}),
}
REFUSED = {
    "no write": (commit(), "1 to 100"),
    "101 writes": (commit(*(Delete(rk=str(n)) for n in range(101))), "1 to 100"),
    "a row twice": (commit(Delete(rk="a"), Insert(rk="a", props={})), "each row once"),
    "over 64 KiB of text": (row({"ok": 1, "big": "x" * 32_769}), "'big'"),
    "over 64 KiB of text outside the basic plane": (row({"big": "😀" * 16_385}), "'big'"),
    "over 64 KiB of bytes": (row({"big": b"x" * 65_537}), "'big'"),
    "253 properties": (row({f"p{n}": n for n in range(253)}), "252"),
    "over 1 MiB": (row({f"p{n}": b"x" * 65_536 for n in range(16)}), "a row takes"),
    "over 4 MiB": (commit(*(Insert(rk=str(n), props={"a": b"x" * 65_536}) for n in range(64))), "a commit takes"),
    "an integer of 65 bits": (row({"a": 2**63}), "64 bits"),
    "a slash in a row key": (row({}, rk="a/b"), "a/b"),
    "a control character in a partition key": (commit(Delete(rk="r"), pk="a\n"), "key"),
    "a key over 1 KiB": (row({}, rk="r" * 513), "key"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_the_service_takes_is_let_through(name: str) -> None:
    check_commit(ALLOWED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_service_would_refuse_is_stopped_before(name: str) -> None:
    refused, reason = REFUSED[name]
    with pytest.raises(Broken, match=reason):
        check_commit(refused)


def test_messages_are_measured_before_they_are_sent() -> None:
    check_send(Send(queue="q", body="x" * 49_152))
    with pytest.raises(Broken, match="49152"):
        check_send(Send(queue="q", body="é" * 24_577))
    for delay in (-1.0, 7 * 24 * 3600 + 1.0):
        with pytest.raises(Broken, match="delayed"):
            check_send(Send(queue="q", body="", delay=delay))
