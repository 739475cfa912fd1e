from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import steps
from steps.failures import InvalidStep
from steps.kinds import KINDS, kind
from steps.kinds import composite as composite_kind


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_a_module_that_runs(name: str) -> None:
    module = kind(name)
    if (composite := composite_kind(name)) is None:
        assert list(inspect.signature(module.run).parameters) == ["context"]
    else:
        assert list(inspect.signature(composite.expand).parameters) == ["context"]
        assert list(inspect.signature(composite.join).parameters) == ["context", "children"]
    assert module.__doc__
    assert f'"{name}"' in module.__doc__


def test_an_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(InvalidStep, match=r"'magic'; there are: .*python_script"):
        kind("magic")


def test_this_is_the_steps_package_of_this_repository() -> None:
    """PyPI has one of this name, too."""
    assert Path(str(steps.__file__)).parent == Path(__file__).parents[3] / "steps"
