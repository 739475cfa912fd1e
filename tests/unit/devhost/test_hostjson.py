"""host.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devhost.errors import ConfigError
from devhost.hostjson import HostJson, load_host_json, parse_host_json, parse_time_span


def test_the_defaults_are_the_real_ones() -> None:
    parsed = parse_host_json({"version": "2.0"})
    assert parsed == HostJson()
    assert parsed.function_timeout == 1800
    assert (parsed.queues.batch_size, parsed.queues.max_dequeue_count, parsed.queues.visibility_timeout) == (16, 5, 0)
    assert (parsed.queues.threshold(1), parsed.queues.threshold(8)) == (8, 64)
    assert parsed.http.route_prefix == "api"


def test_everything_that_is_read() -> None:
    document = {
        "version": "2.0",
        "functionTimeout": "00:05:00",
        "logging": {"logLevel": {"default": "Information"}},
        "extensions": {
            "http": {"routePrefix": "/v1/", "maxConcurrentRequests": 3, "maxOutstandingRequests": 9},
            "queues": {
                "batchSize": 1,
                "newBatchThreshold": 0,
                "maxDequeueCount": 2,
                "visibilityTimeout": "00:00:30",
                "maxPollingInterval": "00:00:00.500",
                "messageEncoding": "none",
            },
            "blobs": {"maxDegreeOfParallelism": 4, "poisonBlobThreshold": 1},
        },
    }
    parsed = parse_host_json(document)
    assert parsed.function_timeout == 300
    assert (parsed.http.route_prefix, parsed.http.max_concurrent, parsed.http.max_outstanding) == ("v1", 3, 9)
    queues = parsed.queues
    assert (queues.batch_size, queues.threshold(8), queues.max_dequeue_count) == (1, 0, 2)
    assert (queues.visibility_timeout, queues.max_polling_interval, queues.base64) == (30, 0.5, False)
    assert (parsed.blobs.max_degree_of_parallelism, parsed.blobs.poison_threshold) == (4, 1)


@pytest.mark.parametrize("value", [-1, "-1"])
def test_no_timeout(value: Any) -> None:
    assert parse_host_json({"version": "2.0", "functionTimeout": value}).function_timeout is None


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"version": 2},
        {"version": "1.0"},
        {"version": "2.0", "functionTimeout": "5 minutes"},
        {"version": "2.0", "functionTimeout": "00:00:00"},
        {"version": "2.0", "extensions": []},
        {"version": "2.0", "extensions": {"queues": {"batchSize": 0}}},
        {"version": "2.0", "extensions": {"queues": {"batchSize": 33}}},
        {"version": "2.0", "extensions": {"queues": {"batchSize": "16"}}},
        {"version": "2.0", "extensions": {"queues": {"batchSize": True}}},
        {"version": "2.0", "extensions": {"queues": {"newBatchThreshold": -1}}},
        {"version": "2.0", "extensions": {"queues": {"maxDequeueCount": 0}}},
        {"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "8.00:00:00"}}},
        {"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:00.05"}}},
        {"version": "2.0", "extensions": {"queues": {"messageEncoding": "gzip"}}},
        {"version": "2.0", "extensions": {"http": {"routePrefix": 5}}},
    ],
)
def test_what_is_refused(document: Any) -> None:
    with pytest.raises(ConfigError, match=r"host\.json"):
        parse_host_json(document)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    with pytest.raises(ConfigError, match="missing"):
        load_host_json(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        load_host_json(path)
    path.write_text('\ufeff{"version": "2.0"}', encoding="utf-8")
    assert load_host_json(path) == HostJson()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:01", 1), ("01:00:00", 3600), ("1.02:03:04", 93784), ("00:00:00.5", 0.5), ("00:05", 300)],
)
def test_time_spans(text: str, seconds: float) -> None:
    assert parse_time_span(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "24:00:00", "00:60:00", "-00:00:01", "1:2:3:4"])
def test_what_is_no_time_span(text: str) -> None:
    with pytest.raises(ValueError, match="time span"):
        parse_time_span(text)
