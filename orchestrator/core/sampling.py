"""Which values the trials of a search get: expressions over hyperparameters, drawn or gone through.

Nothing here is random. The value of a hyperparameter in a trial is made of a sum over the seed, the trial's number and
the hyperparameter's name, so that the same search draws the same again, wherever and however often it is asked; and a
search with more trials begins with those of a smaller one.

Every expression is a quantile function: `at(u)`, u above 0 and below 1, is the value below which the share u of its
distribution lies.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from itertools import count, islice, product
from statistics import NormalDist

import msgspec

Value = bool | int | float | str
Values = Mapping[str, Value]
_STANDARD = NormalDist()
_BITS = 52
_TRIES = 64
"""How many draws a trial may take until it is unlike all before it."""


class _Expression(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all have in common; each has its `at`."""

    def complaint(self) -> str | None:
        """What is wrong with its numbers."""
        return None

    def all(self) -> tuple[Value, ...] | None:
        """Every value that there is; None: they cannot be listed."""
        return None


class Choice(_Expression, frozen=True, kw_only=True, tag="choice"):
    """One of these values, each as likely as the others."""

    values: tuple[Value, ...]

    def at(self, u: float) -> Value:
        return self.values[int(u * len(self.values))]

    def complaint(self) -> str | None:
        return None if self.values else "There is nothing to choose from."

    def all(self) -> tuple[Value, ...]:
        return self.values


class RandInt(_Expression, frozen=True, kw_only=True, tag="randint"):
    """A whole number from 0 to below `upper`."""

    upper: int

    def at(self, u: float) -> Value:
        return int(u * self.upper)

    def complaint(self) -> str | None:
        return None if self.upper > 0 else "The upper end must be above 0."

    def all(self) -> tuple[Value, ...] | None:
        return tuple(range(self.upper)) if self.upper <= 10_000 else None


class Uniform(_Expression, frozen=True, kw_only=True, tag="uniform"):
    """A number from `low` to `high`."""

    low: float
    high: float

    def at(self, u: float) -> Value:
        return self._between(u)

    def _between(self, u: float) -> float:
        return self.low + (self.high - self.low) * u

    def complaint(self) -> str | None:
        return None if self.low < self.high else f"{self.low:g} is not below {self.high:g}."


class LogUniform(Uniform, frozen=True, kw_only=True, tag="loguniform"):
    """exp of a number from `low` to `high`: the logarithm of the value is uniform."""

    def at(self, u: float) -> Value:
        return math.exp(self._between(u))

    def complaint(self) -> str | None:
        return super().complaint() or _too_large(self.high)


class QUniform(Uniform, frozen=True, kw_only=True, tag="quniform"):
    """As uniform, rounded to the nearest multiple of `q`."""

    q: int | float

    def at(self, u: float) -> Value:
        return _rounded(self._between(u), self.q)

    def complaint(self) -> str | None:
        return super().complaint() or _no_step(self.q)


class QLogUniform(LogUniform, frozen=True, kw_only=True, tag="qloguniform"):
    """As loguniform, rounded to the nearest multiple of `q`."""

    q: int | float

    def at(self, u: float) -> Value:
        return _rounded(math.exp(self._between(u)), self.q)

    def complaint(self) -> str | None:
        return super().complaint() or _no_step(self.q)


class Normal(_Expression, frozen=True, kw_only=True, tag="normal"):
    """A number around `mu` with the standard deviation `sigma`."""

    mu: float
    sigma: float

    def at(self, u: float) -> Value:
        return self._around(u)

    def _around(self, u: float) -> float:
        return self.mu + self.sigma * _STANDARD.inv_cdf(u)

    def complaint(self) -> str | None:
        return None if self.sigma > 0 else "The standard deviation must be above 0."


class LogNormal(Normal, frozen=True, kw_only=True, tag="lognormal"):
    """exp of a normal number."""

    def at(self, u: float) -> Value:
        return math.exp(self._around(u))

    def complaint(self) -> str | None:
        return super().complaint() or _too_large(self.mu + 10 * self.sigma)


class QNormal(Normal, frozen=True, kw_only=True, tag="qnormal"):
    """As normal, rounded to the nearest multiple of `q`."""

    q: int | float

    def at(self, u: float) -> Value:
        return _rounded(self._around(u), self.q)

    def complaint(self) -> str | None:
        return super().complaint() or _no_step(self.q)


class QLogNormal(LogNormal, frozen=True, kw_only=True, tag="qlognormal"):
    """As lognormal, rounded to the nearest multiple of `q`."""

    q: int | float

    def at(self, u: float) -> Value:
        return _rounded(math.exp(self._around(u)), self.q)

    def complaint(self) -> str | None:
        return super().complaint() or _no_step(self.q)


Expression = (
    Choice | RandInt | Uniform | QUniform | LogUniform | QLogUniform | Normal | QNormal | LogNormal | QLogNormal
)
Space = Mapping[str, Expression]


def grid(space: Space) -> Iterator[Values]:
    """Every combination, the last hyperparameter changing first. Raises ValueError where one cannot be listed."""
    listed: list[tuple[Value, ...]] = []
    for name, expression in space.items():
        values = expression.all()
        if values is None:
            raise ValueError(f"the values of {name!r} cannot be listed")
        listed.append(values)
    return (dict(zip(space, combination, strict=True)) for combination in product(*listed))


def drawn(space: Space, seed: str, most: int) -> list[Values]:
    """At most `most` combinations, no two alike: fewer only where there are no more, or where drawing finds none."""
    size = size_of(space)
    if size is not None and size <= most:
        return list(grid(space))
    found: dict[bytes, Values] = {}
    for number in islice(count(), most * _TRIES):
        values = {name: expression.at(share(seed, number, name)) for name, expression in space.items()}
        found.setdefault(msgspec.json.encode(values), values)
        if len(found) == most:
            break
    return list(found.values())


def size_of(space: Space) -> int | None:
    """How many combinations there are; None: they cannot be counted."""
    listed = [expression.all() for expression in space.values()]
    return None if any(values is None for values in listed) else math.prod(len(set(values or ())) for values in listed)


def seed_of(space: Space, seed: int) -> str:
    """The seed of a search: a sum over what it searches, and a number that tells two searches of the same apart."""
    return hashlib.sha256(msgspec.json.encode([dict(space), seed])).hexdigest()


def share(seed: str, number: int, name: str) -> float:
    """A number above 0 and below 1, as if drawn."""
    digest = hashlib.sha256(f"{seed}|{number}|{name}".encode()).digest()
    return ((int.from_bytes(digest[:8]) >> (64 - _BITS)) + 0.5) / 2.0**_BITS


def _rounded(value: float, q: int | float) -> int | float:
    """The nearest multiple of q: a whole number where q is one."""
    return round(value / q) * q


def _no_step(q: float) -> str | None:
    return None if q > 0 else "The step q must be above 0."


def _too_large(exponent: float) -> str | None:
    return None if exponent < 700 else f"exp({exponent:g}) is no number any more; low and high are logarithms."
