"""The log of a step: found wherever it lies, cut nowhere within a character."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import UnknownThing
from orchestrator.core.job import Job
from orchestrator.core.result import StepResult
from orchestrator.engine.cancel import cancel
from orchestrator.engine.logview import LogPart, read_log, whole_characters
from orchestrator.files import SYSTEM
from tests.unit.engine.running import FAILURE, Runner, step

TEXT = "naïve café\n".encode()


def read(runner: Runner, offset: int = 0, limit: int = 1000) -> LogPart:
    return runner.world.run(read_log(runner.memory, "run1", "a", offset=offset, limit=limit))


def printing(runner: Runner, job: Job, text: bytes) -> str:
    name = f"{job.prefix}/log.txt"
    runner.files.put(SYSTEM, name, text)
    return name


def test_nothing_is_there_before_the_first_attempt() -> None:
    runner = Runner(step("a"))
    runner.start()
    assert read(runner) == LogPart(data=b"", start=0, next=0, complete=False, attempt=0)


def test_a_log_is_followed_while_the_step_runs() -> None:
    parts: list[LogPart] = []

    def talk(job: Job) -> StepResult:
        parts.append(read(runner))
        printing(runner, job, TEXT[:4])
        parts.append(read(runner, parts[-1].next))
        name = printing(runner, job, TEXT)
        parts.append(read(runner, parts[-1].next))
        return StepResult(log=name, log_bytes=len(TEXT))

    runner = Runner(step("a"), scripts={"a": talk})
    runner.start()
    runner.finish()
    parts.append(read(runner, parts[-1].next))
    # The cut after four bytes falls into the second character of two bytes.
    assert [part.data for part in parts] == [b"", TEXT[:4], TEXT[4:], b""]
    assert [part.complete for part in parts] == [False, False, False, True]
    assert {part.attempt for part in parts} == {1}


def test_the_whole_log_afterwards() -> None:
    runner = Runner(step("a"), scripts={"a": lambda job: StepResult(log=printing(runner, job, TEXT))})
    runner.start()
    runner.finish()
    assert read(runner) == LogPart(data=TEXT, start=0, next=len(TEXT), complete=True, attempt=1)


def test_parts_fit_together_whatever_the_limit() -> None:
    runner = Runner(step("a"), scripts={"a": lambda job: StepResult(log=printing(runner, job, TEXT * 3))})
    runner.start()
    runner.finish()
    for limit in range(2, 40):
        collected, offset, complete = b"", 0, False
        while not complete:
            part = read(runner, offset, limit)
            part.data.decode()
            collected, offset, complete = collected + part.data, part.next, part.complete
        assert collected == TEXT * 3


def test_the_end_can_be_asked_for() -> None:
    runner = Runner(step("a"), scripts={"a": lambda job: StepResult(log=printing(runner, job, b"0123456789"))})
    runner.start()
    runner.finish()
    part = read(runner, -3)
    assert (part.data, part.start, part.complete) == (b"789", 7, True)
    assert read(runner, -99).data == b"0123456789"


def test_an_offset_beyond_the_end_is_answered_from_the_end() -> None:
    runner = Runner(step("a"), scripts={"a": lambda job: StepResult(log=printing(runner, job, b"0123"))})
    runner.start()
    runner.finish()
    assert read(runner, 99) == LogPart(data=b"", start=4, next=4, complete=True, attempt=1)


def test_a_silent_step_has_an_empty_complete_log() -> None:
    runner = Runner(step("a"))
    runner.start()
    runner.finish()
    assert read(runner) == LogPart(data=b"", start=0, next=0, complete=True, attempt=1)


def test_the_log_of_a_failed_try_can_be_read_while_the_next_one_waits() -> None:
    def fail(job: Job) -> StepResult:
        printing(runner, job, b"oops")
        return FAILURE

    runner = Runner(step("a", retries=1), scripts={"a": fail})
    runner.start()
    runner.deliver()
    assert read(runner) == LogPart(data=b"oops", start=0, next=4, complete=False, attempt=1)


def test_a_cancelled_run_completes_the_logs() -> None:
    def cancelled(job: Job) -> None:
        printing(runner, job, b"cut off")
        runner.world.run(cancel(runner.memory, job.run))

    runner = Runner(step("a"), step("b", "a"), scripts={"a": cancelled})
    runner.start()
    runner.finish()
    assert read(runner) == LogPart(data=b"cut off", start=0, next=7, complete=True, attempt=1)
    assert runner.world.run(read_log(runner.memory, "run1", "b", offset=0, limit=9)).complete


@pytest.mark.parametrize("run", ["none", "a/b", ""])
def test_an_unknown_run_is_said_to_be_unknown(run: str) -> None:
    runner = Runner(step("a"))
    with pytest.raises(UnknownThing):
        runner.world.run(read_log(runner.memory, run, "a", offset=0, limit=1))


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", b""),
        (b"abc", b"abc"),
        ("é".encode(), "é".encode()),
        (b"ab\xc3", b"ab"),
        (b"ab\xe2\x82", b"ab"),
        (b"ab\xf0\x9f\x98", b"ab"),
        ("ab😀".encode(), "ab😀".encode()),
        (b"\xc3", b"\xc3"),
        (b"\x80\x80\x80\x80\x80", b"\x80\x80\x80\x80\x80"),
        (b"ab\xff", b"ab"),
    ],
)
def test_whole_characters(data: bytes, whole: bytes) -> None:
    assert whole_characters(data) == whole
