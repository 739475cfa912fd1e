"""Computes: which queue drives their steps, how long these may take, and which sizes there can be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orchestrator.core.compute import Compute, Executions, longest_step, problems, queue_of
from orchestrator.setting_types import queue_name

MAIN = "millstream-steps"


def test_functions_share_the_queue_of_the_service() -> None:
    assert queue_of(MAIN, "function", "function") == queue_of(MAIN, "cpu", "function") == MAIN


@pytest.mark.parametrize("name", ["cpu-cluster", "CPU", "a_b.c", "x" * 64, "poison", "a--b", "9"])
@pytest.mark.parametrize("main", [MAIN, "abc", "m" * 56])
def test_any_other_compute_has_one_of_its_own(name: str, main: str) -> None:
    queue = queue_of(main, name, "container")
    assert re.fullmatch(r"[a-z0-9](-?[a-z0-9])*", queue)
    assert 3 <= len(queue) <= 63
    assert queue not in {main, f"{main}-poison"}
    assert queue_of(main, name, "process") == queue


def test_names_that_differ_in_case_alone_have_different_queues() -> None:
    queues = {queue_of(MAIN, name, "container") for name in ("cpu", "CPU", "Cpu")}
    assert len(queues) == 3


def test_a_readable_name_stays_readable() -> None:
    assert queue_of(MAIN, "cpu-cluster", "container") == "millstream-steps-on-cpu-cluster"
    assert queue_name(MAIN) == MAIN


def test_a_script_is_ended_half_a_minute_before_its_host() -> None:
    container = Compute(name="c", kind="container", created_at=0.0, executions=Executions(timeout_seconds=7200))
    function = Compute(name="f", kind="function", created_at=0.0)
    assert longest_step(container, function_seconds=1800.0) == 7170.0
    assert longest_step(function, function_seconds=1800.0) == 1770.0


@pytest.mark.parametrize(
    ("kind", "sizes", "fields"),
    [
        ("function", None, []),
        ("function", {}, ["executions"]),
        ("process", {"most": 3}, []),
        ("process", {"cpu": 1.0, "memory_gib": 2.0}, ["executions.cpu", "executions.memory_gib"]),
        ("process", {"image": "x"}, ["executions.image"]),
        ("container", {}, []),
        ("container", {"cpu": 4.0, "memory_gib": 8.0, "most": 1000, "image": "local/worker:1"}, []),
        ("container", {"most": 0}, ["executions.most"]),
        ("container", {"most": 1001}, ["executions.most"]),
        ("container", {"timeout_seconds": 10}, ["executions.timeout_seconds"]),
        ("container", {"cpu": 0.3, "memory_gib": 0.6}, ["executions.cpu"]),
        ("container", {"cpu": 8.0, "memory_gib": 16.0}, ["executions.cpu"]),
        ("container", {"cpu": 1.0, "memory_gib": 1.0}, ["executions.memory_gib"]),
        ("container", {"image": "--privileged"}, ["executions.image"]),
        ("container", {"image": "a b"}, ["executions.image"]),
        ("container", {"job": "No_Job"}, ["executions.job"]),
    ],
)
def test_sizes(kind: str, sizes: dict[str, Any] | None, fields: list[str]) -> None:
    found = problems(kind, None if sizes is None else Executions(**sizes))
    assert [problem.field for problem in found] == fields
