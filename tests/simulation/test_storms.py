"""F2: everything at random, then peace. F8: clocks. And that a storm is one, that it can be replayed and read."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from orchestrator.core.states import RunStatus
from tests.simulation.faults import Fault
from tests.simulation.mutants import MUTANTS
from tests.simulation.simulation import Failed, Report, Simulation, simulate
from tests.simulation.telling import told
from tests.simulation.weather import stormy

SEEDS = 200


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [simulate(seed, stormy(seed)) for seed in range(SEEDS)]


def test_every_run_of_every_storm_ends_as_it_should(reports: list[Report]) -> None:
    assert len(reports) == SEEDS


def test_the_storms_are_storms(reports: list[Report]) -> None:
    """Of everything that may happen, much did: a simulation that has become calm would pass all else."""
    faults = sum((report.faults for report in reports), Counter[str]())
    assert {fault.value for fault in Fault} == set(faults)
    assert min(faults.values()) >= 20
    statuses = Counter(status for report in reports for status in report.statuses)
    assert min(statuses[status] for status in RunStatus if status.terminal) >= 50
    total = Counter[str]()
    for report in reports:
        total.update({name: getattr(report, name) for name in ("takeovers", "fenced", "duplicated", "poisoned")})
        total.update(report.counts)
    for what in ("fenced", "retry", "heartbeat", "combine swap", "discard", "cancel", "take over"):
        assert total[what] >= 20, what
    assert total["poisoned"] >= 1
    assert total["takeovers"] >= 500
    assert sum(report.operations for report in reports) >= 50_000


@pytest.mark.parametrize("seed", range(20))
def test_wrong_clocks_change_nothing(seed: int) -> None:
    setting = stormy(seed)
    right = simulate(seed, replace(setting, skews=(0.0,)))
    wrong = simulate(seed, replace(stormy(seed), skews=(-600.0, 600.0, 0.0, 437.0)))
    assert wrong == right


def fingerprint(seed: int) -> str:
    """All that happened, as a hash."""
    simulation = Simulation(seed, stormy(seed))
    simulation.around.remember_all()
    simulation.run()
    text = "\n".join(f"{when} {who} {doing} {told(what)}" for when, who, doing, what in simulation.around.trace)
    return hashlib.sha256(f"{text}\n{simulation.around.operations} {simulation.loop.events}".encode()).hexdigest()


def test_a_seed_is_a_whole_world() -> None:
    """The same in another process, whatever its hashes."""
    program = "from tests.simulation.test_storms import fingerprint; print(*(fingerprint(seed) for seed in range(5)))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for hashes in ("1", "2")
    ]
    assert runs[0] == runs[1] == [fingerprint(seed) for seed in range(5)]
    assert len(set(runs[0])) == 5


def test_a_violation_tells_its_story() -> None:
    with MUTANTS["send before commit"].alive(), pytest.raises(Failed) as failed:
        for seed in range(20):
            simulate(seed, stormy(seed))
    story = str(failed.value).splitlines()
    assert story[0].startswith(f"seed {failed.value.seed}: I1: step ")
    assert len(story) > 10
    assert "put millstream-steps: run" in story[-1]
