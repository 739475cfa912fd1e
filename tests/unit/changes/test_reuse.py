"""What a run was told of its changes is part of what a step makes: no step is taken from a run of other changes."""

from __future__ import annotations

import msgspec
import pytest

from orchestrator.core.definition import Input, ParameterSource, Step
from orchestrator.core.fingerprint import Content, ingredients_of
from orchestrator.core.run import RunInfo
from tests.unit.changes.watching import PIPELINE, Watching

PLAIN = msgspec.structs.replace(PIPELINE.steps[0], inputs=())


def fingerprint(step: Step, info: RunInfo) -> str:
    """As if the folder held the same for all runs."""
    contents = {port.name: Content(digest="same") for port in step.inputs}
    return ingredients_of(step, parameters=info.parameters, code="c", environment="e", contents=contents).fingerprint


@pytest.fixture
def batches() -> list[RunInfo]:
    at = Watching()
    at.schedule(per="batch", debounce_seconds=5, max_wait_seconds=50)
    for name in ("in/a.csv", "in/b.csv"):
        at.upload(name)
        at.pass_time(10)
    assert [at.assigned(info).path for info in at.runs()] == ["in", "in"]
    return at.runs()


def test_a_step_that_takes_the_path_is_not_reused_for_another_batch(batches: list[RunInfo]) -> None:
    step = msgspec.structs.replace(PLAIN, inputs=(Input(name="data", source=ParameterSource(name="where")),))
    first, second = (fingerprint(step, info) for info in batches)
    assert first != second


def test_a_step_that_does_not_take_it_is(batches: list[RunInfo]) -> None:
    first, second = (fingerprint(PLAIN, info) for info in batches)
    assert first == second
