"""Steps with priorities, in runs with windows, through storms: each goes by its queue, and every step's turn comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from orchestrator.core.compute import urgent_of
from orchestrator.core.states import RunStatus
from tests.simulation.graphs import Script, flat
from tests.simulation.simulation import Setting, Simulation, simulate
from tests.simulation.weather import hurrying

SEEDS = 40


def test_every_run_ends_as_it_should() -> None:
    """The rules, that of the queues among them, are checked by the simulation."""
    reports = [simulate(seed, hurrying(seed)) for seed in range(SEEDS)]
    statuses = Counter(status for report in reports for status in report.statuses)
    assert min(statuses[status] for status in RunStatus if status.terminal) >= 5


def test_a_window_opens_for_the_urgent_ones_first_and_for_all_in_the_end() -> None:
    graph = replace(flat(6, Script(seconds=1.0), window=2), priorities={5: 7, 4: 7, 0: -1})
    simulation = Simulation(3, Setting(graphs=[graph]))
    sent: list[tuple[int, str]] = []
    simulation.storage.checker.sent = lambda message, queue: sent.append((message.position, queue))  # type: ignore[method-assign]
    assert simulation.run().statuses == (RunStatus.COMPLETED,)
    main = simulation.setting.engine.queue
    assert sent[:2] == [(4, urgent_of(main)), (5, urgent_of(main))]
    assert sorted(step for step, queue in sent[2:] if queue == main) == [0, 1, 2, 3]
    assert sent[-1] == (0, main)
