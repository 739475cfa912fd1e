"""What a DatabricksStep accepts, and the definition it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from millstream import (
    DatabricksStep,
    EggLibrary,
    JarLibrary,
    MavenLibrary,
    PipelineData,
    PipelineParameter,
    PyPiLibrary,
    RCranLibrary,
)
from millstream.compiler import compile_pipeline
from millstream.graph import build
from orchestrator.core.definition import FromOutput, FromParameter, Literal
from orchestrator.core.kinds import settings_of
from orchestrator.core.kinds.databricks import DatabricksJob


def step(**fields: Any) -> DatabricksStep:
    return DatabricksStep(**{"name": "spark", "num_workers": 1, **fields})


def test_everything_v1_takes_becomes_settings() -> None:
    made = step(
        python_script_name="./job.py",
        spark_version="15.4.x-scala2.12",
        node_type="Standard_D4_v2",
        num_workers=None,
        min_workers=1,
        max_workers=3,
        instance_pool_id="pool",
        spark_env_variables={"A": 1},
        spark_conf={"spark.speculation": True},
        init_scripts=["dbfs:/init.sh"],
        cluster_log_dbfs_path="dbfs:/logs",
        run_name="nightly",
        timeout_seconds=60,
        maven_libraries=[MavenLibrary("org.jsoup:jsoup:1.7.2", exclusions=["slf4j:slf4j"])],
        pypi_libraries=[PyPiLibrary("simplejson==3.8.0", repo="https://example.org/simple")],
        egg_libraries=[EggLibrary("dbfs:/a.egg")],
        jar_libraries=JarLibrary("dbfs:/a.jar"),
        rcran_libraries=[RCranLibrary("ada")],
    )
    assert made.settings == {
        "script": "job.py",
        "new_cluster": {
            "spark_version": "15.4.x-scala2.12",
            "node_type": "Standard_D4_v2",
            "instance_pool_id": "pool",
            "min_workers": 1,
            "max_workers": 3,
            "spark_env_variables": {"A": "1"},
            "spark_conf": {"spark.speculation": "true"},
            "init_scripts": ["dbfs:/init.sh"],
            "cluster_log_dbfs_path": "dbfs:/logs",
        },
        "libraries": [
            {"maven": {"coordinates": "org.jsoup:jsoup:1.7.2", "exclusions": ["slf4j:slf4j"]}},
            {"pypi": {"package": "simplejson==3.8.0", "repo": "https://example.org/simple"}},
            {"egg": "dbfs:/a.egg"},
            {"jar": "dbfs:/a.jar"},
            {"cran": {"package": "ada"}},
        ],
        "run_name": "nightly",
    }
    assert made.timeout == 60
    assert made.needs_snapshot
    assert list(settings_of("databricks", made.settings).problems("settings")) == []


def test_arguments_hand_a_parameter_over_by_name() -> None:
    out, rate = PipelineData("out"), PipelineParameter("rate", 0.1)
    made = step(python_script_path="dbfs:/job.py", python_script_params=["a", rate, out], outputs=[out])
    assert made.wiring.arguments == [
        Literal(value="a"),
        Literal(value="--rate"),
        FromParameter(name="rate"),
        FromOutput(name="out"),
    ]
    assert not made.needs_snapshot and made.source_problem(Path("/nowhere")) is None


def test_parameters_of_a_notebook_may_come_from_the_run() -> None:
    made = step(notebook_path="/n", notebook_params={"rate": PipelineParameter("rate", 0.1), "mode": "fast"})
    assert made.settings["notebook_params"] == {"rate": {"kind": "parameter", "name": "rate"}, "mode": "fast"}
    assert [parameter.name for parameter in made.wiring.parameters] == ["rate"]


def test_a_missing_script_is_told() -> None:
    problem = step(python_script_name="job.py").source_problem(Path("/nowhere"))
    assert problem is not None and problem.code == "MissingScript"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "exactly one of .* given: none"),
        ({"notebook_path": "/n", "python_script_name": "a.py"}, "given: notebook_path, python_script_name"),
        ({"notebook_path": "/n", "jar_params": ["a"]}, "jar_params are not for notebook_path"),
        ({"main_class_name": "a.B"}, "needs the JAR"),
        ({"notebook_path": "/n", "existing_cluster_id": "c"}, "excludes num_workers"),
        ({"notebook_path": "/n", "permit_cluster_restart": True}, "existing_cluster_id only"),
        ({"notebook_path": "/n", "max_workers": 3}, "num_workers excludes max_workers"),
        ({"notebook_path": "/n", "num_workers": None, "max_workers": 3}, "both of min_workers"),
        ({"notebook_path": "/n", "pypi_libraries": [PyPiLibrary()]}, "PyPiLibrary needs package"),
    ],
)
def test_mistakes_are_told_when_the_step_is_made(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        step(**fields)


def test_a_library_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="jar_libraries takes JarLibrary"):
        step(notebook_path="/n", jar_libraries=[EggLibrary("a")])
    with pytest.raises(TypeError, match=r"spark_konf.*spark_conf"):
        step(notebook_path="/n", spark_konf={})


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "s"),
        ({"notebook": "n", "script": "a.py"}, "s"),
        ({"script": "../a.py"}, "s.script"),
        ({"script": "a.py", "notebook_params": {"a": "b"}}, "s.notebook_params"),
        ({"notebook": "n", "existing_cluster_id": "c", "new_cluster": {"num_workers": 1}}, "s.new_cluster"),
        ({"notebook": "n", "permit_cluster_restart": True}, "s.permit_cluster_restart"),
        ({"notebook": "n", "new_cluster": {}}, "s.new_cluster"),
        ({"notebook": "n", "new_cluster": {"num_workers": 1, "min_workers": 1}}, "s.new_cluster"),
        ({"notebook": "n", "new_cluster": {"min_workers": 1}}, "s.new_cluster"),
        ({"notebook": "n", "new_cluster": {"num_workers": -1}}, "s.new_cluster.num_workers"),
        ({"notebook": "n", "new_cluster": {"min_workers": 3, "max_workers": 1}}, "s.new_cluster.min_workers"),
        ({"notebook": "n", "libraries": [{}]}, "s.libraries[0]"),
        ({"notebook": "n", "libraries": [{"jar": "a", "egg": "b"}]}, "s.libraries[0]"),
        ({"main_class": "a.B"}, "s.libraries"),
    ],
)
def test_the_service_refuses_the_same(settings: dict[str, Any], field: str) -> None:
    (problem,) = msgspec.convert(settings, DatabricksJob).problems("s")
    assert problem.field == field


def test_only_a_script_of_its_own_has_a_source_folder() -> None:
    made = [step(python_script_name="job.py"), step(name="note", notebook_path="/n")]
    folder = Path("src").absolute()
    definition = compile_pipeline(
        build(made),
        name="p",
        description="",
        default_datastore="store",
        snapshots={folder: "0" * 64},
        default_folder=folder,
    )
    assert {found.name: found.snapshot for found in definition.steps} == {"spark": "0" * 64, "note": None}
