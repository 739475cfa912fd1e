"""Every (state, event) pair is either in the table or refused, and a refusal changes nothing."""

from __future__ import annotations

import itertools

import pytest

from orchestrator.core.errors import IllegalTransition
from orchestrator.core.states import (
    CLAIM_TRANSITIONS,
    RUN_TRANSITIONS,
    ClaimEvent,
    ClaimState,
    RunEvent,
    RunStatus,
    move,
)


@pytest.mark.parametrize(("state", "event"), list(itertools.product([None, *RunStatus], RunEvent)))
def test_every_pair_of_a_run(state: RunStatus | None, event: RunEvent) -> None:
    if (state, event) in RUN_TRANSITIONS:
        assert move(RUN_TRANSITIONS, state, event) is RUN_TRANSITIONS[(state, event)]
    else:
        with pytest.raises(IllegalTransition) as caught:
            move(RUN_TRANSITIONS, state, event)
        assert (caught.value.state, caught.value.event) == (state, event)


@pytest.mark.parametrize(("state", "event"), list(itertools.product([None, *ClaimState], ClaimEvent)))
def test_every_pair_of_a_claim(state: ClaimState | None, event: ClaimEvent) -> None:
    if (state, event) in CLAIM_TRANSITIONS:
        assert move(CLAIM_TRANSITIONS, state, event) is CLAIM_TRANSITIONS[(state, event)]
    else:
        with pytest.raises(IllegalTransition):
            move(CLAIM_TRANSITIONS, state, event)


def test_terminal_states_are_never_left() -> None:
    assert not [pair for pair in RUN_TRANSITIONS if pair[0] is not None and pair[0].terminal]
    assert not [pair for pair in CLAIM_TRANSITIONS if pair[0] is not None and pair[0].final]


def test_every_state_can_be_reached() -> None:
    assert set(RUN_TRANSITIONS.values()) == set(RunStatus)
    assert set(CLAIM_TRANSITIONS.values()) == set(ClaimState)
