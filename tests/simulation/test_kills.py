"""F1: the only host is killed before and after every storage operation. F6: user code that kills its process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.plan import bits
from orchestrator.core.retry import CRASH_BUDGET
from orchestrator.core.states import RunStatus
from tests.simulation.faults import DEADLY, Calm
from tests.simulation.graphs import ALWAYS, Graph, Script, chain, diamond, fan, layers, scripted
from tests.simulation.simulation import Report, Setting, Simulation, simulate

SEEDS = (7, 8)
RECOVERED_WITHIN = 150.0
"""Seconds: a claim is stale after 90, the sweep comes every 60."""

ALWAYS_FAILS = Script(failures=ALWAYS)
SHAPES = (
    chain(1),
    chain(5),
    diamond(),
    fan(8),
    layers(4, 3),
    layers(4, 3, data=False),
    scripted(layers(3, 3), {4: ALWAYS_FAILS}),
    scripted(layers(3, 3, reach=1), {4: ALWAYS_FAILS}, keep_going=True),
    scripted(diamond(), {1: Script(failures=1, retries=2)}),
    scripted(diamond(), {2: Script(crashes=1)}),
    scripted(chain(2), {0: Script(seconds=100.0)}),
    scripted(chain(2), {0: Script(size=40_000)}),
)


def play(graph: Graph, seed: int, faults: Calm) -> Report:
    return simulate(seed, Setting(graphs=[graph], faults=faults, restart_after=(5.0, 5.0)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_killed_before_and_after_every_operation_the_run_ends_as_it_should(graph: Graph, seed: int) -> None:
    clean = play(graph, seed, Calm())
    decided = graph.keep_going or clean.statuses == (RunStatus.COMPLETED,)
    latest = clean.ended_at[0] + RECOVERED_WITHIN + max(script.seconds for script in graph.scripts)
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = play(graph, seed, Calm(script={number: fault}))
            cut = f"{fault.value} operation {number} of {clean.operations}"
            assert killed.faults.total() == 1, cut
            assert killed.statuses == clean.statuses, cut
            assert killed.verdicts == clean.verdicts or not decided, cut
            assert killed.ended_at[0] <= latest, cut


def test_killed_again_while_it_recovers() -> None:
    graph = diamond()
    clean = play(graph, 7, Calm())
    for first in range(0, clean.operations, 2):
        for later in range(1, 12, 2):
            twice = play(graph, 7, Calm(script={first: DEADLY[0], first + later: DEADLY[1]}))
            assert twice.statuses == clean.statuses, (first, first + later)


@pytest.mark.parametrize("hosts", [1, 4])
@pytest.mark.parametrize("seconds", [0.5, 8.0, 20.0, 50.0])
def test_a_step_that_kills_its_process_each_time_fails_alone(seconds: float, hosts: int) -> None:
    """What runs beside it dies with it, again and again, and is run again, but not failed."""
    culprit = Script(seconds=10.0, crashes=ALWAYS)
    graph = scripted(fan(4, Script(seconds=seconds)), {0: Script(), 2: culprit, 5: Script()}, keep_going=True)
    for seed in range(5):
        simulation = Simulation(seed, Setting(graphs=[graph], hosts=hosts))
        report = simulation.run()
        record = simulation.records[0]
        assert report.statuses == (RunStatus.FAILED,)
        assert record.head is not None
        assert (list(bits(record.head.done)), list(bits(record.head.failed))) == ([0, 1, 3, 4], [2])
        assert record.executions[2] == CRASH_BUDGET
        assert report.ended_at[0] <= 120.0 + CRASH_BUDGET * culprit.seconds + 4 * seconds


def test_a_message_given_up_by_the_host_fails_its_step() -> None:
    """Five deliveries die in five processes: the host moves the message to the poison queue."""
    graph = scripted(chain(2), {0: Script(seconds=4.0, crashes=ALWAYS)})
    simulation = Simulation(3, Setting(graphs=[graph]))
    report = simulation.run()
    assert report.statuses == (RunStatus.FAILED,)
    assert report.poisoned == 1
    assert simulation.records[0].executions[0] == CRASH_BUDGET


def test_without_a_kill_nothing_is_done_twice() -> None:
    for graph in SHAPES:
        if not any(script.crashes for script in graph.scripts):
            report = play(replace(graph, keep_going=True), 7, Calm())
            tries = sum(1 + min(script.failures, script.retries) for script in graph.scripts)
            skipped = report.verdicts[0][2].bit_count()
            assert report.executions == tries - skipped, graph.name
            assert report.takeovers == report.executions - report.commits, graph.name
