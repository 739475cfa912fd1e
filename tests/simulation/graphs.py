"""Pipelines of many shapes, and a script for each step: how long it takes and how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random

from orchestrator.core import definition as definitions
from orchestrator.core.definition import Condition, Definition, Input, Literal, Output, PropertyOf, Step, StepSource
from orchestrator.core.plan import Plan, bits
from orchestrator.core.retry import CRASH_BUDGET, RetryPolicy

ALWAYS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What the user's code does: it takes `seconds`, fails the first `failures` tries, and kills its process in the
    first `crashes` executions. `size` is the bytes of its result's metrics. `remote`: after that, a service works for
    so many seconds, in each try; 0: there is none."""

    seconds: float = 0.05
    failures: int = 0
    crashes: int = 0
    retries: int = 0
    size: int = 0
    remote: float = 0.0

    @property
    def away(self) -> float:
        """Seconds that services work for it, every try counted, with the longest pause before a look that sees it."""
        return (self.remote + 120.0) * (1 + min(self.failures, self.retries)) if self.remote else 0.0

    @property
    def work(self) -> float:
        """Seconds, every try counted."""
        return self.seconds * (1 + self.crashes + min(self.failures, self.retries))

    @property
    def succeeds(self) -> bool:
        return self.failures <= self.retries and self.crashes < CRASH_BUDGET


@dataclass(frozen=True)
class Graph:
    """A pipeline and the scripts of its steps. With `data`, edges carry outputs; without, they only order.

    `family`: steps of graphs of one family take each other's outputs, if place and script are the same; "": none do.
    `skips`: steps with a condition on the step before them, and whether it skips them; `tolerant` ones run even after
    such a step. `priorities` of steps that have one; `priority`: of a run of it. `composites`: steps that become runs
    of other graphs, with the graph's `window`; they succeed if all of that does. `rounds`: how often one after the
    other, where that is not once. `limits`: the seconds that such steps may take, which are too few for them.
    """

    name: str
    parents: tuple[tuple[int, ...], ...]
    scripts: tuple[Script, ...]
    keep_going: bool = False
    data: bool = True
    retry_delay: float = 3.0
    family: str = ""
    composites: Mapping[int, Graph] = field(default_factory=dict)
    rounds: Mapping[int, int] = field(default_factory=dict)
    limits: Mapping[int, float] = field(default_factory=dict)
    window: int = 0
    skips: Mapping[int, bool] = field(default_factory=dict)
    tolerant: frozenset[int] = frozenset()
    priorities: Mapping[int, int] = field(default_factory=dict)
    priority: int = 0

    @cached_property
    def document(self) -> bytes:
        steps = tuple(self._step(position) for position in range(len(self.parents)))
        return definitions.encode(Definition(name=self.name, steps=steps))

    @cached_property
    def plan(self) -> Plan:
        return Plan(address=definitions.address(self.document), definition=definitions.decode(self.document))

    def _step(self, position: int) -> Step:
        above = self.parents[position]
        sources = above if self.data else ()
        return Step(
            id=_id(position),
            name=_id(position),
            kind=self._kind(position),
            arguments=(Literal(value=f"{self.family} {position} {self.scripts[position]}"),),
            allow_reuse=bool(self.family),
            inputs=tuple(
                Input(name=f"in_{_id(parent)}", source=StepSource(step=_id(parent), output="out")) for parent in sources
            ),
            outputs=(Output(name="out"),),
            run_after=() if self.data else tuple(_id(parent) for parent in above),
            condition=self._condition(position),
            after_skipped=position in self.tolerant,
            timeout_seconds=self.limits.get(position),
            retry=RetryPolicy(max_retries=self.scripts[position].retries, delay_seconds=self.retry_delay),
            priority=self.priorities.get(position),
        )

    def _kind(self, position: int) -> str:
        if position in self.composites:
            return "pipeline"
        return "databricks" if self.scripts[position].remote else "python_script"

    def _condition(self, position: int) -> Condition | None:
        if position not in self.skips:
            return None
        value = PropertyOf(step=_id(self.parents[position][0]), name="made")
        return Condition(value=value, operator="==", than="no" if self.skips[position] else "yes")

    @cached_property
    def longest(self) -> float:
        """Seconds of work on the longest path, with every try and the pauses between them."""
        ends: list[float] = []
        for position, script in enumerate(self.scripts):
            own = script.work + script.away + sum(self.retry_delay * 2.0**n for n in range(script.retries))
            if (inner := self.composites.get(position)) is not None:
                own += inner.longest * (1 + script.retries) * self.rounds.get(position, 1) + script.seconds
            ends.append(own + max((ends[parent] for parent in self.parents[position]), default=0.0))
        return max(ends)

    @cached_property
    def work(self) -> float:
        """Seconds that one worker would need for all of it."""
        own = sum(script.work for script in self.scripts)
        tries = {at: (1 + self.scripts[at].retries) * self.rounds.get(at, 1) for at in self.composites}
        return own + sum(
            (inner.work + self.scripts[position].work) * tries[position] for position, inner in self.composites.items()
        )

    def succeeds(self, position: int) -> bool:
        """Whether the step does when nothing else goes wrong."""
        inner = self.composites.get(position)
        whole = inner is None or inner.verdicts[0] == inner.plan.everything
        return whole and position not in self.limits and self.scripts[position].succeeds

    @cached_property
    def verdicts(self) -> tuple[int, int, int]:
        """The sets of steps done, failed and skipped when nothing else goes wrong and the run keeps going."""
        done = failed = skipped = passed_over = 0
        for position in range(len(self.scripts)):
            above, bit = self.plan.parents[position], 1 << position
            met = done | passed_over if position in self.tolerant else done
            if above & ~met:
                skipped |= bit
                passed_over |= 0 if above & (failed | skipped & ~passed_over) else bit
            elif position in self.skips and (self.skips[position] or passed_over >> self.parents[position][0] & 1):
                skipped |= bit
                passed_over |= bit
            elif self.succeeds(position):
                done |= bit
            else:
                failed |= bit
        return done, failed, skipped


def _id(position: int) -> str:
    return f"s{position:05d}"


def of(name: str, parents: Sequence[Sequence[int]], script: Script | None = None, *, data: bool = True) -> Graph:
    """A graph whose steps all have the same script. Parents come before their children."""
    rows = tuple(tuple(row) for row in parents)
    return Graph(name=name, parents=rows, scripts=(script or Script(),) * len(rows), data=data)


def chain(length: int, script: Script | None = None, *, data: bool = True) -> Graph:
    return of(f"chain {length}", [[n - 1] if n else [] for n in range(length)], script, data=data)


def diamond() -> Graph:
    return of("diamond", [[], [0], [0], [1, 2]])


def fan(width: int, script: Script | None = None, *, data: bool = True) -> Graph:
    """1 -> width -> 1."""
    rows = [[], *([0] for _ in range(width)), list(range(1, width + 1))]
    return of(f"fan {width}", rows, script, data=data)


def layers(
    width: int, depth: int, script: Script | None = None, *, reach: int | None = None, data: bool = True
) -> Graph:
    """`depth` layers of `width` steps. Each waits for `reach` neighbours in the layer above (None: for all of it)."""
    rows: list[list[int]] = []
    for layer in range(depth):
        above = (layer - 1) * width
        for place in range(width):
            near = range(width) if reach is None else [(place + step) % width for step in range(reach)]
            rows.append([above + n for n in near] if layer else [])
    name = f"layers {width}x{depth}" if reach is None else f"layers {width}x{depth}, {reach} parents"
    return of(name, rows, script, data=data)


def scripted(graph: Graph, scripts: dict[int, Script], *, keep_going: bool = False) -> Graph:
    """The graph with other scripts for some steps."""
    listed = tuple(scripts.get(position, script) for position, script in enumerate(graph.scripts))
    return replace(graph, name=f"{graph.name} scripted", scripts=listed, keep_going=keep_going)


def flat(width: int, script: Script | None = None, *, window: int = 0) -> Graph:
    """Steps that do not wait for each other."""
    return replace(of(f"flat {width}", [[]] * width, script), window=window, keep_going=True)


def shared(graph: Graph) -> Graph:
    """The graph with steps that take each other's outputs."""
    return replace(graph, family="shared")


def nesting(graph: Graph, composites: dict[int, Graph]) -> Graph:
    """The graph with steps that become others."""
    return replace(graph, name=f"{graph.name} nesting", composites=composites)


SECONDS = (0.02, 0.3, 2.0, 20.0, 70.0, 200.0)


def random_graph(random: Random, most_steps: int = 12) -> Graph:
    """Any shape; most steps succeed at once, some fail, are tried again, or kill their process.

    In every other graph all steps take equally long, so that many of them end at the same moment.
    """
    size = random.randint(1, most_steps)
    breadth = random.randint(1, 4)
    rows = [sorted(random.sample(range(n), min(n, random.randint(0, breadth)))) for n in range(size)]
    if random.random() < 0.5:  # one start, so that more is ordered
        rows = [row or [0] if n else row for n, row in enumerate(rows)]
    if random.random() < 0.3:
        rows = [[], *([0] for _ in range(size)), list(range(1, size + 1))]
    unruly = random.random() < 0.5
    beat = random.choice(SECONDS) if random.random() < 0.5 else None
    scripts = tuple(_random_script(random, beat, unruly) for _ in rows)
    return Graph(
        name=f"random {size}",
        parents=tuple(tuple(row) for row in rows),
        scripts=scripts,
        keep_going=random.random() < 0.5,
        data=random.random() < 0.7,
        retry_delay=random.choice((0.0, 1.0, 5.0, 30.0)),
    )


REMOTE_SECONDS = (1.0, 12.0, 12.0, 90.0, 90.0, 700.0, 700.0, 5000.0)


def random_remote(random: Random) -> Graph:
    """A random graph, for some of whose steps a service works."""
    graph = random_graph(random, most_steps=6)
    scripts = tuple(
        replace(script, remote=random.choice(REMOTE_SECONDS) * random.uniform(0.5, 1.5))
        if random.random() < 0.6
        else script
        for script in graph.scripts
    )
    return replace(graph, name=f"{graph.name} remote", scripts=scripts)


def random_crowd(random: Random) -> Graph:
    """Layers of steps that all end at once: on several hosts, everybody wants to write the head."""
    width, depth = random.randint(3, 8), random.randint(2, 4)
    graph = layers(width, depth, Script(seconds=random.choice(SECONDS[:3])), data=random.random() < 0.3)
    lame = {random.randrange(width * depth): Script(failures=ALWAYS)} if random.random() < 0.3 else {}
    return scripted(graph, lame, keep_going=random.random() < 0.5)


def random_conditional(random: Random) -> Graph:
    """A random graph, some of whose steps are skipped, and some run even after such.

    None of its scripts fails: whether a failure or a condition comes first decides about steps below both.
    """
    graph = random_graph(random, most_steps=8)
    scripts = tuple(replace(script, failures=min(script.failures, script.retries)) for script in graph.scripts)
    graph = replace(graph, scripts=scripts)
    below = [position for position, above in enumerate(graph.parents) if above]
    skips = {position: random.random() < 0.6 for position in below if random.random() < 0.5}
    tolerant = frozenset(position for position in below if random.random() < 0.4)
    return replace(graph, name=f"{graph.name} conditional", skips=skips, tolerant=tolerant)


def random_nesting(random: Random, depth: int = 2) -> Graph:
    """A random graph, some of whose steps become random graphs."""
    graph = random_graph(random, most_steps=5)
    if depth == 0:
        return graph if random.random() < 0.5 else replace(graph, window=random.randint(1, 3))
    chosen = [position for position in range(len(graph.parents)) if random.random() < 0.4]
    return nesting(graph, {position: random_nesting(random, depth - 1) for position in chosen})


def hurried(random: Random, graph: Graph) -> Graph:
    """The graph with priorities for some of its steps, at any depth, and for its run."""
    places = range(len(graph.parents))
    return replace(
        graph,
        priorities={position: random.randint(-2, 2) for position in places if random.random() < 0.5},
        priority=random.choice((0, 0, 1, -1)),
        composites={position: hurried(random, inner) for position, inner in graph.composites.items()},
    )


def _random_script(random: Random, beat: float | None, unruly: bool) -> Script:
    seconds = beat or random.choice(SECONDS) * random.uniform(0.5, 1.5)
    size = 30_000 if random.random() < 0.05 else 0
    if not unruly or random.random() < 0.7:
        return Script(seconds=seconds, size=size)
    what = random.choice(("retried", "fails", "crashes once"))
    if what == "retried":
        return Script(seconds=seconds, failures=random.randint(1, 2), retries=2, size=size)
    if what == "fails":
        return Script(seconds=seconds, failures=ALWAYS, retries=random.randint(0, 1))
    return Script(seconds=seconds, crashes=1)


def shown(mask: int) -> str:
    """A set of steps for people."""
    return "{" + ",".join(str(position) for position in bits(mask)) + "}"
