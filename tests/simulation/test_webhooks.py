"""Webhooks are told of the end of a run, whatever dies, freezes or is lost on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from orchestrator.core.states import RunStatus
from orchestrator.engine.memory import EngineSettings
from orchestrator.ports import Effect, Send
from tests.simulation.faults import AMBIGUOUS, DEADLY, Calm, Fault, Storm
from tests.simulation.graphs import ALWAYS, Graph, Script, chain, diamond, fan, scripted
from tests.simulation.simulation import Report, Setting, simulate

ENGINE = EngineSettings(webhook_queue="millstream-webhooks", webhook_delays=(5.0, 30.0, 60.0, 120.0, 240.0, 480.0))
PLAIN = Setting(graphs=[chain(1)], restart_after=(5.0, 5.0), engine=ENGINE, webhooks=2)
SHAPES = (
    chain(2),
    diamond(),
    scripted(diamond(), {1: Script(failures=ALWAYS)}, keep_going=True),
)


class Scripted(Calm):
    """A message can be lost where one is sent."""

    def decide(self, number: int, effect: Effect[Any]) -> Fault | None:
        fault = self.script.get(number)
        return None if fault is Fault.MESSAGE_LOST and not isinstance(effect, Send) else fault


def play(setting: Setting, script: Mapping[int, Fault] | None = None) -> Report:
    return simulate(7, replace(setting, faults=Scripted(script=script or {})))


def test_in_peace_each_is_told_once() -> None:
    report = play(replace(PLAIN, graphs=[chain(2), diamond()]))
    assert sorted(report.calls.values()) == [1] * 6


def test_a_cancelled_run_ends_too() -> None:
    report = play(replace(PLAIN, graphs=[chain(3, Script(seconds=40.0))], cancel_at=(60.0,)))
    assert report.statuses == (RunStatus.CANCELED,)
    assert sorted(report.calls.values()) == [1] * 3


def test_one_that_refuses_is_called_again_later() -> None:
    report = play(replace(PLAIN, refusals=3))
    assert sorted(report.calls.values()) == [4] * 3


def test_one_that_refuses_for_ever_is_given_up() -> None:
    report = play(replace(PLAIN, refusals=10**6))
    assert sorted(report.calls.values()) == [ENGINE.webhook_attempts] * 3


@pytest.mark.parametrize("refusals", [0, 1])
@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.name)
def test_killed_before_and_after_every_operation_each_is_told(graph: Graph, refusals: int) -> None:
    setting = replace(PLAIN, graphs=[graph], refusals=refusals)
    clean = play(setting)
    for number in range(clean.operations):
        for fault in DEADLY:
            killed = play(setting, {number: fault})
            cut = f"{fault.value} operation {number} of {clean.operations}"
            assert killed.faults.total() == 1, cut
            assert len(killed.calls) == 3, cut
            assert max(killed.calls.values()) <= refusals + 2, cut  # one more than it takes


@pytest.mark.parametrize("fault", [*AMBIGUOUS, Fault.MESSAGE_LOST, Fault.UNAVAILABLE, Fault.FREEZE_AFTER])
def test_whatever_is_lost_each_is_told(fault: Fault) -> None:
    """A lost message among it: none of them is needed."""
    clean = play(PLAIN)
    for number in range(clean.operations):
        lossy = play(PLAIN, {number: fault})
        assert len(lossy.calls) == 3, f"{fault.value} operation {number} of {clean.operations}"


@pytest.mark.parametrize("seed", range(60))
def test_in_a_storm(seed: int) -> None:
    random = Random(seed)
    setting = Setting(
        graphs=[diamond(), fan(5), chain(3)],
        hosts=random.choice((1, 3)),
        faults=Storm(random),
        skews=(0.0, 300.0, -300.0),
        storm=1800.0,
        start_spread=300.0,
        double_starts=0.3,
        cancel_at=(None, None, random.choice((None, 1.0, 60.0))),
        double_sweeps=0.3,
        preempted=random.choice((0.0, 0.2)),
        engine=ENGINE,
        webhooks=random.choice((0, 2)),
        refusals=random.choice((0, 0, 2)),
        drain=8 * 3600.0,
    )
    simulate(seed, setting)
