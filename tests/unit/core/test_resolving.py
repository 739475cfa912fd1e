"""Parameters outside of arguments: in settings, in the timeout, in paths; and values that do not fit there."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.core.definition import (
    DatastoreSource,
    Definition,
    FromParameter,
    Input,
    Literal,
    Output,
    Parameter,
    ParameterValue,
    Step,
    Text,
    decode,
    encode,
)
from orchestrator.core.errors import Broken, InvalidRequest
from orchestrator.core.fitting import check_fit, has_places
from orchestrator.core.resolving import (
    parameters_used,
    references,
    resolve_path,
    resolve_settings,
    resolve_step,
    resolve_timeout,
)
from orchestrator.core.validation import validate

VALUES: dict[str, ParameterValue] = {"n": 2, "rate": 0.5, "on": True, "day": "2026-11-01"}
N = {"kind": "parameter", "name": "n"}


def text(*parts: Any) -> dict[str, Any]:
    made = [part if isinstance(part, dict) else {"kind": "literal", "value": part} for part in parts]
    return {"kind": "text", "parts": made}


def step(**fields: Any) -> Step:
    plain = {"id": "a", "name": "a", "kind": "python_script", "snapshot": "0" * 64, "settings": {"script": "a.py"}}
    return Step(**{**plain, **fields})


def problems(made: Step, parameters: tuple[Parameter, ...] = ()) -> list[tuple[str, str]]:
    found = validate(
        Definition(name="x", steps=(made,), parameters=parameters), computes=["function"], datastores=["blobs"]
    )
    return [(problem.code, problem.field) for problem in found]


def parameter(name: str, default: ParameterValue, kind: str) -> Parameter:
    return Parameter(name=name, type=kind, default=default)


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        (N, 2),
        ({"kind": "parameter", "name": "rate"}, 0.5),
        ({"kind": "parameter", "name": "on"}, True),
        (text("v", N, "-", {"kind": "parameter", "name": "on"}), "v2-True"),
        ([N, {"deep": [N, "x"]}], [2, {"deep": [2, "x"]}]),
        (text(), ""),
        # What only looks like a reference is left as it is.
        ({"kind": "parameter", "name": "n", "more": 1}, {"kind": "parameter", "name": "n", "more": 1}),
        ({"kind": "parameter", "name": 5}, {"kind": "parameter", "name": 5}),
        ({"kind": "text", "parts": [{"kind": "input", "name": "n"}]},) * 2,
        ({"kind": "text", "parts": "abc"},) * 2,
        ("$AML_PARAMETER_n",) * 2,
        (None, None),
    ],
)
def test_settings_get_values_instead_of_references(given: Any, resolved: Any) -> None:
    made = step(settings={"script": "a.py", "extra": given})
    assert resolve_settings(made, VALUES) == {"script": "a.py", "extra": resolved}
    assert resolve_settings(made, VALUES) == resolve_settings(resolve_step(made, VALUES), {})


def test_references_survive_being_written_and_read() -> None:
    made = step(settings={"script": "a.py", "extra": [N, text("x", N)]}, timeout_seconds=FromParameter(name="n"))
    (read,) = decode(encode(Definition(name="x", steps=(made,)))).steps
    assert read.timeout_seconds == FromParameter(name="n")
    assert resolve_settings(read, VALUES) == {"script": "a.py", "extra": [2, "x2"]}


def test_a_step_without_references_is_left_as_it_is() -> None:
    made = step(timeout_seconds=5.0)
    assert resolve_step(made, {}) is made
    assert not has_places(made)


def test_a_timeout_from_a_parameter() -> None:
    made = step(timeout_seconds=FromParameter(name="n"))
    assert resolve_timeout(made, VALUES) == 2.0
    assert resolve_step(made, VALUES).timeout_seconds == 2.0
    with pytest.raises(TypeError, match="'2026-11-01' is no number"):
        resolve_timeout(step(timeout_seconds=FromParameter(name="day")), VALUES)


def test_a_path_made_of_parts() -> None:
    path = Text(parts=(Literal(value="/in/"), FromParameter(name="day"), Literal(value="/x.csv")))
    assert resolve_path(path, VALUES) == "in/2026-11-01/x.csv"
    assert resolve_path("a/b", {}) == "a/b"


def test_a_parameter_without_a_value_is_a_fault_of_ours() -> None:
    with pytest.raises(Broken, match="'n'"):
        resolve_settings(step(settings={"script": N}), {})


def test_all_places_count_as_use() -> None:
    source = DatastoreSource(datastore="blobs", path=Text(parts=(FromParameter(name="c"),)))
    made = step(
        settings={"script": "a.py", "environment": {"x": [{"kind": "parameter", "name": "a"}]}},
        timeout_seconds=FromParameter(name="b"),
        inputs=(Input(name="in", source=source),),
        outputs=(Output(name="out", destination=(FromParameter(name="d"),)),),
        arguments=(FromParameter(name="e"),),
        environment={"E": Text(parts=(FromParameter(name="f"),))},
    )
    assert parameters_used(made) == set("abcdef")
    assert list(references(made.settings)) == ["a"]


def test_rules_look_at_settings_with_the_defaults() -> None:
    script = step(settings={"script": {"kind": "parameter", "name": "script"}})
    assert problems(script, (parameter("script", "a.py", "string"),)) == []
    assert problems(script, (parameter("script", "../a.py", "string"),)) == [
        ("InvalidPath", "steps[0].settings.script")
    ]
    assert problems(script, (parameter("script", 5, "int"),)) == [("InvalidSettings", "steps[0].settings.script")]
    assert problems(script) == [("UnknownParameter", "steps[0].settings.name")]


def test_rules_look_at_timeouts_with_the_defaults() -> None:
    limited = step(timeout_seconds=FromParameter(name="t"))
    assert problems(limited, (parameter("t", 5, "int"),)) == []
    assert problems(limited, (parameter("t", -1.0, "float"),)) == [("InvalidNumber", "steps[0].timeout_seconds")]
    assert problems(limited, (parameter("t", "x", "string"),)) == [("InvalidNumber", "steps[0].timeout_seconds")]
    assert problems(limited) == [("UnknownParameter", "steps[0].timeout_seconds.name")]


def test_rules_look_at_the_parts_of_paths() -> None:
    path = Text(parts=(Literal(value="in/"), FromParameter(name="day")))
    reading = step(inputs=(Input(name="in", source=DatastoreSource(datastore="blobs", path=path)),))
    assert problems(reading, (parameter("day", "x", "string"),)) == []
    assert problems(reading) == [("UnknownParameter", "steps[0].inputs[0].source.path.parts[1].name")]


@pytest.mark.parametrize(
    ("fields", "values", "name"),
    [
        ({"settings": {"script": {"kind": "parameter", "name": "day"}}}, {"day": "/etc/x.py"}, "day"),
        ({"settings": {"script": N}}, {"n": 5}, "n"),
        ({"timeout_seconds": FromParameter(name="n")}, {"n": 0}, "n"),
        ({"timeout_seconds": FromParameter(name="n")}, {"n": 10**9}, "n"),
        (
            {
                "inputs": (
                    Input(
                        name="i", source=DatastoreSource(datastore="b", path=Text(parts=(FromParameter(name="day"),)))
                    ),
                )
            },
            {"day": "../secret"},
            "day",
        ),
        (
            {"outputs": (Output(name="o", destination=(Literal(value="x/"), FromParameter(name="day"))),)},
            {"day": "a//b"},
            "day",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(fields: Any, values: Any, name: str) -> None:
    made = step(**fields)
    assert has_places(made)
    with pytest.raises(InvalidRequest) as caught:
        check_fit([made], values)
    assert caught.value.field == f"parameters.{name}"
