"""F7: the answer to a write is lost: it was applied, or not, or is applied later. Once for each write of a run."""

from __future__ import annotations

import pytest

from orchestrator.ports import Commit
from tests.simulation.faults import AMBIGUOUS, Calm, Fault
from tests.simulation.graphs import ALWAYS, Script, chain, diamond, fan, layers, scripted
from tests.simulation.kinds import kind_of
from tests.simulation.simulation import Setting, Simulation

KINDS = {"start", "index", "claim", "heartbeat", "take over", "retry", "commit", "combine swap", "cancel"}

SETTINGS: dict[str, dict[str, object]] = {
    "long steps": {"graphs": [scripted(chain(2), {0: Script(seconds=70.0)})]},
    "retries": {"graphs": [scripted(diamond(), {1: Script(failures=1, retries=2)})]},
    "a takeover": {"graphs": [scripted(diamond(), {1: Script(crashes=1)})]},
    "a failure": {"graphs": [scripted(layers(2, 3), {3: Script(failures=ALWAYS)}, keep_going=True)]},
    "contention": {"graphs": [fan(6)], "hosts": 6, "polling": 0.02},
    "a cancel": {"graphs": [chain(3, Script(seconds=40.0))], "cancel_at": [60.0]},
}


def setting(name: str, faults: Calm) -> Setting:
    return Setting(faults=faults, **SETTINGS[name])  # type: ignore[arg-type]


def commits(name: str, seed: int) -> tuple[Simulation, dict[int, str]]:
    """A clean run, and what its conditional writes were for, by number."""
    simulation = Simulation(seed, setting(name, Calm()))
    simulation.around.remember_all()
    simulation.run()
    asked = [what for _, _, _, what in simulation.around.trace if isinstance(what, tuple)]
    return simulation, {number: kind_of(effect) for number, effect, _ in asked if isinstance(effect, Commit)}


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("name", SETTINGS)
def test_a_write_without_an_answer_ends_as_one_with(name: str, fault: Fault) -> None:
    for seed in range(3):
        clean, writes = commits(name, seed)
        for number in writes:
            report = Simulation(seed, setting(name, Calm(script={number: fault}))).run()
            assert report.faults == {fault.value: 1}
            assert report.statuses == tuple(record.head.status for record in clean.records if record.head), number
            if name != "a cancel":  # how far it comes before it is cancelled depends on what is slow
                verdicts = [record.head for record in clean.records if record.head]
                assert report.verdicts == tuple((head.done, head.failed, head.skipped) for head in verdicts), number


def test_every_kind_of_write_is_among_them() -> None:
    found = {kind for name in SETTINGS for seed in range(3) for kind in commits(name, seed)[1].values()}
    assert found - {"discard"} == KINDS
