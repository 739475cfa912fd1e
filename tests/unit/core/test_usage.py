"""What executions have used: how it is made up, added and kept."""

from __future__ import annotations

import pytest

from azurerest import billing
from orchestrator.core.claim import first_claim, next_claim, retrying, settled
from orchestrator.core.compute import ComputeKind
from orchestrator.core.message import Delivery
from orchestrator.core.result import Deferral, File, OutputData, StepResult
from orchestrator.core.usage import (
    BILLED,
    Machine,
    StepUsage,
    Usage,
    decode,
    encode,
    execution,
    of_claim,
    stored_by,
)

SEEN = Usage(requests={"table_read": 2, "table_write": 1, "blob_read": 3}, sent=10, received=20, seconds=4.0)
CLAIM = first_claim(owner="a", delivery=Delivery(message_id="m", count=1), now=0.0)


def test_there_is_a_price_class_for_each_that_the_client_tells() -> None:
    assert set(BILLED) == set(billing.CLASSES)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(kind=ComputeKind.FUNCTION, memory_gib=2.0), {"calls": 1, "gb_seconds": 8.0}),
        (Machine(kind=ComputeKind.CONTAINER, memory_gib=1.0, cpu=0.5), {"cpu_seconds": 2.0, "gib_seconds": 4.0}),
        (Machine(kind=ComputeKind.PROCESS, memory_gib=0.0), {}),
    ],
)
def test_the_seconds_of_each_kind_of_machine(machine: Machine, expected: dict[str, float]) -> None:
    used = execution(SEEN, machine, StepResult(), publishes=False)
    billed = {"calls", "gb_seconds", "cpu_seconds", "gib_seconds"}
    assert {name: getattr(used, name) for name in billed if getattr(used, name)} == expected
    assert (used.executions, used.seconds, used.sent, used.received) == (1, 4.0, 10, 20)


def test_what_is_known_without_counting_is_added() -> None:
    used = execution(SEEN, Machine(), StepResult(), publishes=False)
    assert used.requests == {"table_read": 2, "table_write": 2, "blob_read": 3, "queue": 3}
    assert execution(SEEN, Machine(), StepResult(), publishes=True).requests["table_write"] == 3


def test_what_another_step_made_is_not_stored_again() -> None:
    own, named = File(path="a", size=100, sha256="1"), File(path="b", size=9000, sha256="2", blob="runs/x/b")
    result = StepResult(
        outputs={"out": OutputData(datastore="d", prefix="p", files=(own, named))},
        artifacts=(File(path="c", size=7, sha256="3"),),
        log_bytes=5,
    )
    assert stored_by(result) == 112


def test_sums_keep_every_field() -> None:
    everything = Usage(
        executions=1, unknown=2, requests={"queue": 3}, sent=4, received=5, stored=6, seconds=0.7, calls=8,
        gb_seconds=0.9, cpu_seconds=1.1, gib_seconds=1.2,
    )  # fmt: skip
    twice = everything + everything
    for field in Usage.__struct_fields__:
        one, both = getattr(everything, field), getattr(twice, field)
        assert both == ({"queue": 6} if field == "requests" else pytest.approx(2 * one)), field


def test_a_claim_of_an_older_version_tells_of_nothing() -> None:
    assert decode("") == StepUsage()


def test_facts_survive_a_retry_and_a_death_and_the_death_is_counted_as_unknown() -> None:
    first = StepUsage(own=Usage(executions=1, requests={"queue": 3}))
    claim = retrying(CLAIM, delay=0.0, result="", usage=encode(first))
    claim = next_claim(claim, owner="b", delivery=Delivery(message_id="m2", count=1), now=1.0)
    assert of_claim(claim, over=False).own == first.own, "known while the next attempt runs"
    claim = next_claim(claim, owner="c", delivery=Delivery(message_id="m2", count=2), now=2.0)
    both = StepUsage(own=first.own + first.own)
    claim = settled(claim, failed=False, result="{}", result_blob="", usage=encode(both))
    known = of_claim(claim, over=True).own
    assert (known.executions, known.unknown, known.requests) == (2, 1, {"queue": 6})


def test_an_execution_that_its_run_did_not_wait_for_is_unknown() -> None:
    assert of_claim(CLAIM, over=False).own.unknown == 0
    assert of_claim(CLAIM, over=True).own.unknown == 1


def test_a_look_at_what_a_service_does_stores_nothing_yet() -> None:
    looked = StepResult(deferral=Deferral(handle={}), log_bytes=1000)
    assert execution(SEEN, Machine(), looked, publishes=False).stored == 0
