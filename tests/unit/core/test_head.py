"""The one rule that moves a run, over random graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.definition import Definition, Step
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.head import Head, Outcome, Verdict, cancel, fold, ready
from orchestrator.core.plan import Plan, bits, mask_of
from orchestrator.core.states import RunStatus


def plan_of(*parents: tuple[int, ...], priorities: Mapping[int, int] | None = None) -> Plan:
    """Steps 0..n-1, the i-th waiting for `parents[i]`."""
    own = priorities or {}
    steps = tuple(
        Step(
            id=f"s{i}", name=f"s{i}", kind="python_script", run_after=tuple(f"s{p}" for p in waits), priority=own.get(i)
        )
        for i, waits in enumerate(parents)
    )
    return Plan(address="0" * 64, definition=Definition(name="p", steps=steps))


def done(step: int, attempt: int = 1) -> Outcome:
    return Outcome(step=step, verdict=Verdict.DONE, attempt=attempt)


def failed(step: int) -> Outcome:
    return Outcome(step=step, verdict=Verdict.FAILED, attempt=1)


DIAMOND = plan_of((), (0,), (0,), (1, 2))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    size = draw(st.integers(1, 12))
    return plan_of(*(tuple(sorted(draw(st.sets(st.integers(0, i - 1))))) if i else () for i in range(size)))


def test_a_child_is_announced_by_its_last_parent_only() -> None:
    head, first = fold(DIAMOND, Head(), [done(0)])
    assert first == (1, 2)
    head, second = fold(DIAMOND, head, [done(2)])
    assert second == ()
    head, third = fold(DIAMOND, head, [done(1)])
    assert third == (3,)
    head, last = fold(DIAMOND, head, [done(3, attempt=4)])
    assert (last, head.status, head.attempt_of(3), head.attempt_of(1)) == ((), RunStatus.COMPLETED, 4, 1)


def test_both_parents_in_one_fold_announce_the_child_once() -> None:
    head, _ = fold(DIAMOND, Head(), [done(0)])
    assert fold(DIAMOND, head, [done(1), done(2)])[1] == (3,)


def test_a_failure_ends_the_run_and_skips_the_rest() -> None:
    head, _ = fold(DIAMOND, Head(), [done(0)])
    head, steps = fold(DIAMOND, head, [failed(1)])
    assert (head.status, steps, head.skipped) == (RunStatus.FAILED, (), mask_of([2, 3]))


def test_keep_going_skips_descendants_only() -> None:
    plan = plan_of((), (), (0,), (1,), (2,))
    head, _ = fold(plan, Head(keep_going=True), [failed(0)])
    assert (head.status, head.skipped) == (RunStatus.RUNNING, mask_of([2, 4]))
    head, steps = fold(plan, head, [done(1)])
    assert steps == (3,)
    assert fold(plan, head, [done(3)])[0].status is RunStatus.FAILED


def test_a_terminal_head_never_moves() -> None:
    ended = cancel(Head())
    assert fold(DIAMOND, ended, [done(0)]) == (ended, ())
    assert ready(DIAMOND, ended) == ()
    with pytest.raises(IllegalTransition):
        cancel(ended)


@given(plans(), st.data())
def test_a_walk_in_any_order_runs_every_step_once(plan: Plan, data: st.DataObject) -> None:
    head, waiting, announced = Head(), list(plan.roots), list(plan.roots)
    while waiting:
        assert set(waiting) == set(ready(plan, head))
        batch = data.draw(st.lists(st.sampled_from(waiting), min_size=1, unique=True))
        head, new = fold(plan, head, [done(step) for step in batch])
        waiting = [step for step in waiting if step not in batch] + list(new)
        announced += new
    assert sorted(announced) == list(range(plan.size))
    assert head.status is RunStatus.COMPLETED


@given(plans(), st.data(), st.booleans())
def test_entering_a_verdict_again_changes_nothing(plan: Plan, data: st.DataObject, keep_going: bool) -> None:
    head = Head(keep_going=keep_going)
    while not head.status.terminal:
        step = data.draw(st.sampled_from(ready(plan, head)))
        outcome = data.draw(st.sampled_from([done(step), failed(step)]))
        head, _ = fold(plan, head, [outcome])
        assert fold(plan, head, [outcome]) == (head, ())
        assert not head.done & head.failed and not head.done & head.skipped and not head.failed & head.skipped
    assert head.status is (RunStatus.FAILED if head.failed else RunStatus.COMPLETED)
    for step in bits(head.done):
        assert not plan.parents[step] & ~head.done, "a step was done before its parents"


@given(plans(), st.data())
def test_order_and_grouping_do_not_matter(plan: Plan, data: st.DataObject) -> None:
    order = data.draw(st.permutations([done(step) for step in plan.roots]))
    together, _ = fold(plan, Head(), order)
    apart = Head()
    for outcome in order:
        apart, _ = fold(plan, apart, [outcome])
    assert replace(together, attempts={}) == replace(apart, attempts={})


def test_ready_steps_come_by_priority_then_by_place() -> None:
    plan = plan_of((), (), (), (), (), priorities={1: 5, 3: 5, 4: -1})
    assert ready(plan, Head()) == (1, 3, 0, 2, 4)
    assert ready(plan, Head(priority=9)) == (0, 2, 1, 3, 4), "the run's own is that of those without one"
    assert ready(plan_of((), (), ()), Head(priority=9)) == (0, 1, 2)


def test_a_window_opens_for_the_highest_first() -> None:
    plan = plan_of((), (), (), (0,), priorities={2: 1, 3: 2})
    head = Head(window=2)
    assert ready(plan, head) == (2, 0)
    head, newly = fold(plan, head, [done(0)])
    assert newly == (3,), "what became ready goes before what waited"
    head, newly = fold(plan, head, [done(3)])
    assert newly == (1,)
    assert ready(plan, head) == (2, 1)


@given(st.data())
def test_whatever_the_priorities_a_window_lets_every_step_have_its_turn(data: st.DataObject) -> None:
    shape = data.draw(plans())
    parents = tuple(tuple(bits(mask)) for mask in shape.parents)
    ranks = data.draw(st.dictionaries(st.integers(0, len(parents) - 1), st.integers(-2, 2)))
    plan = plan_of(*parents, priorities=ranks)
    head = Head(window=data.draw(st.integers(1, 3)), priority=data.draw(st.integers(-1, 1)))
    sent = list(ready(plan, head))
    while not head.status.terminal:
        assert ready(plan, head)[0] in sent, "the first ready step has been sent"
        running = [step for step in sent if not head.ended >> step & 1]
        head, newly = fold(plan, head, [done(data.draw(st.sampled_from(running)))])
        sent += newly
    assert head.done == plan.everything
