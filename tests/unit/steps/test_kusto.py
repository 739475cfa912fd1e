"""A query for a cluster of Data Explorer, against a stand-in of its API over real HTTP, with planted faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestrator.core.attachment import Attachment
from orchestrator.core.definition import Output
from orchestrator.core.kinds.kusto import KustoQuery
from orchestrator.core.result import StepResult
from steps.kusto import query
from steps.remote import http
from tests.json_standin import Fault, Refusal, serving
from tests.kusto_standin import Kusto, Table, refused
from tests.unit.steps.elsewhere import Bench, failed
from tests.unit.steps.jobs import DATA

TEXT = "declare query_parameters(least: long); People | where Age >= least"
WORK: dict[str, Any] = {"query": TEXT, "database": "people", "parameters": {"least": 30}}
PEOPLE = Table(
    columns=(("Name", "string"), ("Age", "long"), ("Score", "real"), ("Since", "datetime"), ("More", "dynamic")),
    rows=[
        ["Ada, Countess", 36, 1.5, "2024-02-29T12:00:00.1234567Z", {"a": [1, "ä"]}],
        ["Bob", None, "NaN", "2024-03-01T00:00:00Z", None],
    ],
)


@pytest.fixture
def kusto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kusto]:
    monkeypatch.setattr(http, "FIRST_PAUSE", 0.02)
    with serving(Kusto(tables={TEXT: [PEOPLE]})) as kept:
        yield kept


@pytest.fixture
def bench(tmp_path: Path, kusto: Kusto) -> Bench:
    return Bench(tmp_path, "kusto", Attachment(name="spark", type="Kusto", url=kusto.url))


def result(bench: Bench, work: dict[str, Any] = WORK, **fields: Any) -> StepResult:
    return bench.result(bench.job(work, outputs=(Output(name="out", datastore=DATA),), **fields))


def written(bench: Bench, found: StepResult) -> bytes:
    assert found.error is None, found.error
    (name,) = (name for name in bench.store.blobs[DATA] if "/out" in name)
    return bench.store.blobs[DATA][name]


def test_rows_are_the_output(bench: Bench, kusto: Kusto) -> None:
    found = result(bench)
    assert written(bench, found).decode().splitlines() == [
        "Name,Age,Score,Since,More",
        '"Ada, Countess",36,1.5,2024-02-29T12:00:00.1234567Z,"{""a"": [1, ""ä""]}"',
        "Bob,,NaN,2024-03-01T00:00:00Z,",
    ]
    (sent,) = kusto.said("/v2/rest/query")
    assert (sent["db"], sent["csl"]) == ("people", TEXT)
    assert sent["properties"]["Parameters"] == {"least": 30}
    assert "2 rows, 5 columns" in bench.log(found)


def test_rows_as_lines_of_json(bench: Bench) -> None:
    lines = written(bench, result(bench, {**WORK, "format": "json"})).decode().splitlines()
    first, second = map(json.loads, lines)
    assert first["More"] == {"a": [1, "ä"]} and second == {
        "Name": "Bob",
        "Age": None,
        "Score": "NaN",
        "Since": "2024-03-01T00:00:00Z",
        "More": None,
    }


def test_parquet_has_the_types_of_the_columns(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(written(bench, result(bench, {**WORK, "format": "parquet"})))
    table = pq.read_table(path)
    assert [str(field.type) for field in table.schema] == [
        "string",
        "int64",
        "double",
        "timestamp[us, tz=UTC]",
        "string",
    ]
    first, second = table.to_pylist()
    assert first["Since"] == datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)
    assert second["Age"] is None and second["Score"] != second["Score"]


def test_values_are_given_as_kusto_reads_them() -> None:
    wanted = KustoQuery(query="x", database="d", parameters={"a": "'; .drop", "b": 3, "c": True, "d": 1.5})
    sent = query.body(wanted, 3725.9)
    assert sent["properties"]["Parameters"] == {"a": "'; .drop", "b": 3, "c": "true", "d": "1.5"}
    assert sent["properties"]["Options"]["servertimeout"] == "01:02:05"
    assert sent["csl"] == "x"


@pytest.mark.parametrize(
    "fault",
    [Fault("/query"), Fault("/query", Refusal(429, {}, {"Retry-After": "0"})), Fault("/query", Refusal(503, {}))],
    ids=["lost answer", "throttled", "down"],
)
def test_a_query_is_asked_again(bench: Bench, kusto: Kusto, fault: Fault) -> None:
    fault.times = 2
    kusto.faults.append(fault)
    assert result(bench).error is None
    assert len(kusto.said("/query")) == 3


def test_the_cluster_s_own_words(bench: Bench) -> None:
    assert "SEM0100" in failed(result(bench, {**WORK, "query": "Nothing"}), "JobRefused")


def test_an_error_at_the_end_of_the_answer(bench: Bench, kusto: Kusto) -> None:
    kusto.broken = "Query result set has exceeded the internal limit (E_QUERY_RESULT_SET_TOO_LARGE)."
    words = failed(result(bench), "JobFailed")
    assert "exceeded the internal limit" in words and "take, less" in words
    assert not any("/out" in name for name in bench.store.blobs[DATA])


def test_an_error_among_the_rows(bench: Bench, kusto: Kusto) -> None:
    error = refused(500, "Internal", "x", "The node went away.").body
    kusto.tables[TEXT] = [Table(columns=PEOPLE.columns, rows=[PEOPLE.rows[0], {"OneApiErrors": [error]}])]
    assert "The node went away." in failed(result(bench), "JobFailed")


def test_a_query_of_several_statements_is_refused(bench: Bench, kusto: Kusto) -> None:
    kusto.tables[TEXT] = [PEOPLE, PEOPLE]
    assert "has 2 results" in failed(result(bench), "JobFailed")


def test_no_right(bench: Bench, kusto: Kusto) -> None:
    kusto.faults.append(Fault("/query", refused(403, "Forbidden", "Principal is not authorized.")))
    assert "the secret of the attached compute" in failed(result(bench), "JobRefused")


def test_no_cluster(bench: Bench) -> None:
    bench.find = lambda name: None
    assert "is not attached to a Kusto cluster" in failed(result(bench), "InvalidStep")


def test_cancelling_the_run_cancels_the_query(bench: Bench, kusto: Kusto) -> None:
    kusto.held.add(TEXT)
    job = bench.job(WORK, outputs=(Output(name="out", datastore=DATA),))
    worker = threading.Thread(target=bench.perform, args=(job,), daemon=True)
    worker.start()
    assert kusto.asked.wait(20)
    bench.cancelled.set()
    worker.join(20)
    assert not worker.is_alive()
    assert kusto.cancelled == [f"Millstream.run1.count.{job.owner}"]


def test_a_query_that_takes_too_long_is_cancelled(bench: Bench, kusto: Kusto) -> None:
    kusto.held.add(TEXT)
    assert "longer than it may, 0.3 s" in failed(result(bench, timeout_seconds=0.3), "TimedOut")
    assert len(kusto.cancelled) == 1


def test_a_lost_lease_leaves_the_query_alone(bench: Bench, kusto: Kusto) -> None:
    """Whoever has the step now asks by himself; this one's answer has nobody who takes it."""
    kusto.held.add(TEXT)
    job = bench.job(WORK, outputs=(Output(name="out", datastore=DATA),))
    worker = threading.Thread(target=bench.perform, args=(job,), daemon=True)
    worker.start()
    assert kusto.asked.wait(20)
    bench.lost.set()
    worker.join(20)
    assert not worker.is_alive() and kusto.cancelled == []
    kusto.cancel_came.set()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"query": " "}, "no query"),
        ({"query": " .drop table People"}, "command of management"),
        ({"query": "x" * 100_001}, "100,001 characters"),
        ({"database": ""}, "no database"),
        ({"parameters": {"a b": 1}}, "no name of a parameter"),
    ],
)
def test_settings_are_checked(changed: dict[str, Any], words: str) -> None:
    (problem,) = KustoQuery(**{**WORK, **changed}).problems("settings")
    assert words in problem.message
