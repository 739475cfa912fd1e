from __future__ import annotations

import time
from typing import Any

import pytest

from orchestrator.core.dataset import DatasetView, DelimitedFormat, KeepColumns, TimeRecent
from orchestrator.core.definition import (
    Condition,
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
    MetricOf,
    Output,
    OutputText,
    Parameter,
    ParameterSource,
    ParentSource,
    PropertyOf,
    Registration,
    Step,
    StepSource,
    Text,
)
from orchestrator.core.errors import InvalidDefinition, Problem
from orchestrator.core.retry import RetryPolicy
from orchestrator.core.rules.scene import Scene
from orchestrator.core.validation import RULES, check, validate

SNAPSHOT = "0" * 64
COMPUTES = ("function", "cpu-cluster")
LONGEST = {"function": 1770.0}
DATASTORES = ("workspaceblobstore", "archive")


def step(key: str, **fields: Any) -> Step:
    standard: dict[str, Any] = {
        "id": key,
        "name": key,
        "kind": "python_script",
        "snapshot": SNAPSHOT,
        "settings": {"script": "main.py"},
    }
    return Step(**{**standard, **fields})


def fed(name: str, source_step: str, output: str = "out") -> Input:
    return Input(name=name, source=StepSource(step=source_step, output=output))


def stored(name: str, path: str = "data", datastore: str = "workspaceblobstore") -> Input:
    return Input(name=name, source=DatastoreSource(datastore=datastore, path=path))


def taking(source: Any, mode: str = "mount") -> tuple[Input, ...]:
    return (Input(name="x", source=source, mode=mode),)


OUT = (Output(name="out"),)
PATH_VALUE = DataPathValue(datastore="archive", path="a")
TABLE = DatasetView(type="tabular", format=DelimitedFormat())
DATA = Parameter(name="data", type="datapath", default=PATH_VALUE)
NUMBER = Parameter(name="n", type="int", default=1)


def pipeline(*steps: Step, **fields: Any) -> Definition:
    return Definition(**{"name": "p", "steps": steps, **fields})


def nested(template: Definition | None, **fields: Any) -> Definition:
    """A pipeline of one step, "a", that runs a template."""
    return one(**{"kind": "pipeline", "snapshot": None, "settings": {}, "template": template, **fields})


def one(**fields: Any) -> Definition:
    """A pipeline of one step, "a"."""
    return pipeline(step("a", **fields))


def declares(*parameters: tuple[str, str, Any]) -> Definition:
    """A pipeline with these parameters: name, type, default."""
    declared = tuple(Parameter(name=name, type=kind, default=default) for name, kind, default in parameters)
    return pipeline(step("a"), parameters=declared)


def problems(definition: Definition) -> list[Problem]:
    return validate(definition, computes=COMPUTES, datastores=DATASTORES, longest=LONGEST, attached={})


GOOD = pipeline(
    step(
        "prepare",
        inputs=(stored("raw", "data/iris.csv"),),
        outputs=OUT,
        arguments=(Literal(value="--in"), FromInput(name="raw"), FromOutput(name="out")),
    ),
    step(
        "train",
        inputs=(fed("data", "prepare"),),
        arguments=(FromParameter(name="reg_rate"),),
        run_after=("prepare",),
        compute="cpu-cluster",
        timeout_seconds=60.0,
        retry=RetryPolicy(max_retries=3),
    ),
    step(
        "report",
        run_after=("train",),
        inputs=(
            Input(name="saved", source=DatasetSource(id="f" * 64), mode="direct"),
            Input(name="given", source=ParameterSource(name="data")),
            Input(name="table", source=StepSource(step="prepare", output="out", view=TABLE), mode="direct"),
        ),
        outputs=(
            Output(
                name="kept",
                create=True,
                globs=("**/*.csv",),
                destination=(Literal(value="kept/{run-id}/{output-name}/"), FromParameter(name="reg_rate")),
                register=Registration(name="kept", view=TABLE.then(KeepColumns(columns=("a",)))),
            ),
            Output(name="linked", mode="link", register=Registration(name="linked")),
        ),
        arguments=(Text(parts=(Literal(value="--in="), FromInput(name="given"))),),
        environment={"AML_PARAMETER_x": FromParameter(name="reg_rate"), "A": Literal(value="1")},
    ),
    parameters=(Parameter(name="reg_rate", type="float", default=0.01), DATA),
)

CASES: dict[str, tuple[Definition, str, str, str]] = {
    "dataset id": (one(inputs=taking(DatasetSource(id="7"))), "InvalidName", "steps[0].inputs[0].source.id", "Save"),
    "no such parameter behind an input": (
        one(inputs=taking(ParameterSource(name="x"))),
        "UnknownParameter",
        "steps[0].inputs[0].source.name",
        "no pipeline parameters",
    ),
    "a number behind an input": (
        pipeline(step("a", inputs=taking(ParameterSource(name="n"))), parameters=(NUMBER,)),
        "WrongParameter",
        "steps[0].inputs[0].source.name",
        "datapath",
    ),
    "a path that is direct": (
        one(inputs=taking(DatastoreSource(datastore="archive", path="a"), "direct")),
        "WrongMode",
        "steps[0].inputs[0].mode",
        "mount",
    ),
    "an output that is direct": (
        pipeline(step("a", outputs=OUT), step("b", inputs=taking(StepSource(step="a", output="out"), "direct"))),
        "WrongMode",
        "steps[1].inputs[0].mode",
        "mount",
    ),
    "a path parameter that is direct": (
        pipeline(step("a", inputs=taking(ParameterSource(name="data"), "direct")), parameters=(DATA,)),
        "WrongMode",
        "steps[0].inputs[0].mode",
        "mount",
    ),
    "a table that is mounted": (
        pipeline(
            step("a", outputs=OUT), step("b", inputs=taking(StepSource(step="a", output="out", view=TABLE), "mount"))
        ),
        "WrongMode",
        "steps[1].inputs[0].mode",
        "direct",
    ),
    "a view without its column": (
        pipeline(
            step("a", outputs=OUT),
            step(
                "b",
                inputs=taking(StepSource(step="a", output="out", view=TABLE.then(TimeRecent(seconds=1.0))), "direct"),
            ),
        ),
        "NoTimestamp",
        "steps[1].inputs[0].source.view.operations[0]",
        "with_timestamp_columns",
    ),
    "a default in a datastore that is not there": (
        declares(("p", "datapath", DataPathValue(datastore="archiv", path="a"))),
        "UnknownDatastore",
        "parameters[0].default.datastore",
        "archive",
    ),
    "a dataset for a path": (
        declares(("p", "datapath", DatasetValue(id="f" * 64))),
        "WrongDefault",
        "parameters[0].default",
        "Change",
    ),
    "data as an argument": (
        pipeline(step("a", arguments=(FromParameter(name="data"),)), parameters=(DATA,)),
        "WrongParameter",
        "steps[0].arguments[0].name",
        "source of an input",
    ),
    "a part of a text": (
        one(arguments=(Text(parts=(Literal(value="--in="), FromInput(name="x"))),)),
        "UnknownPort",
        "steps[0].arguments[0].parts[1].name",
        "no inputs",
    ),
    "a destination that climbs": (
        one(outputs=(Output(name="out", destination=(Literal(value="a/../b"),)),)),
        "InvalidPath",
        "steps[0].outputs[0].destination",
        "..",
    ),
    "a destination of no parameter": (
        one(outputs=(Output(name="out", destination=(FromParameter(name="x"),)),)),
        "UnknownParameter",
        "steps[0].outputs[0].destination[0].name",
        "no pipeline parameters",
    ),
    "source files outside": (
        one(source_files=("lib", "../*.py")),
        "InvalidPath",
        "steps[0].source_files[1]",
        "",
    ),
    "a pattern that climbs": (
        one(outputs=(Output(name="out", globs=("../*",)),)),
        "InvalidPath",
        "steps[0].outputs[0].globs[0]",
        "..",
    ),
    "a link with files": (
        one(outputs=(Output(name="out", mode="link", globs=("*",)),)),
        "WrongMode",
        "steps[0].outputs[0].mode",
        "globs",
    ),
    "the name of a registration": (
        one(outputs=(Output(name="out", register=Registration(name="a/b")),)),
        "InvalidName",
        "steps[0].outputs[0].register.name",
        "letters",
    ),
    "schema of tomorrow": (pipeline(step("a"), schema="millstream/pipeline/9"), "UnknownSchema", "schema", "Use"),
    "no name": (pipeline(step("a"), name=""), "InvalidName", "name", "not all blank"),
    "no steps": (pipeline(), "NoSteps", "steps", "at least one"),
    "step id": (pipeline(step("a/b")), "InvalidName", "steps[0].id", "letters"),
    "step name": (one(name=""), "InvalidName", "steps[0].name", "not all blank"),
    "same id twice": (pipeline(step("a"), step("a")), "DuplicateStep", "steps[1].id", "steps[0]"),
    "input named badly": (one(inputs=(stored("x-y"),)), "InvalidName", "steps[0].inputs[0].name", "underscores"),
    "two inputs of a name": (
        one(inputs=(stored("x"), stored("x"))),
        "DuplicatePort",
        "steps[0].inputs[1].name",
        "Rename",
    ),
    "input and output of a name": (
        one(inputs=(stored("out"),), outputs=OUT),
        "DuplicatePort",
        "steps[0].outputs[0].name",
        "Rename",
    ),
    "input mode": (
        one(inputs=(Input(name="x", mode="upload", source=DatastoreSource(datastore="archive", path="")),)),
        "UnknownMode",
        "steps[0].inputs[0].mode",
        "download",
    ),
    "output mode": (
        one(outputs=(Output(name="x", mode="download"),)),
        "UnknownMode",
        "steps[0].outputs[0].mode",
        "upload",
    ),
    "output path climbs": (
        one(outputs=(Output(name="x", path_on_compute="../x"),)),
        "InvalidPath",
        "steps[0].outputs[0].path_on_compute",
        "..",
    ),
    "data path climbs": (
        one(inputs=(stored("x", "a/../../b"),)),
        "InvalidPath",
        "steps[0].inputs[0].source.path",
        "..",
    ),
    "data path absolute": (
        one(inputs=(stored("x", "/a"),)),
        "InvalidPath",
        "steps[0].inputs[0].source.path",
        "relative",
    ),
    "missing producer": (
        pipeline(step("prepare", outputs=OUT), step("b", inputs=(fed("x", "prepair"),))),
        "MissingProducer",
        "steps[1].inputs[0].source.step",
        'Did you mean "prepare"?',
    ),
    "unknown output": (
        pipeline(step("a", outputs=OUT), step("b", inputs=(fed("x", "a", "outt"),))),
        "UnknownOutput",
        "steps[1].inputs[0].source.output",
        'Did you mean "out"?',
    ),
    "no output at all": (
        pipeline(step("a"), step("b", inputs=(fed("x", "a"),))),
        "UnknownOutput",
        "steps[1].inputs[0].source.output",
        "There are no outputs",
    ),
    "feeds itself": (
        one(inputs=(fed("x", "a"),), outputs=OUT),
        "SelfReference",
        "steps[0].inputs[0].source.step",
        "another step",
    ),
    "input datastore": (
        one(inputs=(stored("x", datastore="archiv"),)),
        "UnknownDatastore",
        "steps[0].inputs[0].source.datastore",
        'Did you mean "archive"?',
    ),
    "output datastore": (
        one(outputs=(Output(name="x", datastore="zzz"),)),
        "UnknownDatastore",
        "steps[0].outputs[0].datastore",
        "archive",
    ),
    "compute": (one(compute="cpu_cluster"), "UnknownCompute", "steps[0].compute", 'Did you mean "cpu-cluster"?'),
    "time on a compute": (one(timeout_seconds=1771.0), "TimeoutTooLong", "steps[0].timeout_seconds", "Ask for less"),
    "condition about nothing": (
        one(condition=Condition(value=MetricOf(step="b", name="m"), operator="<", than=1)),
        "UnknownStep",
        "steps[0].condition.value.step",
        "",
    ),
    "condition about itself": (
        one(condition=Condition(value=MetricOf(step="a", name="m"), operator="<", than=1)),
        "SelfReference",
        "steps[0].condition.value.step",
        "",
    ),
    "condition about no output": (
        pipeline(
            step("a", outputs=OUT),
            step("b", condition=Condition(value=OutputText(step="a", output="ou"), operator="==", than="x")),
        ),
        "UnknownOutput",
        "steps[1].condition.value.output",
        "out",
    ),
    "condition with no such parameter": (
        pipeline(
            step("a"),
            step(
                "b",
                condition=Condition(
                    value=PropertyOf(step="a", name="p"), operator="==", than=FromParameter(name="least")
                ),
            ),
        ),
        "UnknownParameter",
        "steps[1].condition.than.name",
        "",
    ),
    "no template": (nested(None), "MissingTemplate", "steps[0].template", "definition"),
    "a template of no use": (one(template=one()), "UnusedTemplate", "steps[0].template", "Leave it out"),
    "within a template": (
        nested(pipeline(step("b", kind="python"))),
        "UnknownKind",
        "steps[0].template.steps[0].kind",
        "python_script",
    ),
    "no step above": (
        one(inputs=taking(ParentSource(input="x"))),
        "NoParent",
        "steps[0].inputs[0].source",
        "templates",
    ),
    "unknown input of the step above": (
        nested(one(inputs=taking(ParentSource(input="dat"))), inputs=(stored("data"),)),
        "UnknownPort",
        "steps[0].template.steps[0].inputs[0].source.input",
        "data",
    ),
    "output of no step of the template": (
        nested(one(), outputs=OUT, settings={"outputs": {"out": {"step": "a", "output": "out"}}}),
        "UnknownOutput",
        "steps[0].settings.outputs",
        "template",
    ),
    "output that is none of the template": (
        nested(one(outputs=OUT), outputs=OUT),
        "UnknownOutput",
        "steps[0].outputs[0]",
        "settings",
    ),
    "kind": (one(kind="python"), "UnknownKind", "steps[0].kind", "python_script"),
    "settings lack the script": (one(settings={}), "InvalidSettings", "steps[0].settings", "definition.md"),
    "settings hold more": (
        one(settings={"script": "a.py", "x": 1}),
        "InvalidSettings",
        "steps[0].settings",
        "definition.md",
    ),
    "settings of another type": (
        one(settings={"script": 5}),
        "InvalidSettings",
        "steps[0].settings.script",
        "definition.md",
    ),
    "script climbs": (one(settings={"script": "../x.py"}), "InvalidPath", "steps[0].settings.script", ".."),
    "no snapshot": (one(snapshot=None), "MissingSnapshot", "steps[0].snapshot", "Upload"),
    "snapshot id": (one(snapshot="xyz"), "InvalidName", "steps[0].snapshot", "Upload"),
    "argument of no input": (
        one(inputs=(stored("data"),), arguments=(FromInput(name="dta"),)),
        "UnknownPort",
        "steps[0].arguments[0].name",
        'Did you mean "data"?',
    ),
    "argument of no output": (
        one(arguments=(Literal(value="x"), FromOutput(name="out"))),
        "UnknownPort",
        "steps[0].arguments[1].name",
        "There are no outputs",
    ),
    "argument of no parameter": (
        one(arguments=(FromParameter(name="p"),)),
        "UnknownParameter",
        "steps[0].arguments[0].name",
        "There are no pipeline parameters",
    ),
    "NUL in an argument": (
        one(arguments=(Literal(value="a\0b"),)),
        "InvalidText",
        "steps[0].arguments[0].value",
        "NUL",
    ),
    "variable of no parameter": (
        one(environment={"A": FromParameter(name="p")}),
        "UnknownParameter",
        "steps[0].environment.A.name",
        "There are no",
    ),
    "variable of the service": (
        one(environment={"MILLSTREAM_SPOOL": Literal(value="")}),
        "InvalidName",
        "steps[0].environment",
        "MILLSTREAM_",
    ),
    "unused parameter": (declares(("p", "int", 1)), "UnusedParameter", "parameters[0]", "leave it out"),
    "parameter twice": (
        declares(("p", "int", 1), ("p", "int", 1)),
        "DuplicateParameter",
        "parameters[1].name",
        "Rename",
    ),
    "parameters alike as variables": (
        declares(("a b", "int", 1), ("a-b", "int", 1)),
        "DuplicateParameter",
        "parameters[1].name",
        "Rename",
    ),
    "parameter type": (declares(("p", "integer", 1)), "UnknownType", "parameters[0].type", '"int"'),
    "default of another type": (declares(("p", "int", "1")), "WrongDefault", "parameters[0].default", "Change"),
    "bool as the default of an int": (declares(("p", "int", True)), "WrongDefault", "parameters[0].default", "Change"),
    "int as the default of a bool": (declares(("p", "bool", 1)), "WrongDefault", "parameters[0].default", "Change"),
    "default too large": (declares(("p", "int", 2**63)), "WrongDefault", "parameters[0].default", "Change"),
    "parameter name": (declares(("a=b", "int", 1)), "InvalidName", "parameters[0].name", "letters"),
    "after nobody": (one(run_after=("b",)), "UnknownStep", "steps[0].run_after[0]", "The steps are"),
    "after itself": (one(run_after=("a",)), "SelfReference", "steps[0].run_after[0]", "Leave it out"),
    "after one twice": (
        pipeline(step("a"), step("b", run_after=("a", "a"))),
        "DuplicateStep",
        "steps[1].run_after[1]",
        "once",
    ),
    "retries": (one(retry=RetryPolicy(max_retries=-1)), "InvalidNumber", "steps[0].retry.max_retries", "0 to 100"),
    "delay": (one(retry=RetryPolicy(delay_seconds=-0.1)), "InvalidNumber", "steps[0].retry.delay_seconds", "0 to"),
    "longest delay": (
        one(retry=RetryPolicy(max_delay_seconds=float("nan"))),
        "InvalidNumber",
        "steps[0].retry.max_delay_seconds",
        "0 to",
    ),
    "back-off": (one(retry=RetryPolicy(backoff=1e300)), "InvalidNumber", "steps[0].retry.backoff", "1 to 100"),
    "timeout": (one(timeout_seconds=-5.0), "InvalidNumber", "steps[0].timeout_seconds", "0 to"),
    "an output by an empty name": (
        one(outputs=(Output(name="out", pipeline_output=" "),)),
        "InvalidName",
        "steps[0].outputs[0].pipeline_output",
        "1 to 255",
    ),
    "an output that nothing makes": (
        one(
            kind="hyperdrive",
            settings={
                "space": {"x": {"kind": "randint", "upper": 3}},
                "primary_metric": "m",
                "goal": "maximize",
                "max_total_runs": 2,
            },
            outputs=OUT,
            template=pipeline(step("trial")),
        ),
        "UnknownOutput",
        "steps[0].outputs",
        "model_files",
    ),
    "a compute that is attached to nothing": (
        one(kind="kusto", settings={"query": "Rows", "database": "d"}, outputs=OUT),
        "NoSuchService",
        "steps[0].compute",
        "KustoCompute.attach_configuration",
    ),
    "timeout of nothing": (one(timeout_seconds=0.0), "InvalidNumber", "steps[0].timeout_seconds", "Leave it out"),
}


def test_a_good_pipeline_has_no_problems() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_found_with_its_place_and_its_fix(case: str) -> None:
    definition, code, field, fix = CASES[case]
    found = [problem for problem in problems(definition) if problem.severity == "error" or code == "UnusedParameter"]
    assert [(problem.code, problem.field) for problem in found if problem.code == code] == [(code, field)], found
    problem = next(problem for problem in found if problem.code == code)
    assert fix in problem.fix or fix in problem.message
    assert problem.message


def test_every_rule_is_in_force() -> None:
    """Leaving any rule out would let one of the cases pass."""
    fired = {rule.__name__: False for rule in RULES}
    cyclic = pipeline(step("a", run_after=("b",)), step("b", run_after=("a",)))
    for definition in (cyclic, *(case[0] for case in CASES.values())):
        scene = Scene(definition, frozenset(COMPUTES), frozenset(DATASTORES), LONGEST, {})
        for rule in RULES:
            fired[rule.__name__] |= any(rule(scene))
    assert all(fired.values()), fired


def test_check_raises_with_every_error_and_returns_warnings() -> None:
    broken = pipeline(step("a", compute="x", run_after=("b",)), step("a"))
    with pytest.raises(InvalidDefinition) as caught:
        check(broken, computes=COMPUTES, datastores=DATASTORES)
    assert {problem.code for problem in caught.value.problems} == {"DuplicateStep", "UnknownCompute", "UnknownStep"}
    assert "3 problems" in caught.value.message
    unused = CASES["unused parameter"][0]
    assert [problem.severity for problem in check(unused, computes=COMPUTES, datastores=DATASTORES)] == ["warning"]


def test_errors_come_before_warnings_so_that_the_field_is_that_of_an_error() -> None:
    both = pipeline(step("a", compute="x"), parameters=(Parameter(name="p", type="int", default=1),))
    with pytest.raises(InvalidDefinition) as caught:
        check(both, computes=COMPUTES, datastores=DATASTORES)
    assert caught.value.field == "steps[0].compute"
    assert [problem.severity for problem in caught.value.problems] == ["error", "warning"]


def test_a_cycle_is_named_whole_in_the_order_of_the_flow() -> None:
    around = pipeline(
        step("start", outputs=OUT),
        step("b", inputs=(fed("x", "d"), fed("s", "start")), outputs=OUT),
        step("c", run_after=("b",), outputs=OUT),
        step("d", inputs=(fed("x", "c"),), outputs=OUT),
        step("after", inputs=(fed("x", "d"),)),
    )
    (cycle,) = problems(around)
    assert cycle.code == "Cycle"
    assert cycle.field == "steps[1]"
    assert '"b" -> "c" -> "d" -> "b"' in cycle.message


def test_separate_cycles_are_each_named() -> None:
    waits = {"a": "b", "b": "a", "c": "d", "d": "e", "e": "c"}
    two = pipeline(*(step(later, run_after=(earlier,)) for later, earlier in waits.items()))
    assert [problem.message.count("->") for problem in problems(two)] == [2, 3]


def test_too_many_steps_is_the_only_thing_said() -> None:
    crowd = pipeline(*(step(f"s{i}", compute="nowhere") for i in range(10_001)))
    (only,) = problems(crowd)
    assert (only.code, only.field) == ("TooManySteps", "steps")
    assert "10,001" in only.message


def test_the_largest_pipelines_good_or_bad_are_judged_quickly() -> None:
    """Nothing in here is quadratic: an attacker may send the worst definition that fits in a body."""
    size = 10_000
    chain = pipeline(
        step("s0", outputs=OUT), *(step(f"s{i}", inputs=(fed("x", f"s{i - 1}"),), outputs=OUT) for i in range(1, size))
    )
    lost = pipeline(*(step(f"s{i}", inputs=(fed("x", f"t{i}"),)) for i in range(size)))
    ring = pipeline(*(step(f"s{i}", run_after=(f"s{(i + 1) % size}",)) for i in range(size)))
    wide = pipeline(
        step(
            "a",
            inputs=tuple(stored(f"i{i}") for i in range(size)),
            arguments=tuple(FromInput(name=f"j{i}") for i in range(size)),
        )
    )
    repeated = pipeline(step("a"), step("b", run_after=("a",) * size))
    for definition in (chain, lost, ring, wide, repeated):
        before = time.process_time()
        found = problems(definition)
        assert len(found) <= 100
        assert (definition is chain) == (not found)
        assert time.process_time() - before < 3
