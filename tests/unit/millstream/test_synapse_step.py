"""What a SynapseSparkStep accepts, and the definition it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from millstream import DataPath, Dataset, HDFSOutputDatasetConfig, PipelineParameter, SynapseSparkStep
from orchestrator.core.definition import FromInput, FromOutput, Literal
from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.synapse_spark import SparkBatch

SIZES = {
    "driver_memory": "28g",
    "driver_cores": 4,
    "executor_memory": "28g",
    "executor_cores": 4,
    "num_executors": 2,
}


def step(**fields: Any) -> SynapseSparkStep:
    given = {"file": "count.py", "source_directory": "src", "compute_target": "spark-pool", **SIZES, **fields}
    return SynapseSparkStep(**given)


def test_datasets_for_spark_are_places_and_no_objects() -> None:
    people = Dataset.File.from_files(DataPath("workspaceblobstore", "people")).as_named_input("people").as_hdfs()
    old = HDFSOutputDatasetConfig("old")
    made = step(inputs=[people], outputs=[old], arguments=["--in", people, "--out", old])
    assert made.wiring.arguments == [
        Literal(value="--in"),
        FromInput(name="people"),
        Literal(value="--out"),
        FromOutput(name="old"),
    ]
    assert [(port.name, port.mode) for port in made.wiring.inputs] == [("people", "mount")]
    assert made.compute == "spark-pool" and made.name == "count.py"


def test_everything_v1_takes_becomes_settings() -> None:
    made = step(
        name="Count",
        app_name="counting",
        conf={"spark.x": True, "spark.y": PipelineParameter("y", "z")},
        py_files=["./lib.zip"],
        jars=["abfss://c@a.dfs.core.windows.net/a.jar"],
        files="table.csv",
    )
    assert made.settings == {
        "file": "count.py",
        **SIZES,
        "app_name": "counting",
        "conf": {"spark.x": "true", "spark.y": {"kind": "parameter", "name": "y"}},
        "py_files": ["lib.zip"],
        "jars": ["abfss://c@a.dfs.core.windows.net/a.jar"],
        "files": ["table.csv"],
    }
    assert made.needs_snapshot
    plain = {**made.settings, "conf": {}}
    assert list(settings_of("synapse_spark", plain).problems("settings")) == []


def test_mistakes_are_told_when_the_step_is_made() -> None:
    with pytest.raises(TypeError, match=r"driver_kores.*driver_cores"):
        step(driver_kores=1)
    problem = step().source_problem(Path("/nowhere"))
    assert problem is not None and problem.code == "MissingScript"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"file": "../x.py"}, "s.file"),
        ({"driver_memory": "28"}, "s.driver_memory"),
        ({"executor_memory": "0g"}, "s.executor_memory"),
        ({"num_executors": 0}, "s.num_executors"),
        ({"py_files": ["/etc/passwd"]}, "s.py_files[0]"),
        ({"jars": ["https://example.org/a.jar", "../a.jar"]}, "s.jars[1]"),
    ],
)
def test_the_service_refuses_what_is_wrong(changes: dict[str, Any], field: str) -> None:
    (problem,) = msgspec.convert({"file": "a.py", **SIZES, **changes}, SparkBatch).problems("s")
    assert problem.field == field
