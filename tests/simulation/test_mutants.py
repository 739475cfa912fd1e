"""F3: the protocol broken on purpose is found out, each time."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.simulation import Failed, simulate

SEEDS = 300


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed(name: str) -> None:
    with MUTANTS[name].alive(), pytest.raises(Failed):
        for seed in range(SEEDS):
            simulate(seed, MUTANTS[name].weather(seed))


def test_a_mutant_leaves_no_trace() -> None:
    sound = {name: [getattr(module, attribute) for module, attribute, _ in m.patches] for name, m in MUTANTS.items()}
    for mutant in MUTANTS.values():
        with mutant.alive():
            assert all(getattr(module, name) is broken for module, name, broken in mutant.patches)
    after = {name: [getattr(module, attribute) for module, attribute, _ in m.patches] for name, m in MUTANTS.items()}
    assert after == sound
