"""Reuse under faults: work is done once, whoever needs it; nobody waits for the dead; nothing is taken that is gone."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.core import decision as decisions
from orchestrator.core.decision import Action
from orchestrator.core.states import RunStatus
from tests.simulation.faults import DEADLY, Calm
from tests.simulation.graphs import ALWAYS, Graph, Script, chain, diamond, fan, layers, scripted, shared
from tests.simulation.kinds import RECEIVE
from tests.simulation.simulation import Report, Setting, Simulation, simulate
from tests.simulation.weather import sharing

SEEDS = 200


SHAPES = tuple(
    map(shared, (chain(4), diamond(), fan(5), layers(3, 3), chain(3, data=False), chain(2, Script(seconds=50.0))))
)


def actions(simulation: Simulation, run: int) -> list[Action]:
    claims = simulation.records[run].claims
    return [decisions.decode(claims[step].decision).action for step in sorted(claims)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_eight_runs_at_once_do_the_work_once(graph: Graph, seed: int) -> None:
    """Single flight: whoever comes second waits, and takes what the first has made."""
    report = simulate(seed, Setting(graphs=[graph] * 8, hosts=4, start_spread=0.5))
    assert report.statuses == (RunStatus.COMPLETED,) * 8
    assert report.executions == len(graph.parents)
    assert report.commits == 8 * len(graph.parents)


@pytest.mark.parametrize("graph", [shared(chain(50)), shared(layers(10, 5)), shared(fan(100))], ids=lambda g: g.name)
def test_a_run_in_which_nothing_has_changed_costs_little(graph: Graph) -> None:
    """Fewer than two transactions a step, all of the run's own counted, receives apart."""
    simulation = Simulation(3, Setting(graphs=[graph] * 2, hosts=2, start_at=(0.0, 100.0)))
    counts = Counter[str]()
    simulation.loop.after(99.0, lambda: counts.subtract(simulation.storage.counts))
    report = simulation.run()
    assert report.executions == len(graph.parents)
    counts.update(report.counts)
    costs = sum(count for kind, count in counts.items() if kind not in (RECEIVE, "sweep"))
    assert costs < 2 * len(graph.parents)


def test_what_is_gone_is_made_again_in_the_same_run() -> None:
    """F12: an entry whose blobs are gone is dropped, its step runs, what follows from it is reused."""
    graph = shared(chain(4))
    simulation = Simulation(1, Setting(graphs=[graph] * 3, start_at=(0.0, 100.0, 200.0)))
    uploaded = simulation.storage.checker.uploaded

    def lose() -> None:
        uploaded.difference_update([prefix for prefix in uploaded if "/s00001/" in prefix])

    simulation.loop.after(50.0, lose)
    report = simulation.run()
    assert report.statuses == (RunStatus.COMPLETED,) * 3
    assert actions(simulation, 1) == [Action.REUSE, Action.RUN, Action.REUSE, Action.REUSE]
    assert actions(simulation, 2) == [Action.REUSE] * 4
    claim = simulation.records[1].claims[1]
    (reason,) = decisions.decode(claim.decision).reasons
    assert reason.code == "gone"


def test_a_rerun_keeps_what_was_finished() -> None:
    graph = scripted(fan(3, Script(seconds=1.0)), {2: Script(failures=ALWAYS)}, keep_going=True)
    simulation = Simulation(1, Setting(graphs=[graph] * 2, start_at=(0.0, 100.0), reruns={1: 0}))
    report = simulation.run()
    assert report.statuses == (RunStatus.FAILED,) * 2
    assert report.verdicts[0] == report.verdicts[1]
    assert simulation.records[1].executions == {2: 1}


def test_a_failure_is_not_shared() -> None:
    """Each run that needs the step tries it: only what was made serves others."""
    graph = shared(scripted(chain(2), {0: Script(seconds=5.0, failures=ALWAYS)}))
    report = simulate(2, Setting(graphs=[graph] * 3, hosts=2))
    assert report.statuses == (RunStatus.FAILED,) * 3
    assert report.executions == 3


def play(graph: Graph, seed: int, faults: Calm) -> Report:
    return simulate(seed, Setting(graphs=[graph] * 2, hosts=2, faults=faults, restart_after=(5.0, 5.0)))


@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_killed_before_and_after_every_operation_two_runs_end_as_they_should(graph: Graph) -> None:
    clean = play(graph, 7, Calm())
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = play(graph, 7, Calm(script={number: fault}))
            cut = f"{fault.value} operation {number} of {clean.operations}"
            assert killed.statuses == clean.statuses, cut
            assert killed.verdicts == clean.verdicts, cut
            latest = max(clean.ended_at) + 300.0 + max(script.seconds for script in graph.scripts)
            assert max(killed.ended_at) <= latest, cut


def test_storms_over_runs_that_share_their_work() -> None:
    reports = [simulate(seed, sharing(seed)) for seed in range(SEEDS)]
    statuses = Counter(status for report in reports for status in report.statuses)
    assert min(statuses[status] for status in RunStatus if status.terminal) >= 30
    taken = sum(report.commits - report.executions for report in reports)
    assert taken >= 500
