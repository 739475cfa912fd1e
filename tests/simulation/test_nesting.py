"""Steps that become runs of their own, whatever dies, freezes or is lost on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from orchestrator.core.states import RunStatus
from tests.simulation.faults import AMBIGUOUS, DEADLY, Calm, Fault
from tests.simulation.graphs import ALWAYS, Graph, Script, chain, diamond, fan, flat, nesting, scripted, shared
from tests.simulation.simulation import Report, Setting, Simulation, simulate
from tests.simulation.weather import nested, outliving

SEEDS = 60
PARTS = flat(4, window=2)
TWO_DEEP = nesting(chain(2), {1: flat(2)})
SHAPES = (
    nesting(chain(1), {0: PARTS}),
    nesting(chain(3), {1: PARTS}),
    nesting(diamond(), {1: chain(2), 2: TWO_DEEP}),
    nesting(scripted(chain(2), {0: Script(failures=1, retries=1)}), {0: flat(2)}),
    nesting(chain(2), {0: scripted(flat(3), {1: Script(failures=ALWAYS)}, keep_going=True)}),
)


def play(graph: Graph, faults: Calm | None = None, *, cancel_at: float | None = None) -> Report:
    setting = Setting(
        graphs=[graph], hosts=2, faults=faults or Calm(), restart_after=(5.0, 5.0), cancel_at=(cancel_at,)
    )
    return simulate(7, setting)


def children(simulation: Simulation) -> list[str]:
    return [run for run, record in simulation.storage.checker.runs.items() if record.parent is not None]


def test_a_step_becomes_a_run_and_ends_with_it() -> None:
    simulation = Simulation(1, Setting(graphs=[SHAPES[2]]))
    report = simulation.run()
    assert report.statuses == (RunStatus.COMPLETED,)
    assert len(children(simulation)) == 3
    assert report.executions == 4 + 2 + (2 + 2) + 3  # each composite step is executed twice


def test_a_child_that_fails_fails_its_step() -> None:
    report = play(SHAPES[4])
    assert report.statuses == (RunStatus.FAILED,)
    assert report.verdicts == ((0b00, 0b01, 0b10),)


def test_a_retry_becomes_another_run() -> None:
    simulation = Simulation(1, Setting(graphs=[SHAPES[3]]))
    assert simulation.run().statuses == (RunStatus.COMPLETED,)
    assert len(children(simulation)) == 2


def test_nothing_is_paid_while_a_step_waits() -> None:
    """The sweep looks after both runs once a minute; else a child of an hour costs what one of a minute does."""
    short, long = (play(nesting(chain(1), {0: chain(1, Script(seconds=seconds))})) for seconds in (20.0, 4000.0))
    for kind in ("put", "claim", "take over", "commit", "delete", "start", "index", "document"):
        assert long.counts[kind] == short.counts[kind], kind
    reads = sum(long.counts[kind] - short.counts[kind] for kind in ("head read", "input read", "combine query"))
    beats = 4000 / 30  # of the child's own step, each with a look whether the run is over
    assert reads - 2 * beats <= 10 * 4000 / 60


@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_killed_before_and_after_every_operation_it_ends_as_it_should(graph: Graph) -> None:
    clean = play(graph)
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = play(graph, Calm(script={number: fault}))
            cut = f"{fault.value} operation {number} of {clean.operations}"
            assert killed.statuses == clean.statuses, cut
            assert killed.verdicts == clean.verdicts, cut
            assert max(killed.ended_at) <= max(clean.ended_at) + 400.0, cut


@pytest.mark.parametrize("fault", [*AMBIGUOUS, Fault.UNAVAILABLE, Fault.FREEZE_AFTER, Fault.FREEZE_BEFORE])
def test_whatever_is_lost_it_ends_as_it_should(fault: Fault) -> None:
    clean = play(SHAPES[1])
    for number in range(clean.operations):
        lossy = play(SHAPES[1], Calm(script={number: fault}))
        assert (lossy.statuses, lossy.verdicts) == (clean.statuses, clean.verdicts), f"{fault.value} {number}"


@pytest.mark.parametrize("moment", [0.5, 1.0, 2.0, 3.0, 5.0, 20.0, 40.0])
def test_a_cancelled_run_takes_its_children_along(moment: float) -> None:
    slow = Script(seconds=60.0)
    graph = nesting(chain(2), {0: nesting(flat(2), {1: flat(3, slow)})})
    simulation = Simulation(3, Setting(graphs=[graph], cancel_at=(moment,)))
    report = simulation.run()
    assert report.statuses == (RunStatus.CANCELED,)
    heads = [simulation.storage.checker.runs[run].head for run in children(simulation)]
    assert all(head is not None and head.status is RunStatus.CANCELED for head in heads)
    assert report.ended_at[0] <= moment + 90.0


def test_killed_while_it_cancels() -> None:
    graph = nesting(chain(1), {0: nesting(flat(2), {1: flat(3, Script(seconds=100.0))})})
    clean = play(graph, cancel_at=30.0)
    assert clean.statuses == (RunStatus.CANCELED,)
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = play(graph, Calm(script={number: fault}), cancel_at=30.0)
            assert killed.statuses == clean.statuses, f"{fault.value} operation {number} of {clean.operations}"


@pytest.mark.parametrize("width", [1, 3, 7])
def test_a_window_is_never_exceeded_in_peace(width: int) -> None:
    simulation = Simulation(5, Setting(graphs=[flat(20, Script(seconds=7.0), window=width)], hosts=3))
    report = simulation.run()
    assert report.statuses == (RunStatus.COMPLETED,)
    assert simulation.records[0].most_in_flight == width


def test_runs_with_nested_steps_take_each_others_outputs() -> None:
    inner = shared(flat(5, Script(seconds=2.0), window=2))
    graph = replace(shared(chain(3)), composites={1: inner})
    report = simulate(1, Setting(graphs=[graph] * 3, start_at=(0.0, 100.0, 200.0)))
    assert report.statuses == (RunStatus.COMPLETED,) * 3
    assert report.executions == 2 + 2 + 5


def test_a_window_does_not_keep_what_is_reused_waiting() -> None:
    graph = shared(flat(60, Script(seconds=1.0), window=4))
    report = simulate(1, Setting(graphs=[graph] * 2, start_at=(0.0, 300.0)))
    assert report.statuses == (RunStatus.COMPLETED,) * 2
    assert report.executions == 60


@pytest.mark.parametrize("limit", [100.0, 500.0])
def test_a_step_that_becomes_many_fails_in_time(limit: float) -> None:
    inner = nesting(chain(2), {1: chain(20, Script(seconds=50.0))})
    graph = replace(nesting(chain(2), {0: inner}), limits={0: limit})
    simulation = Simulation(4, Setting(graphs=[graph]))
    report = simulation.run()
    assert report.verdicts == ((0, 0b01, 0b10),)
    assert limit <= report.ended_at[0] <= limit + 90.0  # the sweep notices
    heads = [simulation.storage.checker.runs[run].head for run in children(simulation)]
    assert all(head is not None and head.status is RunStatus.CANCELED for head in heads)


def test_a_step_becomes_one_run_after_another() -> None:
    graph = replace(nesting(chain(2), {0: flat(2)}), rounds={0: 3})
    simulation = Simulation(1, Setting(graphs=[graph]))
    report = simulation.run()
    assert report.statuses == (RunStatus.COMPLETED,)
    assert len(children(simulation)) == 3
    assert report.executions == 4 + 3 * 2 + 1


@pytest.mark.parametrize(
    "graph",
    [
        replace(nesting(chain(1), {0: chain(3, Script(seconds=50.0))}), limits={0: 70.0}),
        replace(nesting(chain(2), {0: flat(2)}), rounds={0: 2}),
    ],
    ids=["too long", "twice"],
)
def test_killed_beyond_its_time_and_between_its_rounds(graph: Graph) -> None:
    clean = play(graph)
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = play(graph, Calm(script={number: fault}))
            assert killed.verdicts == clean.verdicts, f"{fault.value} operation {number} of {clean.operations}"


def test_storms_over_runs_that_go_on_below_an_ended_one() -> None:
    """The simulation asks that nothing starts in them any more."""
    for seed in range(SEEDS // 2):
        simulate(seed, outliving(seed))


def test_storms_over_nested_runs() -> None:
    reports = [simulate(seed, nested(seed)) for seed in range(SEEDS)]
    statuses = Counter(status for report in reports for status in report.statuses)
    assert min(statuses[status] for status in RunStatus if status.terminal) >= 5


def test_a_fan_has_its_window_too() -> None:
    graph = replace(fan(30, Script(seconds=3.0)), window=5)
    simulation = Simulation(2, Setting(graphs=[graph], hosts=4))
    assert simulation.run().statuses == (RunStatus.COMPLETED,)
    assert simulation.records[0].most_in_flight == 5
