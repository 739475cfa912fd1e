"""Steps that are skipped for their condition, whatever dies, freezes or is lost on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from orchestrator.core.plan import bits
from orchestrator.core.states import ClaimState, RunStatus
from tests.simulation.faults import AMBIGUOUS, DEADLY, Calm, Fault
from tests.simulation.graphs import Graph, chain, diamond, fan
from tests.simulation.simulation import Report, Setting, Simulation, simulate
from tests.simulation.weather import conditional

SEEDS = 60
SHAPES = (
    replace(chain(4), name="a chain that ends early", skips={1: True}),
    replace(diamond(), name="one way or the other", skips={1: True, 2: False}, tolerant=frozenset({3})),
    replace(fan(5), name="some of a fan", skips={2: True, 4: True, 5: False}, tolerant=frozenset({6})),
    replace(chain(3), name="all hold", skips={1: False, 2: False}),
)


def play(graph: Graph, faults: Calm | None = None) -> Report:
    return simulate(7, Setting(graphs=[graph], hosts=2, faults=faults or Calm(), restart_after=(5.0, 5.0)))


@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_the_run_completes_with_what_its_conditions_leave(graph: Graph) -> None:
    simulation = Simulation(1, Setting(graphs=[graph]))
    report = simulation.run()
    assert report.statuses == (RunStatus.COMPLETED,)
    assert report.verdicts == (graph.verdicts,)
    claims = simulation.records[0].claims
    told = {step for step, claim in claims.items() if claim.state is ClaimState.SKIPPED}
    assert told == {step for step, skipped in graph.skips.items() if skipped}
    assert report.executions == len(list(bits(graph.verdicts[0])))


def test_what_waits_for_a_skipped_step_is_skipped_unless_it_does_not_mind() -> None:
    assert play(SHAPES[0]).verdicts == ((0b0001, 0, 0b1110),)
    assert play(SHAPES[1]).verdicts == ((0b1101, 0, 0b0010),)


@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_killed_before_and_after_every_operation(graph: Graph) -> None:
    clean = play(graph)
    for number in range(clean.operations):
        for fault in (*DEADLY, *AMBIGUOUS, Fault.FREEZE_AFTER):
            killed = play(graph, Calm(script={number: fault}))
            cut = f"{fault.value} operation {number} of {clean.operations}"
            assert (killed.statuses, killed.verdicts) == (clean.statuses, clean.verdicts), cut


def test_storms_over_conditions() -> None:
    reports = [simulate(seed, conditional(seed)) for seed in range(SEEDS)]
    statuses = Counter(status for report in reports for status in report.statuses)
    assert min(statuses[status] for status in (RunStatus.COMPLETED, RunStatus.CANCELED)) >= 10
