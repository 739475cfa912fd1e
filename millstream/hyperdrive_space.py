"""What a hyperparameter may be, under v1's names: expressions for the parameter space of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from orchestrator.core.names import shown
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
    Uniform,
)

E = TypeVar("E", bound=Expression)
EXPRESSIONS = (Choice, RandInt, Uniform, LogUniform, Normal, LogNormal)
"""The others derive from these."""


def choice(*options: Any) -> Choice:
    """One of the options: numbers, texts, True and False; given one by one, or as a list or a range."""
    if len(options) == 1 and isinstance(options[0], list | tuple | range):
        options = tuple(options[0])
    for option in options:
        if not isinstance(option, bool | int | float | str):
            raise TypeError(f"choice: {option!r} is no number and no text.")
    return _checked(Choice(values=tuple(options)), "choice")


def randint(upper: int) -> RandInt:
    """A whole number from 0 to below `upper`."""
    return _checked(RandInt(upper=int(upper)), "randint")


def uniform(min_value: float, max_value: float) -> Uniform:
    """A number between the two."""
    return _checked(Uniform(low=float(min_value), high=float(max_value)), "uniform")


def quniform(min_value: float, max_value: float, q: float) -> QUniform:
    """As uniform, rounded to a multiple of q: a whole number, if q is one."""
    return _checked(QUniform(low=float(min_value), high=float(max_value), q=q), "quniform")


def loguniform(min_value: float, max_value: float) -> LogUniform:
    """exp of a number between the two, which are logarithms."""
    return _checked(LogUniform(low=float(min_value), high=float(max_value)), "loguniform")


def qloguniform(min_value: float, max_value: float, q: float) -> QLogUniform:
    """As loguniform, rounded to a multiple of q."""
    return _checked(QLogUniform(low=float(min_value), high=float(max_value), q=q), "qloguniform")


def normal(mu: float, sigma: float) -> Normal:
    """A number around mu, with the standard deviation sigma."""
    return _checked(Normal(mu=float(mu), sigma=float(sigma)), "normal")


def qnormal(mu: float, sigma: float, q: float) -> QNormal:
    """As normal, rounded to a multiple of q."""
    return _checked(QNormal(mu=float(mu), sigma=float(sigma), q=q), "qnormal")


def lognormal(mu: float, sigma: float) -> LogNormal:
    """exp of a normal number."""
    return _checked(LogNormal(mu=float(mu), sigma=float(sigma)), "lognormal")


def qlognormal(mu: float, sigma: float, q: float) -> QLogNormal:
    """As lognormal, rounded to a multiple of q."""
    return _checked(QLogNormal(mu=float(mu), sigma=float(sigma), q=q), "qlognormal")


def space_of(given: Mapping[str, Any]) -> dict[str, Expression]:
    """Raises TypeError for what is no expression, ValueError for an empty space."""
    if not given:
        raise ValueError("The parameter space is empty: name hyperparameters, as {'rate': uniform(0.01, 0.1)}.")
    for name, expression in given.items():
        if not isinstance(expression, EXPRESSIONS):
            raise TypeError(f"The hyperparameter {shown(str(name))} is {expression!r}; use choice(), uniform() ...")
    return {str(name): expression for name, expression in given.items()}


def _checked(made: E, name: str) -> E:
    if complaint := made.complaint():
        raise ValueError(f"{name}: {complaint}")
    return made
