"""F4: every message twice. I11: any message never. F5: those who come back from the dead."""

from __future__ import annotations

import pytest

from orchestrator.core.states import RunStatus
from orchestrator.ports import Send
from tests.simulation.faults import Calm, Fault
from tests.simulation.graphs import Graph, Script, chain, diamond, fan, layers, scripted
from tests.simulation.kinds import RECEIVE
from tests.simulation.simulation import Report, Setting, Simulation, simulate

GRAPHS = (chain(10), diamond(), fan(20), fan(20, Script(seconds=40.0)), layers(5, 5))


def transactions(report: Report) -> int:
    """Without receives, and without the sweep, which looks as often as the world lasts."""
    return sum(count for kind, count in report.counts.items() if kind not in (RECEIVE, "sweep"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hosts", [1, 4])
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_every_message_twice_changes_nothing(graph: Graph, hosts: int, seed: int) -> None:
    once = simulate(seed, Setting(graphs=[graph], hosts=hosts))
    twice = simulate(seed, Setting(graphs=[graph], hosts=hosts, faults=Calm(duplicate=1.0)))
    assert twice.duplicated == len(graph.parents)
    assert (twice.statuses, twice.verdicts) == (once.statuses, once.verdicts)
    assert twice.commits == twice.executions == once.commits == len(graph.parents)
    assert twice.takeovers == 0
    if hosts == 1:  # on several hosts a duplicate may be the first message that a process sees of the run
        assert transactions(twice) - transactions(once) <= 3 * twice.duplicated


@pytest.mark.parametrize(
    "graph", [diamond(), layers(3, 3), scripted(diamond(), {1: Script(failures=1, retries=1)})], ids=lambda g: g.name
)
def test_no_wake_up_depends_on_a_single_message(graph: Graph) -> None:
    clean = Simulation(5, Setting(graphs=[graph]))
    clean.around.remember_all()
    ended_at = clean.run().ended_at[0]
    puts = [what[0] for _, _, _, what in clean.around.trace if isinstance(what, tuple) and isinstance(what[1], Send)]
    assert len(puts) == len(graph.parents) + any(script.failures for script in graph.scripts)
    for number in puts:
        report = simulate(5, Setting(graphs=[graph], faults=Calm(script={number: Fault.MESSAGE_LOST})))
        assert report.faults == {Fault.MESSAGE_LOST.value: 1}
        assert report.statuses == (RunStatus.COMPLETED,)
        assert report.ended_at[0] <= ended_at + 150.0


@pytest.mark.parametrize("fault", [Fault.FREEZE_BEFORE, Fault.FREEZE_AFTER])
def test_a_zombie_is_fenced(fault: Fault) -> None:
    """Frozen at any of its operations for up to 400 s; a neighbour takes over; then it wakes up and goes on."""
    graph = scripted(diamond(), {2: Script(seconds=45.0)})
    fenced = 0
    for seed in range(3):
        clean = simulate(seed, Setting(graphs=[graph], hosts=2))
        for number in range(clean.operations):
            simulation = Simulation(seed, Setting(graphs=[graph], hosts=2, faults=Calm(script={number: fault})))
            report = simulation.run()
            assert report.statuses == (RunStatus.COMPLETED,)
            assert report.commits == len(graph.parents)
            fenced += report.fenced
    assert fenced >= 10
