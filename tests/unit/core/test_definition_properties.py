"""Random definitions: good ones are kept whole and found good; damaged ones are refused and never crash anything."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.core import definition as document
from orchestrator.core.definition import (
    Argument,
    DataPathValue,
    DatasetSource,
    DatasetValue,
    DatastoreSource,
    Definition,
    FromInput,
    FromOutput,
    FromParameter,
    Input,
    Literal,
    Output,
    Parameter,
    ParameterValue,
    Step,
    StepSource,
    Text,
)
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.parameters import DATA_TYPES
from orchestrator.core.plan import Plan
from orchestrator.core.retry import RetryPolicy
from orchestrator.core.validation import check, resolve_parameters, validate

COMPUTES = ("function", "cpu-cluster")
DATASTORES = ("workspaceblobstore", "archive")
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NAMES = st.text("abcXYZ019", min_size=1, max_size=6)
SHOWN = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20).filter(str.strip)
PATHS = st.sampled_from(["", "iris.csv", "data/2026", "a/b/c d.csv", "über"])
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[str, st.SearchStrategy[ParameterValue]] = {
    "int": INT64,
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "string": TEXTS,
    "datapath": st.builds(DataPathValue, datastore=st.sampled_from(DATASTORES), path=PATHS),
    "dataset": st.builds(DatasetValue, id=st.sampled_from("0a9f").map(lambda digit: digit * 64)),
}


@st.composite
def parameters(draw: st.DrawFn) -> tuple[Parameter, ...]:
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    kinds = [draw(st.sampled_from(sorted(VALUES))) for _ in names]
    return tuple(
        Parameter(name=name, type=kind, default=draw(VALUES[kind])) for name, kind in zip(names, kinds, strict=True)
    )


def sources(earlier: list[Step]) -> st.SearchStrategy[StepSource | DatastoreSource | DatasetSource]:
    stored = st.builds(DatastoreSource, datastore=st.sampled_from(DATASTORES), path=PATHS) | st.just(
        DatasetSource(id="b" * 64)
    )
    made = [StepSource(step=step.id, output=port.name) for step in earlier for port in step.outputs]
    return st.one_of(stored, st.sampled_from(made)) if made else stored


@st.composite
def steps(draw: st.DrawFn, number: int, earlier: list[Step], declared: tuple[Parameter, ...]) -> Step:
    ports = draw(st.lists(NAMES, unique=True, max_size=5))
    split = draw(st.integers(0, len(ports)))
    inputs = tuple(
        Input(name=name, source=draw(sources(earlier)), mode=draw(st.sampled_from(["mount", "download"])))
        for name in ports[:split]
    )
    outputs = tuple(
        Output(name=name, datastore=draw(st.sampled_from(DATASTORES)), is_directory=draw(st.none() | st.booleans()))
        for name in ports[split:]
    )
    choices: list[st.SearchStrategy[Argument]] = [st.builds(Literal, value=TEXTS)]
    choices += [st.just(FromInput(name=port.name)) for port in inputs]
    choices += [st.just(FromOutput(name=port.name)) for port in outputs]
    choices += [st.just(FromParameter(name=item.name)) for item in declared if item.type not in DATA_TYPES]
    choices.append(st.builds(Text, parts=st.lists(st.one_of(choices), max_size=3).map(tuple)))
    before = (
        st.lists(st.sampled_from([step.id for step in earlier]), unique=True, max_size=3) if earlier else st.just([])
    )
    return Step(
        id=f"{draw(NAMES)}-{number}",
        name=draw(SHOWN),
        kind="python_script",
        compute=draw(st.sampled_from(COMPUTES)),
        snapshot=draw(st.sampled_from("0a9f")) * 64,
        settings={"script": "main.py"},
        arguments=tuple(draw(st.lists(st.one_of(choices), max_size=4))),
        inputs=inputs,
        outputs=outputs,
        run_after=tuple(draw(before)),
        allow_reuse=draw(st.booleans()),
        retry=RetryPolicy(max_retries=draw(st.integers(0, 3))),
        timeout_seconds=draw(st.none() | st.floats(0.1, 1e6)),
    )


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    declared = draw(parameters())
    made: list[Step] = []
    for number in range(draw(st.integers(1, 5))):
        made.append(draw(steps(number, made, declared)))
    return Definition(
        name=draw(SHOWN), description=draw(TEXTS), parameters=declared, steps=tuple(draw(st.permutations(made)))
    )


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_a_valid_definition_is_kept_whole_and_found_good(definition: Definition) -> None:
    encoded = document.encode(definition)
    assert document.decode(encoded) == definition
    assert document.encode(document.decode(encoded)) == encoded
    problems = validate(definition, computes=COMPUTES, datastores=DATASTORES)
    assert [problem for problem in problems if problem.severity == "error"] == []
    assert Plan(address="", definition=definition).roots
    defaults, _ = resolve_parameters(definition, {})
    assert defaults == {parameter.name: parameter.default for parameter in definition.parameters}


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**64, -(2**64), 1e308, -1, 0, 10_001]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=10),
    st.sampled_from(["../x", "a\0b", "/abs", "", "x" * 2000, "step", "literal", "python_script"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document that has something below or behind it."""
    found = [path] if path else []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        found += places(member, (*path, key))
    return found


def damage(draw: st.DrawFn, whole: Any) -> None:
    """Change one place of the document: replace, remove, repeat, add, or put there what stands elsewhere."""
    path = draw(st.sampled_from(places(whole)))
    parent = whole
    for key in path[:-1]:
        parent = parent[key]
    match draw(st.sampled_from(["replace", "remove", "repeat", "add", "move"])):
        case "remove":
            del parent[path[-1]]
        case "repeat" if isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        case "add" if isinstance(parent, dict):
            parent[draw(st.text(max_size=5))] = draw(ODD)
        case "move":
            other: Any = whole
            for key in draw(st.sampled_from(places(whole))):
                other = other[key]
            parent[path[-1]] = copy.deepcopy(other)
        case _:
            parent[path[-1]] = draw(ODD)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    whole = json.loads(document.encode(draw(definitions())))
    for _ in range(draw(st.integers(1, 3))):
        if places(whole):
            damage(draw, whole)
    return json.dumps(whole).encode()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged(), st.dictionaries(st.text(max_size=5), ODD, max_size=3))
@example(b"", {})
@example(b"\xff", {})
@example(b"[]", {})
def test_a_damaged_document_is_refused_properly_or_is_still_good(body: bytes, given_values: dict[str, Any]) -> None:
    """Only InvalidRequest (of which InvalidDefinition is one) may come out, and it names a field."""
    try:
        definition = document.decode(body)
        check(definition, computes=COMPUTES, datastores=DATASTORES)
    except InvalidRequest as error:
        assert error.field
        assert error.message
        return
    assert document.decode(document.encode(definition)) == definition
    assert Plan(address="", definition=definition).children is not None
    names = [parameter.name for parameter in definition.parameters]
    asked = {**given_values, **dict.fromkeys(names, 1)}
    try:
        values, _ = resolve_parameters(definition, asked)
    except InvalidRequest as error:
        assert (error.field or "").startswith("parameters.")
    else:
        assert set(values) == set(names)
