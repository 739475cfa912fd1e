# ruff: noqa: SIM117
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from orchestrator.adapters import metering
from orchestrator.core.claim import ClaimRow
from orchestrator.core.errors import Unavailable
from orchestrator.core.states import ClaimState
from orchestrator.engine.lease import Lease
from steps import heartbeat
from steps.failures import Stopped
from steps.heartbeat import Beater
from steps.stop import Stop, StopReason
from tests.unit.steps.running import eventually


def lease(run: str = "r", position: int = 0) -> Lease:
    claim = ClaimRow(state=ClaimState.RUNNING, attempt=1, owner="o", message_id="m", dequeue_count=1)
    return Lease(run=run, position=position, claim=claim, etag="e")


def noted(calls: list[object], call: object) -> bool:
    calls.append(call)
    return False


@contextmanager
def beating(
    beat: Callable[[Lease], bool], cancelled: Callable[[str], bool], *, every: float = 0.02, check: float = 0.02
) -> Iterator[Beater]:
    beater = Beater(beat, cancelled, heartbeat_seconds=every, cancel_check_seconds=check)
    yield beater
    beater.close()


def test_a_short_attempt_costs_nothing() -> None:
    calls: list[object] = []
    with beating(lambda it: noted(calls, it), lambda it: noted(calls, it), every=5, check=5) as beater:
        for _ in range(100):
            with beater.watching(lease(), Stop()):
                pass
    assert calls == []


def test_all_leases_are_beaten_by_one_thread() -> None:
    beaten: list[tuple[int, int]] = []

    def beat(it: Lease) -> bool:
        beaten.append((it.position, threading.get_ident()))
        return True

    with beating(beat, lambda _: False) as beater:
        with beater.watching(lease(position=1), Stop()), beater.watching(lease(position=2), Stop()):
            assert eventually(lambda: {position for position, _ in beaten} == {1, 2})
    assert len({thread for _, thread in beaten}) == 1


def test_a_lost_lease_stops_its_attempt_only() -> None:
    lost, kept = Stop(), Stop()
    with beating(lambda it: it.position != 1, lambda _: False) as beater:
        with beater.watching(lease(position=1), lost), beater.watching(lease(position=2), kept):
            assert eventually(lambda: lost.reason is not None)
    assert lost.reason is StopReason.LEASE_LOST
    assert kept.reason is None
    with pytest.raises(Stopped, match="the lease is lost"):
        lost.check()


def test_a_lost_lease_is_not_beaten_again() -> None:
    beaten: list[object] = []
    stop = Stop()
    with beating(lambda it: noted(beaten, it), lambda _: False) as beater, beater.watching(lease(), stop):
        assert eventually(lambda: stop.reason is not None)
        with beater.watching(lease(), other := Stop()):
            assert eventually(lambda: other.reason is not None)
    assert len(beaten) == 2


def test_a_cancelled_run_stops_all_its_attempts_with_one_check() -> None:
    asked: list[str] = []

    def cancelled(run: str) -> bool:
        asked.append(run)
        return run == "a"

    first, second, other = Stop(), Stop(), Stop()
    with beating(lambda _: True, cancelled, every=60, check=0.05) as beater:
        with beater.watching(lease("a", 1), first), beater.watching(lease("a", 2), second):
            with beater.watching(lease("b", 1), other):
                assert eventually(lambda: first.reason is not None and second.reason is not None)
    assert first.reason is StopReason.RUN_CANCELLED
    assert other.reason is None
    assert asked.count("a") == 1


def test_storage_that_does_not_answer_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "RETRY_SECONDS", 0.01)
    calls = 0

    def beat(_: Lease) -> bool:
        nonlocal calls
        calls += 1
        raise Unavailable("storage does not answer")

    def cancelled(_: str) -> bool:
        raise Unavailable("storage does not answer")

    stop = Stop()
    with beating(beat, cancelled) as beater, beater.watching(lease(), stop):
        assert eventually(lambda: calls > 3)
    assert stop.reason is None


def test_no_beat_is_under_way_after_the_block() -> None:
    entered, leave, running = threading.Event(), threading.Event(), threading.Event()

    def beat(_: Lease) -> bool:
        running.set()
        entered.set()
        leave.wait(10)
        running.clear()
        return True

    with beating(beat, lambda _: False) as beater:
        with beater.watching(lease(), Stop()):
            assert entered.wait(10)
            threading.Timer(0.05, leave.set).start()
        assert not running.is_set()


def test_watches_come_and_go() -> None:
    """Many threads, short and long attempts, a beat that is slow: every lease is used by one thread at a time."""
    busy: dict[int, threading.Lock] = {number: threading.Lock() for number in range(24)}

    def beat(it: Lease) -> bool:
        assert busy[it.position].acquire(blocking=False)
        time.sleep(0.001)
        busy[it.position].release()
        return True

    failed: list[int] = []
    with beating(beat, lambda _: False, every=0.002, check=0.005) as beater:

        def work(number: int) -> None:
            for turn in range(20):
                with beater.watching(lease(f"r{number % 3}", number), Stop()):
                    time.sleep(0.004 * (turn % 3))
                if not busy[number].acquire(blocking=False):
                    failed.append(number)
                else:
                    busy[number].release()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


def test_stop_calls_actions_once_and_late_ones_at_once() -> None:
    stop, called = Stop(), []
    with stop.calling(lambda: called.append("early")):
        stop.request(StopReason.LEASE_LOST)
        stop.request(StopReason.RUN_CANCELLED)
    with stop.calling(lambda: called.append("late")):
        assert called == ["early", "late"]
    assert stop.reason is StopReason.LEASE_LOST


def test_what_is_asked_of_storage_for_an_attempt_counts_as_the_attempts_own() -> None:
    def beat(_: Lease) -> bool:
        metering.count("table_write")
        return True

    def cancelled(_: str) -> bool:
        metering.count("table_read")
        return False

    with beating(beat, cancelled) as beater, metering.metered(time.monotonic):
        with beater.watching(lease(), Stop()):
            assert eventually(lambda: {"table_write", "table_read"} <= metering.read().requests.keys())
