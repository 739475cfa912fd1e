from __future__ import annotations

import pytest

from orchestrator.core import names
from orchestrator.core.errors import InvalidRequest
from orchestrator.core.names import Rule

GOOD: list[tuple[Rule, list[str]]] = [
    (names.RUN_ID, ["a", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "R_1", "x" * 128]),
    (names.STEP_ID, ["train", "prepare-data", "a" * 100, "0"]),
    (names.PORT, ["data", "_x", "9", "model_output"]),
    (names.PARAMETER, ["reg_rate", "reg rate", "a.b-c", "1"]),
    (names.EXPERIMENT, ["my_exp", "Training-Pipeline", "e" * 255]),
    (names.DATASTORE, ["workspaceblobstore", "training_data", "archive-2"]),
    (names.MODEL, ["iris.pkl", "my-model_2"]),
    (names.VARIABLE, ["AML_PARAMETER_x", "_a"]),
    (names.PATH, ["a", "a/b.csv", "über/naïve file.csv", ".hidden", "a..b", "x" * 1024]),
    (names.DATA_PATH, ["", "data/iris.csv"]),
    (names.SCRIPT, ["train.py", "src/train.py"]),
    (names.TEXT, ["", "any ÿ text\n"]),
    (names.STEP_NAME, ["Prepare the data (1)", "données\xa0à lire"]),
]

BAD: list[tuple[Rule, list[str]]] = [
    (names.RUN_ID, ["", "-a", "a/b", "a|b", "a b", "x" * 129, "é", "a\n", "a.b"]),
    (names.STEP_ID, ["", "_a", "a.b", "a/..", "a" * 101, "a\n"]),
    (names.PORT, ["", "a-b", "a.b", "é", "a\n", "x" * 129]),
    (names.PARAMETER, ["", " a", "-a", "a\n", "a=b", "x" * 129]),
    (names.EXPERIMENT, ["", "_a", "a b", "e" * 256]),
    (names.DATASTORE, ["", "a/b", "a b"]),
    (names.MODEL, ["", ".a", "a/b"]),
    (names.VARIABLE, ["", "1a", "A-B", "A=B", "MILLSTREAM_SPOOL"]),
    (names.PATH, ["", "/a", "a/../b", "..", ".", "a//b", "a/", "a\\b", "C:/x", "a\0b", "a\x7f", "x" * 1025, "\ud800"]),
    (names.DATA_PATH, ["/a", "../a"]),
    (names.SCRIPT, ["", "../train.py", "/etc/passwd"]),
    (names.TEXT, ["a\0b", "\udcff"]),
    (names.STEP_NAME, ["", " ", "a\nb", "x" * 256, "\ud800"]),
]


@pytest.mark.parametrize(("rule", "value"), [(rule, value) for rule, values in GOOD for value in values])
def test_a_good_name_is_returned_as_it_is(rule: Rule, value: str) -> None:
    assert rule.check(value, "x") == value
    assert rule.problem(value, "x") is None


@pytest.mark.parametrize(("rule", "value"), [(rule, value) for rule, values in BAD for value in values])
def test_a_bad_name_is_refused_with_the_field_and_what_to_do(rule: Rule, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rule.check(value, "steps[2].name")
    assert caught.value.field == "steps[2].name"
    assert rule.what in caught.value.message
    problem = rule.problem(value, "f")
    assert problem is not None
    assert problem.fix
    assert problem.fix in caught.value.message
    assert caught.value.message.isprintable()


def test_long_and_unprintable_values_are_shortened_and_escaped_in_messages() -> None:
    assert names.shown("a\x00b") == '"a\\x00b"'
    assert len(names.shown("x" * 1000)) == 82


@pytest.mark.parametrize(
    ("word", "known", "says"),
    [
        ("cpu_cluster", ["cpu-cluster", "gpu"], 'Did you mean "cpu-cluster"?'),
        ("CPU-CLUSTER", ["cpu-cluster"], 'Did you mean "cpu-cluster"?'),
        ("zzz", ["a", "b"], 'The computes are: "a", "b".'),
        ("zzz", [], "There are no computes."),
        ("zzz", [f"n{i:02d}" for i in range(20)], "and 12 more"),
        ("w" * 300, ["w" * 299], "The computes are:"),
        ("step-0500x", [f"step-{i:04d}" for i in range(250)], 'Did you mean "step-0'),
    ],
)
def test_a_suggestion_names_the_nearest_or_lists_what_there_is(word: str, known: list[str], says: str) -> None:
    assert says in names.suggestion(word, known, "computes")


def test_a_parameter_becomes_an_environment_variable_as_in_v1() -> None:
    assert names.variable_of("reg rate-1") == "AML_PARAMETER_reg_rate_1"
