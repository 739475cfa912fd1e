from __future__ import annotations

from steps.log import FLUSH_BYTES, FULL_BYTES, TAIL_BYTES, StepLog
from steps.memory_store import MemoryStore
from steps.store import StoreFailed

NAME = "runs/r/s/1-x/log.txt"


class CountingStore(MemoryStore):
    """Counts the transactions of an Azure store, and refuses while `broken`."""

    def __init__(self) -> None:
        super().__init__("c")
        self.transactions = 0
        self.broken = False

    def put(self, container: str, name: str, data: bytes, *, content_type: str = "") -> None:
        self._count(1)
        super().put(container, name, data)

    def append(self, container: str, name: str, data: bytes, offset: int) -> None:
        self._count(1 if offset else 2)
        super().append(container, name, data, offset)

    def _count(self, transactions: int) -> None:
        if self.broken:
            raise StoreFailed("no")
        self.transactions += transactions


def make(limit: int = 1_000_000) -> tuple[CountingStore, StepLog]:
    store = CountingStore()
    return store, StepLog(store, "c", NAME, limit=limit)


def test_nothing_printed_costs_nothing() -> None:
    store, log = make()
    log.finish()
    assert (store.transactions, store.blobs["c"], log.stored) == (0, {}, (None, 0))


def test_a_short_log_costs_one_transaction() -> None:
    store, log = make()
    log.write(b"a\n")
    log.write(b"b\n")
    assert log.wait() is not None
    log.finish()
    log.finish()
    assert (store.transactions, store.blobs["c"][NAME], log.stored) == (1, b"a\nb\n", (NAME, 4))


def test_a_log_that_was_flushed_is_appended_to() -> None:
    store, log = make()
    log.write(b"a\n")
    assert 0 < (log.wait() or 0) <= 0.2
    assert log.flush()
    assert log.wait() is None
    log.write(b"b\n")
    assert 0.2 < (log.wait() or 0) <= 1.0
    log.finish()
    assert (store.transactions, store.blobs["c"][NAME], log.stored) == (3, b"a\nb\n", (NAME, 4))


def test_much_output_is_due_at_once() -> None:
    _, log = make()
    log.write(b"x" * FLUSH_BYTES)
    assert log.wait() == 0


def test_a_cut_log_says_so_and_keeps_the_end() -> None:
    store, log = make(limit=1000)
    for number in range(2000):
        log.write(f"line {number}\n".encode())
    log.flush()
    log.write(b"the end\n")
    log.finish()
    text = store.blobs["c"][NAME].decode()
    assert text.startswith("line 0\nline 1\n")
    assert "[millstream] The log is cut here, after 1000 bytes." in text
    assert text.endswith("line 1999\nthe end\n")
    assert len(text) < 1000 + TAIL_BYTES + 300
    written = sum(len(f"line {number}\n") for number in range(2000)) + len("the end\n")
    assert f"[millstream] {written - 1000 - TAIL_BYTES} bytes left out." in text


def test_a_log_cut_by_little_loses_nothing() -> None:
    store, log = make(limit=10)
    log.write(b"0123456789abc")
    log.finish()
    assert store.blobs["c"][NAME].startswith(b"0123456789\n[millstream] The log is cut")
    assert store.blobs["c"][NAME].endswith(b".\nabc")
    assert b"left out" not in store.blobs["c"][NAME]


def test_the_tail_begins_with_a_whole_line() -> None:
    _, log = make()
    assert log.tail() == ""
    log.write(b"short")
    assert log.tail() == "short"
    log.write(b"\n" + b"y" * 100 + b"\n" + "ž".encode() * 2000 + b"\nlast\xff\n")
    assert log.tail().endswith("\nlast\ufffd\n")
    assert len(log.tail().encode()) <= TAIL_BYTES + 2


def test_notes_are_lines_of_their_own() -> None:
    store, log = make()
    log.write(b"no newline")
    log.note("said")
    log.write(b"more\n")
    log.note("again \udc80")
    log.finish()
    assert store.blobs["c"][NAME] == b"no newline\n[millstream] said\nmore\n[millstream] again \\udc80\n"


def test_a_store_that_fails_loses_nothing_and_bounds_what_waits() -> None:
    store, log = make(limit=10 * FULL_BYTES)
    store.broken = True
    log.write(b"a" * 10)
    assert not log.flush()
    assert not log.full()
    assert log.wait() is not None
    log.write(b"b" * FULL_BYTES)
    assert log.full()
    store.broken = False
    assert log.flush()
    assert not log.full()
    log.finish()
    assert store.blobs["c"][NAME] == b"a" * 10 + b"b" * FULL_BYTES


def test_a_store_that_fails_to_the_end_leaves_the_log_incomplete() -> None:
    store, log = make()
    log.write(b"a")
    log.flush()
    store.broken = True
    log.write(b"b")
    log.finish()
    assert log.stored == (NAME, 1)
    assert log.tail() == "ab"
