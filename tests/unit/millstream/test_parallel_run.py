"""v1's ParallelRunConfig and ParallelRunStep: what they accept, refuse, and compile to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from millstream import (
    Environment,
    FileDataset,
    OutputFileDatasetConfig,
    ParallelRunConfig,
    ParallelRunStep,
    PipelineData,
    PipelineParameter,
    TabularDataset,
)
from orchestrator.core.dataset import DatasetDocument, DatastoreFiles, DelimitedFormat
from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.parallel_run import ParallelRun, size_of

SOURCE = (DatastoreFiles(datastore="workspaceblobstore", path="in/**"),)
FILES = FileDataset(DatasetDocument(type="file", sources=SOURCE), None)
TABLE = TabularDataset(DatasetDocument(type="tabular", sources=SOURCE, format=DelimitedFormat()), None)


def config(**changes: Any) -> ParallelRunConfig:
    given: dict[str, Any] = {
        "environment": Environment("scoring"),
        "entry_script": "score.py",
        "error_threshold": 5,
        "output_action": "append_row",
        "compute_target": "cpu-cluster",
        "node_count": 2,
    }
    return ParallelRunConfig(**given | changes)


def step(changed: ParallelRunConfig | None = None, **changes: Any) -> ParallelRunStep:
    given: dict[str, Any] = {
        "name": "score",
        "parallel_run_config": changed or config(),
        "inputs": [FILES.as_named_input("data")],
        "output": PipelineData("scores"),
    }
    return ParallelRunStep(**given | changes)


def settings(made: ParallelRunStep) -> ParallelRun:
    found = settings_of(made.kind, made.settings)
    assert isinstance(found, ParallelRun)
    assert list(found.problems("settings")) == []
    return found


def test_what_it_compiles_to() -> None:
    made = step(config(mini_batch_size="20", process_count_per_node=3, run_max_try=2, append_row_file_name="out.txt"))
    found = settings(made)
    assert (found.entry_script, found.inputs, found.output) == ("score.py", ("data",), "scores")
    assert (found.mini_batch_size, found.process_count_per_node, found.node_count) == ("20", 3, 2)
    assert (found.run_max_try, found.append_row_file_name, found.error_threshold) == (2, "out.txt", 5)
    assert made.compute == "cpu-cluster"


def test_what_v1_takes_when_nothing_is_said() -> None:
    found = settings(step())
    assert found.mini_batch_size is None
    assert (found.run_max_try, found.run_invocation_timeout, found.logging_level) == (3, 60, "INFO")
    assert found.append_row_file_name == "parallel_run_step.txt"
    assert (found.allowed_failed_count, found.allowed_failed_percent) == (-1, -1.0)


def test_side_inputs_are_inputs_that_are_not_divided() -> None:
    model = PipelineData("model")
    made = step(side_inputs=[model], arguments=["--model", model])
    assert [port.name for port in made.wiring.inputs] == ["data", "model"]
    assert settings(made).inputs == ("data",)


def test_parameters_stand_for_what_may_be_one() -> None:
    made = step(
        config(
            mini_batch_size=PipelineParameter("size", "5"),
            node_count=PipelineParameter("nodes", 2),
            process_count_per_node=PipelineParameter("processes", 2),
            logging_level=PipelineParameter("level", "INFO"),
            run_invocation_timeout=PipelineParameter("timeout", 600),
            run_max_try=PipelineParameter("tries", 3),
        )
    )
    assert made.settings["mini_batch_size"] == {"kind": "parameter", "name": "size"}
    assert {parameter.name for parameter in made.wiring.parameters} == {
        *("size", "nodes", "processes", "level", "timeout", "tries")
    }
    with pytest.raises(TypeError, match="error_threshold must be a whole number, not"):
        config(error_threshold=PipelineParameter("threshold", 3))


def test_partition_keys_may_be_a_json_text() -> None:
    assert settings(step(config(partition_keys=["city", "day"]))).keys() == ("city", "day")
    keys = PipelineParameter("keys", '["city"]')
    assert step(config(partition_keys=keys)).settings["partition_keys"] == {"kind": "parameter", "name": "keys"}
    assert ParallelRun(entry_script="a", inputs=("a",), output="o", partition_keys='["city"]').keys() == ("city",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_action": "sum"}, "output_action cannot be 'sum'. Use 'append_row' or 'summary_only'"),
        ({"error_threshold": -2}, "error_threshold is -2; it must be -1 or more"),
        ({"node_count": 0}, "node_count is 0; it must be 1 or more"),
        ({"process_count_per_node": 0}, "process_count_per_node is 0"),
        ({"run_max_try": 0}, "run_max_try is 0"),
        ({"run_invocation_timeout": 0}, "run_invocation_timeout is 0; it must be more than 0 seconds"),
        ({"mini_batch_size": "1TB"}, "mini_batch_size cannot be '1TB'"),
        ({"mini_batch_size": 0}, "mini_batch_size cannot be 0"),
        ({"mini_batch_size": 5, "partition_keys": ["a"]}, "a mini_batch_size or partition_keys, not both"),
        ({"partition_keys": []}, "name one or more keys"),
        ({"logging_level": "LOUD"}, "logging_level cannot be 'LOUD'"),
        ({"append_row_file_name": "a/b.txt"}, "append_row_file_name cannot be 'a/b.txt'"),
        ({"append_row_file_name": "a", "output_action": "summary_only"}, "belongs to the output_action 'append_row'"),
        ({"allowed_failed_percent": 101}, "allowed_failed_percent is 101"),
        ({"entry_script": ""}, "needs an entry_script"),
    ],
)
def test_what_a_config_refuses(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        config(**changes)


def test_a_compute_has_no_more_nodes_than_it_has() -> None:
    compute = SimpleNamespace(name="small", scale_settings=SimpleNamespace(maximum_node_count=1))
    with pytest.raises(ValueError, match="node_count is 2; the compute 'small' has 1 nodes at most"):
        config(compute_target=compute)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": []}, "there is nothing to divide"),
        ({"inputs": [FILES, TABLE]}, "its inputs are files and tables"),
        ({"inputs": [TABLE.as_named_input("rows").as_mount()]}, "is a table, whose mode must be direct"),
        ({"output": None}, "needs an output for the rows"),
        ({"parallel_run_config": config(mini_batch_size="1MB")}, "of which mini_batch_size is a number, not '1MB'"),
        ({"arguments": ["--data", FILES.as_named_input("data")]}, "it cannot be an argument"),
        ({"arguments": ["value"]}, "its arguments begin with 'value'"),
        ({"arguments": ["--mini-batch-size", 5]}, "belongs to the ParallelRunConfig"),
    ],
)
def test_what_a_step_refuses(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        step(**changes)


def test_inputs_are_a_list() -> None:
    with pytest.raises(TypeError, match="inputs must be a list"):
        step(inputs=FILES)


def test_summary_only_needs_no_output() -> None:
    found = settings(step(config(output_action="summary_only"), output=None))
    assert (found.output, found.output_action) == ("", "summary_only")


def test_outputs_of_earlier_steps_as_datasets_are_inputs() -> None:
    files = PipelineData("prepared").as_dataset()
    rows = OutputFileDatasetConfig("rows").read_delimited_files()
    assert settings(step(inputs=[files])).inputs == ("prepared",)
    assert settings(step(inputs=[rows.as_input("table")])).inputs == ("table",)


def test_environment_variables_reach_the_processes() -> None:
    environment = Environment("scoring")
    environment.environment_variables = {"A": "1", "B": "1"}
    made = step(config(environment=environment, environment_variables={"B": "2"}))
    assert {name: getattr(value, "value", None) for name, value in made.environment.items()} == {"A": "1", "B": "2"}
    assert environment.environment_variables == {"A": "1", "B": "1"}


def test_the_entry_script_must_be_there(tmp_path: Path) -> None:
    problem = step().source_problem(tmp_path)
    assert problem is not None
    assert "There is no entry script" in problem.message
    (tmp_path / "score.py").touch()
    assert step().source_problem(tmp_path) is None


def test_a_config_comes_back_from_its_file(tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="pyyaml, which is optional, reads the file")
    path = tmp_path / "config.yml"
    config(mini_batch_size="2MB", run_max_try=PipelineParameter("tries", 4), source_directory="src").save_to_yaml(path)
    again = ParallelRunConfig.load_yaml(None, path)  # type: ignore[arg-type]
    assert (again.mini_batch_size, again.run_max_try, again.compute_target) == ("2MB", 4, "cpu-cluster")
    assert again.source_directory == Path("src")


@pytest.mark.parametrize(
    ("text", "size"),
    [(7, 7), ("7", 7), ("1KB", 1024), ("2mb", 2 * 1024**2), ("1G", 1024**3), ("0", None), ("x", None), (True, None)],
)
def test_sizes(text: int | str, size: int | None) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"inputs": ()}, "inputs"),
        ({"output": ""}, "output"),
        ({"entry_script": "../a.py"}, "entry_script"),
        ({"append_row_file_name": "a/b"}, "append_row_file_name"),
        ({"mini_batch_size": "many"}, "mini_batch_size"),
        ({"partition_keys": "city"}, "partition_keys"),
        ({"partition_keys": ("a",), "mini_batch_size": 3}, "mini_batch_size"),
        ({"node_count": 0}, "node_count"),
        ({"run_invocation_timeout": 0}, "run_invocation_timeout"),
        ({"logging_level": "LOUD"}, "logging_level"),
    ],
)
def test_the_service_looks_at_settings_by_itself(changes: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"entry_script": "a.py", "inputs": ("data",), "output": "out"}
    assert [it.field for it in ParallelRun(**given | changes).problems("s")] == [f"s.{field}"]
