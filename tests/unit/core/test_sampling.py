"""Hyperparameters: every expression against what its distribution promises; the same search draws the same."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import ClassVar

import msgspec
import pytest

from orchestrator.core import sampling
from orchestrator.core.sampling import (
    Choice,
    Expression,
    LogNormal,
    LogUniform,
    Normal,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    RandInt,
    Space,
    Uniform,
)

MANY = 4000


def shares(name: str = "x") -> list[float]:
    return [sampling.share("seed", number, name) for number in range(MANY)]


def test_shares_are_even_and_never_0_or_1() -> None:
    found = shares()
    assert 0 < min(found) < 0.01 and 0.99 < max(found) < 1
    assert fmean(found) == pytest.approx(0.5, abs=0.02)
    assert stdev(found) == pytest.approx(1 / math.sqrt(12), abs=0.01)
    others = shares("y")
    mean = fmean((a - 0.5) * (b - 0.5) for a, b in zip(found, others, strict=True))
    assert abs(mean) < 0.01  # one hyperparameter says nothing of another


@pytest.mark.parametrize(
    ("expression", "u", "value"),
    [
        (Choice(values=("a", "b", "c")), 0.34, "b"),
        (Choice(values=(1, 2.5, True)), 0.999999, True),
        (RandInt(upper=4), 0.75, 3),
        (Uniform(low=-1, high=3), 0.25, 0.0),
        (QUniform(low=0, high=10, q=2), 0.49, 4),
        (QUniform(low=0, high=1, q=0.5), 0.3, 0.5),
        (LogUniform(low=0, high=math.log(100)), 0.5, pytest.approx(10)),
        (QLogUniform(low=0, high=math.log(100), q=3), 0.5, 9),
        (Normal(mu=5, sigma=2), 0.5, 5.0),
        (Normal(mu=5, sigma=2), 0.841344746, pytest.approx(7.0, abs=1e-6)),
        (QNormal(mu=5, sigma=2, q=5), 0.841344746, 5),
        (LogNormal(mu=0, sigma=1), 0.5, pytest.approx(1.0)),
        (QLogNormal(mu=math.log(9), sigma=1, q=4), 0.5, 8),
    ],
)
def test_a_value_at_a_share(expression: Expression, u: float, value: object) -> None:
    assert expression.at(u) == value


def test_rounding_to_a_whole_step_gives_whole_numbers() -> None:
    assert isinstance(QUniform(low=16, high=64, q=16).at(0.4), int)
    assert isinstance(QUniform(low=16, high=64, q=16.0).at(0.4), float)


@pytest.mark.parametrize(
    "expression",
    [
        Choice(values=()),
        RandInt(upper=0),
        Uniform(low=1, high=1),
        QUniform(low=0, high=1, q=0),
        LogUniform(low=0, high=1000),
        QLogUniform(low=1, high=0, q=1),
        Normal(mu=0, sigma=0),
        QNormal(mu=0, sigma=1, q=-1),
        LogNormal(mu=800, sigma=1),
        QLogNormal(mu=0, sigma=1, q=0),
    ],
)
def test_wrong_numbers_are_told(expression: Expression) -> None:
    assert expression.complaint()


def test_expressions_are_json() -> None:
    space = {"a": QUniform(low=0, high=1, q=0.5), "b": Choice(values=(1, "x"))}
    text = msgspec.json.encode(space)
    assert msgspec.json.decode(text, type=dict[str, Expression]) == space


def test_the_grid_goes_through_all_the_last_one_first() -> None:
    space: Space = {"a": Choice(values=(1, 2)), "b": Choice(values=("x", "y"))}
    found = [tuple(values.values()) for values in sampling.grid(space)]
    assert found == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    with pytest.raises(ValueError, match="'c'"):
        sampling.grid({"c": Uniform(low=0, high=1)})


class TestDrawn:
    SPACE: ClassVar[Space] = {"rate": LogUniform(low=-5, high=0), "size": Choice(values=(16, 32, 64))}

    def test_the_same_search_draws_the_same(self) -> None:
        seed = sampling.seed_of(self.SPACE, 0)
        first = sampling.drawn(self.SPACE, seed, 20)
        assert sampling.drawn(self.SPACE, sampling.seed_of(self.SPACE, 0), 20) == first
        assert sampling.drawn(self.SPACE, seed, 30)[:20] == first
        assert sampling.drawn(self.SPACE, sampling.seed_of(self.SPACE, 1), 20) != first

    def test_these_are_the_values_for_ever(self) -> None:
        """A change of this would draw other trials for everybody's searches, and none would be reused."""
        first = sampling.drawn(self.SPACE, sampling.seed_of(self.SPACE, 0), 1)[0]
        assert first == {"rate": pytest.approx(0.013228366718396408), "size": 16}

    def test_no_two_are_alike(self) -> None:
        space: Space = {"a": RandInt(upper=10), "b": RandInt(upper=10)}
        found = sampling.drawn(space, "s", 60)
        assert len({tuple(values.items()) for values in found}) == 60

    def test_there_are_no_more_than_there_are(self) -> None:
        space: Space = {"a": Choice(values=(1, 2)), "b": Choice(values=(1, 1))}
        assert sampling.size_of(space) == 2
        assert len(sampling.drawn({"q": QUniform(low=0, high=2, q=1)}, "s", 50)) == 3
