"""scripts/simulate: many storms on all cores, and what they did.

scripts/simulate                    10,000 seeds
scripts/simulate --seeds 500 --first 20000
scripts/simulate --seed 6778        one seed, with its whole story
scripts/simulate --sharing          the same over runs that take each other's outputs, and wait for each other
scripts/simulate --nested           the same over runs whose steps become runs of their own
scripts/simulate --remote           the same over runs for whose steps a service works
scripts/simulate --mutants          how many seeds each broken protocol survives
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pool

from tests.simulation.kinds import RECEIVE
from tests.simulation.mutants import MUTANTS
from tests.simulation.simulation import Failed, Report, Setting, Simulation, simulate
from tests.simulation.weather import nested, remote, sharing, stormy

Weather = Callable[[int], Setting]

SHOWN_FAILURES = 10
SURVIVORS_AFTER = 300


@dataclass(slots=True)
class Total:
    """The sum of many reports."""

    worlds: int = 0
    operations: int = 0
    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, outcome: Report | str) -> None:
        self.worlds += 1
        if isinstance(outcome, str):
            self.failures.append(outcome)
            return
        self.operations += outcome.operations
        self.seconds += outcome.seconds
        self.statuses.update(status.value for status in outcome.statuses)
        self.faults.update(outcome.faults)
        self.counts.update(outcome.counts)
        self.events.update(
            {
                "steps executed": outcome.executions,
                "steps committed": outcome.commits,
                "claims taken over": outcome.takeovers,
                "zombies fenced": outcome.fenced,
                "messages duplicated": outcome.duplicated,
                "steps poisoned": outcome.poisoned,
            }
        )

    def table(self) -> str:
        days = self.seconds / 86_400
        lines = [
            f"{self.worlds:,} worlds, {self.operations:,} operations, {days:,.0f} days: {len(self.failures)} wrong",
            _columns("runs ended", self.statuses),
            _columns("faults", self.faults),
            _columns("events", self.events),
            _columns("transactions", Counter({kind: n for kind, n in self.counts.items() if kind != RECEIVE})),
        ]
        return "\n".join(lines)


def _columns(title: str, counts: Counter[str]) -> str:
    cells = [f"{name:<26}{count:>12,}" for name, count in counts.most_common()]
    rows = [" | ".join(cells[start : start + 2]) for start in range(0, len(cells), 2)]
    return "\n".join([f"\n{title}", *(f"  {row}" for row in rows)])


def play(seed: int, weather: Weather) -> Report | str:
    """The report, or the story of the violation."""
    try:
        return simulate(seed, weather(seed))
    except Failed as failed:
        return str(failed)


def outcomes(seeds: Sequence[int], jobs: int, weather: Weather) -> Iterator[Report | str]:
    one = partial(play, weather=weather)
    if jobs == 1:
        yield from map(one, seeds)
        return
    with Pool(jobs) as pool:
        yield from pool.imap_unordered(one, seeds, chunksize=25)


def storm(seeds: Sequence[int], jobs: int, weather: Weather) -> int:
    total, started, shown = Total(), time.monotonic(), time.monotonic()
    for outcome in outcomes(seeds, jobs, weather):
        total.add(outcome)
        if isinstance(outcome, str) and len(total.failures) <= SHOWN_FAILURES:
            print(outcome, flush=True)
        if time.monotonic() - shown >= 10.0:
            shown = time.monotonic()
            print(f"  {total.worlds:,} of {len(seeds):,} worlds, {len(total.failures)} violations", flush=True)
    print(total.table())
    print(f"\n{time.monotonic() - started:.0f} s on {jobs} cores")
    return 1 if total.failures else 0


def story(seed: int, weather: Weather) -> int:
    simulation = Simulation(seed, weather(seed))
    simulation.around.remember_all()
    try:
        report = simulation.run()
    except Failed as failed:
        print(simulation.story(whole=True))
        print(failed.violation)
        return 1
    print(simulation.story(whole=True))
    print(f"no violation: {', '.join(status.value for status in report.statuses)}")
    return 0


def survives(name: str) -> tuple[str, int | None, str]:
    """The seed that kills the mutant, and how; None when none does."""
    with MUTANTS[name].alive():
        for seed in range(SURVIVORS_AFTER):
            outcome = play(seed, MUTANTS[name].weather)
            if isinstance(outcome, str):
                return name, seed, outcome.partition("\n")[0].partition(": ")[2]
    return name, None, "survives"


def mutants(jobs: int) -> int:
    survivors = 0
    with Pool(jobs) as pool:
        for name, seed, how in pool.imap(survives, MUTANTS):
            survivors += seed is None
            print(f"{name:<32}{MUTANTS[name].breaks:<66}{'-' if seed is None else seed:>5}  {how[:80]}", flush=True)
    print(f"\n{len(MUTANTS)} mutants, {survivors} survive {SURVIVORS_AFTER} seeds")
    return 1 if survivors else 0


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when no rule was violated and no mutant survived."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description="Storms over the engine, on all cores.")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many worlds (10000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (one a core)")
    parser.add_argument("--seed", type=int, help="only this seed, with its whole story")
    parser.add_argument("--sharing", action="store_true", help="of runs that take each other's outputs")
    parser.add_argument("--mutants", action="store_true", help="try the mutants instead")
    parser.add_argument("--nested", action="store_true", help="of runs whose steps become runs of their own")
    parser.add_argument("--remote", action="store_true", help="of runs for whose steps a service works")
    options = parser.parse_args(arguments)
    chosen = {sharing: options.sharing, nested: options.nested, remote: options.remote}
    weather = next((weather for weather, wanted in chosen.items() if wanted), stormy)
    if options.seed is not None:
        return story(options.seed, weather)
    if options.mutants:
        return mutants(options.jobs)
    return storm(range(options.first, options.first + options.seeds), options.jobs, weather)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
