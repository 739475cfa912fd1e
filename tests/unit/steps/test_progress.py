from __future__ import annotations

from steps.log import StepLog
from steps.memory_store import MemoryStore
from steps.progress import EVERY, Progress


def test_a_long_transfer_tells_how_far_it_is() -> None:
    store, now = MemoryStore("c"), 0.0
    log = StepLog(store, "c", "log", limit=1000)
    progress = Progress(log, "Inputs", 100, total=100_000_000, clock=lambda: now)
    for _ in range(100):
        now += EVERY / 32
        progress.add(1_000_000, files=1)
    progress.end()
    log.finish()
    assert store.blobs["c"]["log"].decode().splitlines() == [
        "[millstream] Inputs: 32 of 100 files, 32 of 100 MB after 5 s, 6.4 MB/s.",
        "[millstream] Inputs: 64 of 100 files, 64 of 100 MB after 10 s, 6.4 MB/s.",
        "[millstream] Inputs: 96 of 100 files, 96 of 100 MB after 15 s, 6.4 MB/s.",
        "[millstream] Inputs: 100 of 100 files, 100 of 100 MB after 16 s, 6.4 MB/s.",
    ]


def test_a_short_transfer_tells_nothing() -> None:
    store = MemoryStore("c")
    log = StepLog(store, "c", "log", limit=1000)
    progress = Progress(log, "Outputs", 1)
    progress.add(1_000_000)
    progress.end()
    log.finish()
    assert store.blobs["c"] == {}
