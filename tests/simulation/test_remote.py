"""Steps whose work a service does, whatever dies, freezes or is lost on the way."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.core.states import RunStatus
from tests.simulation.faults import DEADLY, Calm, Fault
from tests.simulation.graphs import ALWAYS, Graph, Script, chain, flat, nesting, scripted
from tests.simulation.simulation import Report, Setting, Simulation, simulate
from tests.simulation.weather import forgetful, remote

SEEDS = 40
SHORT = Script(seconds=1.0, remote=40.0)
SHAPES = (
    chain(1, SHORT),
    scripted(chain(2), {0: Script(seconds=1.0, remote=10.0, failures=1, retries=1)}),
    scripted(chain(3), {1: SHORT}),
)


def play(graph: Graph, faults: Calm | None = None, *, cancel_at: float | None = None) -> Report:
    setting = Setting(
        graphs=[graph], hosts=2, faults=faults or Calm(), restart_after=(5.0, 5.0), cancel_at=(cancel_at,), settle=900.0
    )
    return simulate(7, setting)


def test_a_long_job_costs_a_message_a_look() -> None:
    simulation = Simulation(1, Setting(graphs=[chain(1, Script(remote=3600.0))]))
    report = simulation.run()
    looks = simulation.storage.services.looks
    assert report.statuses == (RunStatus.COMPLETED,) and report.executions == 1
    assert 60 <= looks <= 66
    assert report.counts["put"] == looks + 1 and report.counts["heartbeat"] == 0


def test_fifty_wait_where_one_can_work() -> None:
    """On one host, one step at a time: were they held, they would take half a day."""
    setting = Setting(graphs=[flat(50, Script(seconds=0.01, remote=600.0))], batch=1, polling=0.01, settle=3600.0)
    report = simulate(1, setting)
    assert report.statuses == (RunStatus.COMPLETED,)
    assert report.ended_at[0] < 1200.0


@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_killed_at_every_operation(graph: Graph) -> None:
    clean = play(graph)
    assert clean.statuses == (RunStatus.COMPLETED,)
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = play(graph, Calm(script={number: fault}))
            assert killed.statuses == clean.statuses, f"{fault.value} operation {number} of {clean.operations}"


@pytest.mark.parametrize("cancel_at", [0.5, 15.0])
def test_cancelled_and_killed_at_every_operation(cancel_at: float) -> None:
    """The simulation asks that no service works for what has ended."""
    graph = chain(1, Script(seconds=1.0, remote=100_000.0))
    clean = play(graph, cancel_at=cancel_at)
    assert clean.statuses == (RunStatus.CANCELED,) and clean.ended_at[0] < cancel_at + 5.0
    for number in range(clean.operations):
        for fault in (*DEADLY, Fault.FREEZE_BEFORE, Fault.FREEZE_AFTER):
            killed = play(graph, Calm(script={number: fault}), cancel_at=cancel_at)
            assert killed.statuses == clean.statuses, f"{fault.value} operation {number} of {clean.operations}"


def test_a_run_that_fails_takes_the_others_jobs_along() -> None:
    graph = scripted(flat(2), {0: Script(seconds=20.0, failures=ALWAYS), 1: Script(remote=100_000.0)})
    assert play(graph).statuses == (RunStatus.FAILED,)


def test_a_run_that_ends_takes_its_childrens_jobs_along() -> None:
    graph = nesting(chain(2), {0: flat(3, Script(remote=100_000.0))})
    simulation = Simulation(3, Setting(graphs=[graph], cancel_at=(100.0,)))
    assert simulation.run().statuses == (RunStatus.CANCELED,)
    jobs = simulation.storage.services.jobs.values()
    assert len(jobs) == 3 and all(100.0 < (job.cancelled_at or 0.0) < 110.0 for job in jobs)


@pytest.mark.parametrize("weather", [remote, forgetful])
def test_storms(weather: object) -> None:
    assert callable(weather)
    reports = [simulate(seed, weather(seed)) for seed in range(SEEDS)]
    statuses = Counter(status for report in reports for status in report.statuses)
    assert min(statuses[status] for status in RunStatus if status.terminal) >= 3
