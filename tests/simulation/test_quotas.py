"""Quotas on runs: what is over them is refused and may be asked for again; nothing leaks, whatever dies."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.quota import Quotas
from tests.simulation.graphs import chain
from tests.simulation.scheduled import Plan, ScheduledSimulation
from tests.simulation.simulation import Setting, Simulation
from tests.simulation.weather import stormy

RUNS = 2
SEEDS = 30


def bounded(setting: Setting, runs: int = RUNS) -> Setting:
    """The same, with room for two runs at a time, and with time for the others to wait."""
    engine = replace(setting.engine, quotas=Quotas(runs=runs))
    return replace(setting, engine=engine, settle=4 * setting.settle)


def test_no_more_run_than_may_and_all_of_them_do() -> None:
    calm = Setting(graphs=[stormy(1).graphs[0]] * 6, hosts=2, start_at=[float(n) for n in range(6)])
    simulation = Simulation(1, bounded(calm))
    report = simulation.run()
    assert all(status.terminal for status in report.statuses)
    assert simulation.refused
    assert simulation.most_at_once <= RUNS


def test_in_a_storm_nothing_counts_for_ever() -> None:
    """Whoever is refused asks again, so every run of every storm starts in the end, and ends."""
    simulations = [Simulation(seed, bounded(stormy(seed))) for seed in range(SEEDS)]
    for simulation in simulations:
        assert all(status.terminal for status in simulation.run().statuses)
    assert sum(simulation.refused for simulation in simulations) >= SEEDS


def test_no_occurrence_is_lost_that_has_to_wait_for_room() -> None:
    """Checked by the simulation of schedules: in the end every occurrence has one run, and its notes say so."""
    plan = Plan(graph=chain(2), peace=1800.0)
    simulations = [ScheduledSimulation(seed, bounded(stormy(seed), 3), plan) for seed in range(SEEDS)]
    for simulation in simulations:
        simulation.run()
    assert sum(simulation.put_off for simulation in simulations) >= SEEDS
