"""Policies that end trials early, against cases worked out by hand from v1's documented rules."""

from __future__ import annotations

import math

import msgspec
import pytest

from orchestrator.core.early_termination import (
    Bandit,
    Goal,
    MedianStopping,
    Policy,
    Trial,
    TruncationSelection,
    best,
    verdict,
)

MAX, MIN = Goal.MAXIMIZE, Goal.MINIMIZE


def trials(*values: tuple[float, ...]) -> list[Trial]:
    return [Trial(values=it) for it in values]


def ends(policy: Policy, goal: Goal, own: tuple[float, ...], others: list[Trial], judged: int = 0) -> bool:
    return verdict(policy, goal, own, others, judged=judged) is not None


class TestBandit:
    """The documentation's case: the best is 0.8, the factor 0.2: what is below 0.8 / 1.2 = 0.667 ends."""

    FACTOR = Bandit(slack_factor=0.2)

    @pytest.mark.parametrize(("own", "ended"), [(0.66, True), (0.67, False), (0.8, False), (0.9, False)])
    def test_a_factor_of_the_best(self, own: float, ended: bool) -> None:
        assert ends(self.FACTOR, MAX, (own,), trials((0.8,), (0.5,))) is ended

    @pytest.mark.parametrize(("own", "ended"), [(0.59, True), (0.61, False)])
    def test_an_amount_below_the_best(self, own: float, ended: bool) -> None:
        assert ends(Bandit(slack_amount=0.2), MAX, (own,), trials((0.8,))) is ended

    @pytest.mark.parametrize(("own", "ended"), [(1.21, True), (1.2, False)])
    def test_a_loss_may_be_as_much_above_the_best(self, own: float, ended: bool) -> None:
        assert ends(self.FACTOR, MIN, (own,), trials((1.0,), (3.0,))) is ended
        assert ends(Bandit(slack_amount=0.2), MIN, (own,), trials((1.0,))) is ended

    @pytest.mark.parametrize("goal", [MAX, MIN])
    @pytest.mark.parametrize("top", [-2.0, 0.0, 2.0])
    def test_the_best_itself_never_ends(self, goal: Goal, top: float) -> None:
        assert not ends(self.FACTOR, goal, (top,), trials((top - goal.sign,)))

    def test_what_counts_is_the_best_so_far(self) -> None:
        assert not ends(self.FACTOR, MAX, (0.8, 0.1), trials((0.8, 0.9)))
        assert ends(self.FACTOR, MAX, (0.1, 0.2), trials((0.8, 0.1)))

    def test_others_count_as_they_were_at_the_same_interval(self) -> None:
        assert not ends(self.FACTOR, MAX, (0.5,), trials((0.5, 0.9, 0.99)))
        assert ends(self.FACTOR, MAX, (0.5, 0.5), trials((0.5, 0.9, 0.99)))

    def test_others_that_have_not_come_so_far_do_not_count(self) -> None:
        assert not ends(self.FACTOR, MAX, (0.5, 0.5), trials((0.99,)), judged=1)


class TestMedian:
    """Averages up to interval 2 are 0.2, 0.4 and, its own, 0.3; the median is 0.3."""

    OTHERS = trials((0.1, 0.3), (0.3, 0.5))

    @pytest.mark.parametrize(
        ("own", "ended"),
        [
            ((0.2, 0.4), False),  # its best, 0.4, is above the median, 0.3
            ((0.1, 0.1), True),  # averages 0.1, 0.2, 0.4: the median is 0.2, its best 0.1
            ((0.2, 0.2), False),  # averages 0.2, 0.2, 0.4: equal to the median is not worse
        ],
    )
    def test_the_best_against_the_median_of_averages(self, own: tuple[float, ...], ended: bool) -> None:
        assert ends(MedianStopping(), MAX, own, self.OTHERS, judged=1) is ended

    def test_a_loss_is_worse_above(self) -> None:
        assert ends(MedianStopping(), MIN, (5.0,), trials((1.0,), (2.0,)))
        assert not ends(MedianStopping(), MIN, (1.5,), trials((1.0,), (2.0,)))

    def test_alone_it_goes_on(self) -> None:
        assert not ends(MedianStopping(), MAX, (0.0, -1.0), [])


class TestTruncation:
    """Of 5 trials 20 % is one: the worst."""

    POLICY = TruncationSelection(truncation_percentage=20)
    OTHERS = trials((0.5,), (0.6,), (0.7,), (0.8,))

    @pytest.mark.parametrize(("own", "ended"), [(0.4, True), (0.5, False), (0.55, False), (0.9, False)])
    def test_the_worst_part_ends(self, own: float, ended: bool) -> None:
        assert ends(self.POLICY, MAX, (own,), self.OTHERS) is ended

    def test_of_few_none_is_a_whole_part(self) -> None:
        assert not ends(self.POLICY, MAX, (0.1,), trials((0.5,), (0.6,), (0.7,)))

    def test_those_that_have_ended_may_be_left_out(self) -> None:
        others = [*trials((0.5,), (0.6,)), Trial(values=(0.7,), ended=True), Trial(values=(0.8,), ended=True)]
        assert ends(self.POLICY, MAX, (0.4,), others)
        policy = TruncationSelection(truncation_percentage=20, exclude_finished_jobs=True)
        assert not ends(policy, MAX, (0.4,), others)

    def test_a_loss_is_worse_above(self) -> None:
        assert ends(self.POLICY, MIN, (0.9,), self.OTHERS)
        assert not ends(self.POLICY, MIN, (0.4,), self.OTHERS)


class TestWhen:
    WORSE = trials(*[tuple([1.0] * 9)] * 3)

    @pytest.mark.parametrize(
        ("interval", "delay", "ending_at"), [(1, 0, 1), (2, 0, 2), (3, 0, 3), (1, 5, 5), (2, 5, 6), (3, 3, 3)]
    )
    def test_multiples_of_the_interval_not_before_the_delay(self, interval: int, delay: int, ending_at: int) -> None:
        policy = Bandit(slack_factor=0.1, evaluation_interval=interval, delay_evaluation=delay)
        ended = [n for n in range(1, 9) if ends(policy, MAX, tuple([0.1] * n), self.WORSE)]
        assert ended[0] == ending_at
        why = verdict(policy, MAX, [0.1] * 8, self.WORSE)
        assert why is not None and why.startswith(f"at interval {ending_at}, ")

    def test_what_was_judged_is_not_judged_again(self) -> None:
        policy = Bandit(slack_factor=0.1, evaluation_interval=4)
        assert not ends(policy, MAX, (0.1,) * 5, self.WORSE, judged=4)


def test_what_is_no_number_is_the_worst() -> None:
    assert best([math.nan, 0.1], MAX) == 0.1
    assert best([math.nan], MIN) == math.inf
    assert ends(Bandit(slack_amount=1), MAX, (math.nan,), trials((0.5,)))


@pytest.mark.parametrize(
    ("policy", "wrong"),
    [
        (Bandit(), True),
        (Bandit(slack_factor=0.1, slack_amount=0.1), True),
        (Bandit(slack_amount=-1), True),
        (Bandit(slack_factor=0.0), False),
    ],
)
def test_a_slack_is_one_number(policy: Bandit, wrong: bool) -> None:
    assert bool(policy.problem()) is wrong


@pytest.mark.parametrize("percentage", [0, 100])
def test_a_percentage_leaves_some_and_takes_some(percentage: int) -> None:
    text = b'{"kind":"truncation_selection","truncation_percentage":%d}' % percentage
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Policy)
