"""Workers that are asked to end give their steps back: no death, and safe from deaths at every moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.states import RunStatus
from tests.simulation.faults import DEADLY, Calm
from tests.simulation.graphs import Graph, Script, chain, diamond, flat, nesting
from tests.simulation.simulation import Report, Setting, Simulation, simulate
from tests.simulation.test_kills import RECOVERED_WITHIN
from tests.simulation.weather import nested, stormy

SEEDS = 40
LIKELY = 0.5


def setting(graph: Graph, faults: Calm | None = None) -> Setting:
    return Setting(graphs=[graph], faults=faults or Calm(), restart_after=(5.0, 5.0), evictions=LIKELY)


@pytest.mark.parametrize("graph", [diamond(), nesting(chain(2), {1: flat(3)})], ids=["diamond", "nesting"])
def test_nobody_is_charged_and_nobody_waits(graph: Graph) -> None:
    given_back = 0
    for seed in range(10):
        simulation = Simulation(seed, setting(graph))
        report = simulation.run()
        assert report.statuses == (RunStatus.COMPLETED,)
        assert report.ended_at[0] < 20.0, "no sweep, and no claim that grows old, is waited for"
        for record in simulation.storage.checker.runs.values():
            for claim in record.claims.values():
                assert (claim.crashes, claim.retries) == (0, 0)
                assert claim.attempt == claim.releases + 1
                given_back += claim.releases
    assert given_back > 20


def test_killed_before_and_after_every_operation_the_run_ends_as_it_should() -> None:
    graph = chain(2, Script(seconds=2.0))
    clean = simulate(3, setting(graph))
    assert clean.executions > 2, "this seed has an eviction"
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = simulate(3, setting(graph, Calm(script={number: fault})))
            assert killed.statuses == (RunStatus.COMPLETED,), (fault, number)
            assert killed.ended_at[0] <= clean.ended_at[0] + RECOVERED_WITHIN + 30.0, (fault, number)


def test_through_storms_every_run_ends_as_it_should() -> None:
    def storm(seed: int) -> Report:
        weather = stormy(seed) if seed % 2 else nested(seed)
        return simulate(seed, replace(weather, evictions=0.2))

    assert len([storm(seed) for seed in range(SEEDS)]) == SEEDS
