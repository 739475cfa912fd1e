"""Random worlds: what a seed makes of hosts, graphs, clocks and faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tests.simulation.faults import Storm
from tests.simulation.graphs import (
    Graph,
    Script,
    chain,
    hurried,
    nesting,
    random_conditional,
    random_crowd,
    random_graph,
    random_nesting,
    random_remote,
)
from tests.simulation.simulation import Setting

WEBHOOK_DELAYS = (5.0, 30.0, 60.0, 120.0, 240.0, 480.0)


def stormy(seed: int) -> Setting:
    """The world of this seed: the same at every call. In half of them there are webhooks."""
    return _with_webhooks(_without(seed), Random(f"webhooks {seed}"))


def _with_webhooks(setting: Setting, random: Random) -> Setting:
    if random.random() < 0.5:
        return setting
    engine = replace(setting.engine, webhook_queue="millstream-webhooks", webhook_delays=WEBHOOK_DELAYS)
    return replace(setting, engine=engine, webhooks=random.choice((0, 1, 3)), refusals=random.choice((0, 0, 1, 4)))


def _without(seed: int) -> Setting:
    random = Random(f"weather {seed}")
    if random.random() < 0.5:
        crowds = [random_crowd(random) for _ in range(random.choice((1, 2, 4)))]
        setting = _world(random, crowds, hosts=random.randint(3, 6))
        return replace(setting, batch=random.choice((1, 4)), polling=0.02)
    graphs = [random_graph(random) for _ in range(random.choice((1, 2, 4, 8)))]
    return _world(random, graphs, hosts=random.randint(1, 6))


def sharing(seed: int) -> Setting:
    """A storm over several runs whose steps may take each other's outputs, and wait for each other."""
    random = Random(f"sharing {seed}")
    make = random_crowd if random.random() < 0.3 else random_graph
    graph = replace(make(random), family="shared")
    graphs = [graph] * random.choice((2, 3, 8))
    if random.random() < 0.3:
        graphs.append(replace(make(random), family="shared"))
    return _world(random, graphs, hosts=random.randint(1, 6))


def nested(seed: int) -> Setting:
    """A storm over runs whose steps become runs of their own, and may take each other's outputs."""
    random = Random(f"nested {seed}")
    graphs = [random_nesting(random) for _ in range(random.choice((1, 2, 3)))]
    if random.random() < 0.3:
        graphs = [replace(graphs[0], family="shared")] * 2
    # What the sweep has to mend, it mends in one run after the other: from the innermost to the outermost.
    return replace(_world(random, graphs, hosts=random.randint(1, 5)), settle=1800.0)


def outliving(seed: int) -> Setting:
    """A short storm over runs that are cancelled while what their steps have become goes on for long."""
    random = Random(f"outliving {seed}")
    inner = chain(12, Script(seconds=random.uniform(30.0, 100.0)))
    graph = nesting(chain(2), {random.randint(0, 1): nesting(chain(1), {0: inner}) if random.random() < 0.5 else inner})
    setting = _world(random, [graph], hosts=random.randint(1, 3))
    return replace(setting, storm=random.uniform(50, 300), cancel_at=(random.uniform(0, 120),), settle=1800.0)


def remote(seed: int) -> Setting:
    """A storm over runs for some of whose steps a service works; in some, others take what it has made."""
    random = Random(f"remote {seed}")
    graphs = [random_remote(random) for _ in range(random.choice((1, 2, 3)))]
    if random.random() < 0.3:
        graphs = [replace(graphs[0], family="shared")] * 2
    if random.random() < 0.2:
        graphs = [nesting(chain(2), {random.randint(0, 1): graphs[0]})]
    setting = _world(random, graphs, hosts=random.randint(1, 4))
    cancel_at = [random.choice((None, random.uniform(0, 100), random.uniform(0, 900))) for _ in graphs]
    return replace(setting, cancel_at=cancel_at, settle=1200.0)


def forgetful(seed: int) -> Setting:
    """As `remote`, where every other message is lost."""
    return replace(remote(seed), faults=Storm(Random(f"forgetful {seed}"), lost=0.5))


def hurrying(seed: int) -> Setting:
    """A storm over nested runs, with windows, whose steps have priorities."""
    setting = nested(seed)
    random = Random(f"hurrying {seed}")
    return replace(setting, graphs=[hurried(random, graph) for graph in setting.graphs])


def conditional(seed: int) -> Setting:
    """A storm over runs some of whose steps are skipped for their conditions."""
    random = Random(f"conditional {seed}")
    graphs = [random_conditional(random) for _ in range(random.choice((1, 2, 4)))]
    return _world(random, graphs, hosts=random.randint(1, 5))


def _world(random: Random, graphs: Sequence[Graph], *, hosts: int) -> Setting:
    return Setting(
        graphs=graphs,
        hosts=hosts,
        faults=Storm(random),
        skews=[random.choice((0.0, random.uniform(-600, 600))) for _ in range(hosts)],
        storm=random.uniform(100, 1000),
        start_spread=random.choice((0.0, 30.0, 300.0)),
        double_starts=random.choice((0.0, 0.5)),
        cancel_at=[random.choice((None, None, random.uniform(0, 100))) for _ in graphs],
        double_sweeps=random.choice((0.0, 0.3)),
        polling=random.choice((0.02, 0.1, 2.0)),
        batch=random.choice((1, 4, 16)),
        rows_a_page=random.choice((2, 5, 1000)),
        latency=random.choice(((0.002, 0.010), (0.002, 0.010), (0.005, 0.200))),
        preempted=random.choice((0.0, 0.05)),
    )
