from __future__ import annotations

import json
from pathlib import Path

from orchestrator.core.result import decode_metrics
from steps.live_metrics import FIRST_LOOK, LiveMetrics
from steps.memory_store import MemoryStore

NAME = "p/metrics.jsonl"


def line(number: int) -> str:
    return json.dumps({"op": "metric", "name": "loss", "kind": "scalar", "value": number, "at": 1.0}) + "\n"


def values(store: MemoryStore) -> list[int]:
    return [metric.value for metric in decode_metrics(store.blobs["c"].get(NAME, b""))]


def test_metrics_are_published_as_they_come(tmp_path: Path) -> None:
    store, spool, now = MemoryStore("c"), tmp_path / "spool", 0.0
    live = LiveMetrics(store, "c", "p", spool, limit=10_000, clock=lambda: now)
    assert live.wait() == FIRST_LOOK
    now = FIRST_LOOK
    assert live.wait() == 0.0
    live.look()
    assert live.wait() > 0
    assert store.blobs["c"] == {}
    cut = len(line(3)) // 2
    with spool.open("a") as sink:
        sink.write(line(1) + '{"op": "tag", "key": "k", "value": "v"}\n' + "not a record\n" + line(2) + line(3)[:cut])
        sink.flush()
        live.look()
        live.look()
        assert values(store) == [1, 2]
        sink.write(line(3)[cut:])
        sink.flush()
        live.look()
    assert values(store) == [1, 2, 3]


def test_what_storage_does_not_take_is_published_later(tmp_path: Path) -> None:
    store, spool = MemoryStore(), tmp_path / "spool"
    live = LiveMetrics(store, "c", "p", spool, limit=10_000)
    spool.write_text(line(1))
    live.look()
    store.blobs["c"] = {}
    live.look()
    assert values(store) == [1]


def test_a_flood_is_left_to_the_result(tmp_path: Path) -> None:
    store, spool = MemoryStore("c"), tmp_path / "spool"
    live = LiveMetrics(store, "c", "p", spool, limit=3 * len(line(1)) + 5)
    spool.write_text("".join(line(number) for number in range(9)))
    live.look()
    live.look()
    assert values(store) == [0, 1, 2]
