"""A script on the node's own Spark, up to where Spark itself begins (tests/e2e/steps/test_spark.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from orchestrator.core.kinds.databricks import Library
from steps.databricks.local import _jars, _package
from steps.failures import InvalidStep, StartFailed
from steps.spark import local


def test_without_pyspark_it_is_said_how_to_get_it() -> None:
    with pytest.raises(StartFailed, match=r"millstream\[spark\].*MILLSTREAM_SPARK_PYTHON"):
        local.home_of(sys.executable)
    with pytest.raises(StartFailed, match="/nowhere/python, of MILLSTREAM_SPARK_PYTHON"):
        local.home_of("/nowhere/python")


def test_without_java_it_is_said_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"no Java.*17"):
        local.java_of({"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path)})
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch(0o755)
    assert local.java_of({"JAVA_HOME": str(tmp_path / "jdk")}) == str(tmp_path / "jdk")
    assert local.java_of({"PATH": str(java.parent)}) == str(tmp_path / "jdk")


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'["/spark", ["pyspark", "scikit-learn"]]\'\n')
    python.chmod(0o755)
    assert local.home_of(str(python), ["PySpark", "scikit_learn"]) == "/spark"
    with pytest.raises(InvalidStep, match="does not have lightgbm beside"):
        local.home_of(str(python), ["pyspark", "lightgbm"])


def test_settings_cannot_break_out_of_their_line(tmp_path: Path) -> None:
    folder = local.folder_with_settings(tmp_path, {"spark.x": "a = b\n#ü\\😀", "spark.master": "local[2]"})
    lines = (folder / "spark-defaults.conf").read_text().splitlines()
    assert "spark.x=a\\u0020\\u003d\\u0020b\\u000a\\u0023\\u00fc\\u005c\\ud83d\\ude00" in lines
    assert [line for line in lines if line.startswith("spark.master")] == ["spark.master=local[2]"]


def test_maven_packages_are_sparks_own_matter() -> None:
    given = [
        {"maven": {"coordinates": "a:b:1", "repo": "r", "exclusions": ["c:d"]}},
        {"maven": {"coordinates": "e:f:2"}},
    ]
    assert _jars(msgspec.convert(given, tuple[Library, ...])) == {
        "spark.jars.packages": "a:b:1,e:f:2",
        "spark.jars.repositories": "r",
        "spark.jars.excludes": "c:d",
    }
    with pytest.raises(InvalidStep, match="none of the kind jar"):
        _jars((Library(jar="dbfs:/a.jar"),))


@pytest.mark.parametrize("text", ["scikit-learn", "scikit-learn==1.2", " scikit-learn[all]>=1", "scikit-learn ; x"])
def test_the_name_in_a_requirement(text: str) -> None:
    assert _package(text) == "scikit-learn"
