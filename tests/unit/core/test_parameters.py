from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from orchestrator.core.definition import DataPathValue, DatasetValue, Definition, Parameter, ParameterValue, Step
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.parameters import coerce
from orchestrator.core.validation import resolve_parameters

PLACE = DataPathValue(datastore="blobs", path="a/b")
SAVED = DatasetValue(id="f" * 64)
STANDARD: dict[str, ParameterValue] = {
    "int": 7,
    "float": 0.5,
    "bool": False,
    "string": "s",
    "datapath": DataPathValue(datastore="blobs", path=""),
    "dataset": DatasetValue(id="0" * 64),
}


def declaring(kind: str) -> Definition:
    parameter = Parameter(name="p", type=kind, default=STANDARD[kind])
    return Definition(name="x", steps=(Step(id="a", name="a", kind="python_script"),), parameters=(parameter,))


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("int", 1, 1),
        ("int", 1.0, 1),
        ("int", "12", 12),
        ("int", " -12 ", -12),
        ("int", True, 1),
        ("int", 2**63 - 1, 2**63 - 1),
        ("float", 1, 1.0),
        ("float", 0.1, 0.1),
        ("float", "0.1", 0.1),
        ("float", "1e-3", 0.001),
        ("float", ".5", 0.5),
        ("bool", True, True),
        ("bool", "true", True),
        ("bool", "False", False),
        ("bool", 1, True),
        ("bool", 0, False),
        ("bool", "1", True),
        ("bool", " 0 ", False),
        ("bool", "TRUE", True),
        ("string", "x", "x"),
        ("string", "", ""),
        ("string", 5, "5"),
        ("string", 0.1, "0.1"),
        ("datapath", PLACE, PLACE),
        ("datapath", {"kind": "datapath", "datastore": "blobs", "path": "a/b"}, PLACE),
        ("datapath", {"DataStoreName": "blobs", "RelativePath": "/a/b/"}, PLACE),
        ("datapath", {"LiteralValue": {"DataStoreName": "blobs", "RelativePath": "a/b"}}, PLACE),
        ("dataset", SAVED, SAVED),
        ("dataset", {"kind": "dataset", "id": "f" * 64}, SAVED),
        ("dataset", {"SavedDataSetReference": {"Id": "f" * 64}}, SAVED),
    ],
)
def test_a_value_becomes_the_declared_type_when_nothing_is_lost(kind: str, given: Any, value: ParameterValue) -> None:
    values, warnings = resolve_parameters(declaring(kind), {"p": given})
    assert values == {"p": value}
    assert type(values["p"]) is type(value)
    assert warnings == ()


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("datapath", "blobs/a"),
        ("datapath", {"kind": "datapath", "datastore": "blobs", "path": "../a"}),
        ("datapath", {"kind": "datapath", "datastore": "blobs", "path": "a", "more": 1}),
        ("datapath", SAVED),
        ("dataset", {"kind": "dataset", "id": "7"}),
        ("dataset", "f" * 64),
        ("int", 1.5),
        ("int", "1.0"),
        ("int", "1_000"),
        ("int", "x"),
        ("int", ""),
        ("int", 2**63),
        ("int", "9" * 5000),
        pytest.param("int", 10**5000, id="int of 5000 digits"),
        ("int", float("inf")),
        ("float", True),
        ("float", 2**53 + 1),
        ("float", "nan"),
        ("float", "1e999"),
        ("float", "0x1p3"),
        pytest.param("float", 10**400, id="float of 400 digits"),
        ("bool", 2),
        ("bool", "yes"),
        ("bool", 1.0),
        ("string", True),
        ("string", "a\0b"),
        ("string", "\ud800"),
        ("string", float("nan")),
        *((kind, value) for kind in STANDARD for value in (None, [1], {"a": 1})),
    ],
)
def test_a_value_that_would_lose_something_is_refused_by_name(kind: str, given: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve_parameters(declaring(kind), {"p": given})
    assert caught.value.field == "parameters.p"
    assert '"p"' in caught.value.message


def test_the_message_says_what_was_given_and_what_was_expected() -> None:
    with pytest.raises(InvalidRequest, match=r'The parameter "p" is a finite number, and "fast" \(string\) is not\.'):
        resolve_parameters(declaring("float"), {"p": "fast"})


def test_what_is_not_given_has_its_default_in_the_declared_type() -> None:
    whole = Parameter(name="rate", type="float", default=1)
    definition = Definition(name="x", steps=(), parameters=(whole,))
    values, _ = resolve_parameters(definition, {})
    assert values == {"rate": 1.0}
    assert isinstance(values["rate"], float)


def test_an_unknown_name_is_a_warning_with_the_nearest_one_that_exists() -> None:
    definition = Definition(name="x", steps=(), parameters=(Parameter(name="reg_rate", type="float", default=0.1),))
    values, (warning,) = resolve_parameters(definition, {"regrate": 0.2, "reg_rate": 0.3})
    assert values == {"reg_rate": 0.3}
    assert warning.severity == "warning"
    assert warning.field == "parameters.regrate"
    assert 'Did you mean "reg_rate"?' in warning.fix


@pytest.mark.parametrize("kind", STANDARD)
def test_unset_stands_for_the_default(kind: str) -> None:
    values, (warning,) = resolve_parameters(declaring(kind), {"p": UNSET, "q": UNSET})
    assert values == {"p": STANDARD[kind]}
    assert warning.field == "parameters.q"


def test_the_list_of_changes_of_an_earlier_run_may_be_given_again() -> None:
    parameter = Parameter(name="p", type="datapath", default=DataPathValue(datastore="d", path="x"))
    given = {"kind": "datapath", "datastore": "d", "path": "in", "changes": "a" * 64}
    assert coerce(parameter, given, "f") == DataPathValue(datastore="d", path="in", changes="a" * 64)
    with pytest.raises(InvalidRequest):
        coerce(parameter, {**given, "changes": "../secret"}, "f")
