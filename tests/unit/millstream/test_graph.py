"""Which steps a pipeline comes to have, under which ids, in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream import InvalidDefinition, PipelineData, PipelineParameter, PythonScriptStep, StepSequence
from millstream.compiler import compile_pipeline
from millstream.graph import Graph, build, slug
from orchestrator.core.definition import Definition, StepSource
from orchestrator.core.validation import check


def step(
    name: str, reads: list[PipelineData] | None = None, writes: list[PipelineData] | None = None
) -> PythonScriptStep:
    return PythonScriptStep("main.py", name=name, inputs=reads, outputs=writes)


def names(graph: Graph) -> list[str]:
    return [made.name for made in graph.steps]


def compiled(graph: Graph) -> Definition:
    folder = Path("src").absolute()
    return compile_pipeline(
        graph,
        name="p",
        description="",
        default_datastore="store",
        snapshots={folder: "0" * 64},
        default_folder=folder,
    )


def order(graph: Graph) -> dict[str, set[str]]:
    """Step id -> the ids it waits for."""
    definition = compiled(graph)
    check(definition, computes=["function"], datastores=["store"])
    return {
        made.id: {port.source.step for port in made.inputs if isinstance(port.source, StepSource)} | set(made.run_after)
        for made in definition.steps
    }


def test_naming_the_last_step_is_enough() -> None:
    a, b = PipelineData("a"), PipelineData("b")
    first, second = step("first", writes=[a]), step("second", reads=[a], writes=[b])
    last, alone = step("last", reads=[b]), step("alone")
    last.run_after(alone)
    graph = build([last])
    assert names(graph) == ["first", "second", "alone", "last"]
    assert order(graph) == {"first": set(), "second": {"first"}, "alone": set(), "last": {"second", "alone"}}
    assert second in graph.steps
    assert first in graph.steps


def test_lists_are_flattened_and_run_in_parallel() -> None:
    a, b, c = step("a"), step("b"), step("c")
    assert order(build([a, [b, [c]], a])) == {"a": set(), "b": set(), "c": set()}


def test_a_single_step_a_sequence_or_data_will_do() -> None:
    data = PipelineData("data")
    maker = step("maker", writes=[data])
    assert names(build(maker)) == ["maker"]
    assert names(build(data)) == ["maker"]
    assert names(build([StepSequence([maker, step("next")])])) == ["maker", "next"]


def test_each_element_of_a_sequence_waits_for_all_of_the_one_before() -> None:
    a, b, c, d = (step(name) for name in "abcd")
    assert order(build(StepSequence(steps=[a, [b, c], d]))) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}


def test_sequences_nest() -> None:
    a, b, c, d, e = (step(name) for name in "abcde")
    inner = StepSequence([b, c])
    assert order(build(StepSequence([a, [inner, d], e]))) == {
        "a": set(),
        "b": {"a"},
        "c": {"b"},
        "d": {"a"},
        "e": {"c", "d"},
    }


def test_a_sequence_is_not_remembered_by_its_steps() -> None:
    a, b = step("a"), step("b")
    assert order(build(StepSequence([a, b]))) == {"a": set(), "b": {"a"}}
    assert order(build([a, b])) == {"a": set(), "b": set()}


def test_run_after_is_remembered_by_its_step() -> None:
    a, b = step("a"), step("b")
    b.run_after(a)
    assert order(build([b])) == {"a": set(), "b": {"a"}}


def test_ids_come_from_names_are_unique_and_always_the_same() -> None:
    made = [step("Train It!"), step("train it"), step("train-it-2"), step("train it"), step("日本")]
    ids = [build(made).id_of(one) for one in made]
    assert ids == ["train-it", "train-it-2", "train-it-2-2", "train-it-3", "step"]
    assert ids == [build(made).id_of(one) for one in made]
    assert slug("main.py") == "main"
    assert slug("x" * 200) == "x" * 60


def test_a_chain_of_thousands_does_not_exhaust_the_stack() -> None:
    datas = [PipelineData(f"d{i}") for i in range(3000)]
    chain = [step(f"s{i}", reads=datas[i - 1 : i], writes=[datas[i]]) for i in range(3000)]
    graph = build(chain[-1])
    assert len(graph.steps) == 3000
    assert graph.steps[0] is chain[0]


def test_making_a_step_anew_takes_over_its_outputs() -> None:
    """A notebook cell that is run again makes a new step around the same PipelineData."""
    data = PipelineData("data")
    step("old", writes=[data])
    new = step("new", writes=[data])
    assert build(step("reader", reads=[data])).steps[0] is new


def test_the_listed_producer_counts_rather_than_the_latest() -> None:
    data = PipelineData("data")
    old = step("old", writes=[data])
    step("new", writes=[data])
    assert names(build([old, step("reader", reads=[data])])) == ["old", "reader"]


def test_no_producer_is_said_with_the_fix() -> None:
    with pytest.raises(InvalidDefinition, match='step "reader": No step has "data" among its outputs') as caught:
        build([step("reader", reads=[PipelineData("data")])])
    assert caught.value.problems[0].code == "MissingProducer"
    with pytest.raises(InvalidDefinition, match='No step has "leaf"'):
        build([PipelineData("leaf")])


def test_two_producers_in_one_pipeline_are_refused() -> None:
    data = PipelineData("data")
    with pytest.raises(InvalidDefinition, match='"data" is an output of step "one" as well'):
        build([step("one", writes=[data]), step("two", writes=[data])])


def test_without_closure_everything_needed_must_be_listed() -> None:
    data = PipelineData("data")
    maker, reader = step("maker", writes=[data]), step("reader", reads=[data])
    with pytest.raises(InvalidDefinition, match='It needs step "maker"'):
        build([reader], closure=False)
    assert names(build([reader, maker], closure=False)) == ["maker", "reader"]


def test_a_circle_is_built_so_that_the_rules_can_name_it() -> None:
    a, b = step("a"), step("b")
    a.run_after(b)
    b.run_after(a)
    with pytest.raises(InvalidDefinition, match=r'"a" -> "b" -> "a"|"b" -> "a" -> "b"'):
        order(build([a, b]))


@pytest.mark.parametrize("thing", ["step", 5, None])
def test_what_is_no_step_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="made of steps"):
        build([thing])
    with pytest.raises(TypeError, match="StepSequence"):
        StepSequence([thing])


def test_a_parameter_used_twice_is_declared_once_and_contradictions_are_refused() -> None:
    rate = PipelineParameter("rate", 0.1)
    one, two = PythonScriptStep("a.py", arguments=[rate]), PythonScriptStep("b.py", arguments=[rate])
    assert [parameter.name for parameter in compiled(build([one, two])).parameters] == ["rate"]
    other = PythonScriptStep("c.py", arguments=[PipelineParameter("rate", 0.2)])
    with pytest.raises(InvalidDefinition, match=r"the defaults 0\.1 and 0\.2"):
        compiled(build([one, other]))


def test_outputs_go_where_they_say_or_to_the_default() -> None:
    here, there = (
        PipelineData("here"),
        PipelineData(
            "there", datastore="archive", output_mode="upload", output_path_on_compute="out", is_directory=True
        ),
    )
    (made,) = compiled(build(step("a", writes=[here, there]))).steps
    assert [
        (port.name, port.datastore, port.mode, port.path_on_compute, port.is_directory) for port in made.outputs
    ] == [
        ("here", "store", "mount", None, None),
        ("there", "archive", "upload", "out", True),
    ]
