"""F14: 10,000 steps, and a fan-in of 1,000 on 50 hosts."""

from __future__ import annotations

from orchestrator.core.states import RunStatus
from orchestrator.engine.rows import HEAD, RUNS, head_props
from tests.simulation.graphs import Graph, Script, chain, fan, layers
from tests.simulation.kinds import RECEIVE
from tests.simulation.simulation import Report, Setting, Simulation

HALF_A_SECOND = Script(seconds=0.5)


def play(graph: Graph, hosts: int) -> tuple[Simulation, Report]:
    simulation = Simulation(3, Setting(graphs=[graph], hosts=hosts, polling=0.1, latency=(0.002, 0.004), settle=3600.0))
    report = simulation.run()
    assert report.statuses == (RunStatus.COMPLETED,)
    assert report.executions == report.commits == len(graph.parents)
    return simulation, report


def per_step(report: Report) -> float:
    """Transactions a step, receives apart."""
    return sum(count for kind, count in report.counts.items() if kind != RECEIVE) / report.commits


def test_ten_thousand_steps_cost_as_much_a_step_as_a_tenth_of_them() -> None:
    _, small = play(layers(100, 10, HALF_A_SECOND, reach=3, data=False), 8)
    simulation, large = play(layers(100, 100, HALF_A_SECOND, reach=3, data=False), 8)
    assert large.commits == 10_000
    assert per_step(large) <= 6.5
    assert per_step(large) <= 1.05 * per_step(small)
    record = simulation.records[0]
    assert record.head is not None
    assert all(len(value) <= 64 * 1024 for value in head_props(record.head).values() if isinstance(value, bytes))
    assert HEAD in simulation.storage.account.tables.partition(RUNS, "run0")


def test_a_fan_in_of_a_thousand_on_fifty_hosts() -> None:
    _, report = play(fan(1000, HALF_A_SECOND, data=False), 50)
    assert per_step(report) <= 6.5


def test_a_queue_that_is_long_is_not_made_longer() -> None:
    """The sweep cannot tell a message that waits from one that is lost: it sends again, but with patience."""
    _, report = play(fan(200, Script(seconds=300.0), data=False), 1)
    assert report.takeovers == 0
    assert report.counts["put"] <= 7 * report.commits


def test_what_passes_between_steps_costs_little() -> None:
    """With data on the edges the results of the producers are read as well."""
    for graph, hosts in ((chain(200), 1), (chain(200), 8), (fan(300), 8), (layers(40, 10), 8)):
        _, report = play(graph, hosts)
        assert per_step(report) <= 6.5, (graph.name, hosts)
