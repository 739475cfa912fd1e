"""What v1's drivers say of packages, images and scripts, and what of it reaches a step."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from millstream.conda_dependencies import CondaDependencies
from millstream.environment import Environment
from millstream.environment_views import EnvironmentView
from millstream.errors import ConfigurationError, InvalidRequest, UnknownThing
from millstream.estimator import Estimator, SKLearn
from millstream.estimator_step import EstimatorStep
from millstream.r_section import RSection
from millstream.run_configuration import DockerConfiguration, RunConfiguration
from millstream.script_run_config import ScriptRunConfig
from millstream.steps import PythonScriptStep
from orchestrator.core.definition import Definition, Step
from orchestrator.core.environments.document import EnvironmentDocument
from orchestrator.core.validation import validate

CONDA = """\
name: training
channels:
- conda-forge
dependencies:
- python=3.11
- pip:
  - --index-url https://example.test/simple
  - scikit-learn==1.9
"""


class TestCondaDependencies:
    def test_packages_replace_other_versions_of_themselves(self) -> None:
        asked = CondaDependencies.create(pip_packages=["scikit_learn==1.0", "pandas>=2"], conda_packages=["numpy"])
        asked.add_pip_package("scikit-learn==1.9")
        asked.add_conda_package("numpy=2.1")
        assert asked.pip_packages == ["pandas>=2", "scikit-learn==1.9"]
        assert asked.conda_packages == ["python=3.10", "numpy=2.1"]

    def test_the_python_version_is_one_of_the_packages(self) -> None:
        asked = CondaDependencies.create(python_version="3.8.13")
        asked.set_python_version("3.11")
        assert asked.python_version == "3.11"
        assert asked.conda_packages == ["python=3.11"]

    def test_pip_options_are_apart(self) -> None:
        asked = CondaDependencies.create(pip_indexurl="https://a.test", pip_packages=["pandas"])
        asked.set_pip_index_url("https://b.test")
        assert asked.pip_options == ["--index-url https://b.test"]
        assert asked.pip_packages == ["pandas"]

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "env.yml").write_text(CONDA)
        asked = CondaDependencies(conda_dependencies_file_path=tmp_path / "env.yml")
        assert (asked.name, asked.python_version) == ("training", "3.11")
        assert (asked.pip_packages, asked.conda_channels) == (["scikit-learn==1.9"], ["conda-forge"])

    @pytest.mark.parametrize(
        "asked",
        [
            CondaDependencies(),
            CondaDependencies.create(pip_packages=["a[b]>=1,<2", "c @ https://x.test/c.whl"], pip_indexurl="https://y"),
            CondaDependencies(_underlying_structure={"name": "1: 'x'", "dependencies": [], "channels": []}),
            CondaDependencies(_underlying_structure={"name": "n", "dependencies": [{"pip": ["no"]}]}),
        ],
    )
    def test_what_is_written_is_read_back(self, asked: CondaDependencies, tmp_path: Path) -> None:
        assert asked.save_to_file(tmp_path, "sub/env.yml") == "sub/env.yml"
        assert CondaDependencies(tmp_path / "sub" / "env.yml").as_dict() == asked.as_dict()

    @pytest.mark.parametrize("text", ["- a\n- b\n", "{", None])
    def test_what_is_no_conda_file_is_refused(self, text: str | None, tmp_path: Path) -> None:
        if text is not None:
            (tmp_path / "env.yml").write_text(text)
        with pytest.raises(InvalidRequest, match=r"env\.yml"):
            CondaDependencies(tmp_path / "env.yml")


class TestEnvironment:
    def test_nothing_asked_for_is_no_wish(self) -> None:
        assert Environment("x").wishes() == {}

    def test_packages_are_added_in_place(self) -> None:
        made = Environment("x")
        assert made.python.conda_dependencies is not None
        made.python.conda_dependencies.add_pip_package("pandas")
        assert made.wishes()["conda"]["dependencies"][-1] == {"pip": ["pandas"]}
        made.python.user_managed_dependencies = True
        assert made.wishes() == {}

    def test_a_file_may_name_them(self, tmp_path: Path) -> None:
        (tmp_path / "env.yml").write_text(CONDA)
        made = Environment("x")
        made.python.conda_dependencies_file = str(tmp_path / "env.yml")
        assert made.wishes()["conda"]["name"] == "training"

    def test_what_is_asked_for_is_a_wish(self, tmp_path: Path) -> None:
        (tmp_path / "requirements.txt").write_text("# pins\npandas==3.1\n\n")
        made = Environment.from_docker_image("x", "image:1", pip_requirements=tmp_path / "requirements.txt")
        wishes = made.wishes()
        assert (wishes["name"], wishes["image"]) == ("x", "image:1")
        assert wishes["conda"]["dependencies"][-1] == {"pip": ["pandas==3.1"]}

    def test_a_password_of_a_registry_is_no_wish_and_not_shown(self) -> None:
        made = Environment.from_docker_image("x", "image:1")
        made.docker.base_image_registry.password = "hush"
        assert "hush" not in json.dumps(made.wishes()) + repr(made.docker)

    def test_a_dockerfile_is_given_as_path_or_text(self, tmp_path: Path) -> None:
        (tmp_path / "Dockerfile").write_text("FROM scratch\n")
        by_path = Environment.from_dockerfile("x", tmp_path / "Dockerfile")
        by_text = Environment.from_dockerfile("x", "FROM scratch\n")
        assert by_path.wishes() == by_text.wishes() == {"name": "x", "dockerfile": "FROM scratch\n"}

    def test_a_clone_goes_its_own_way(self) -> None:
        first = Environment("a")
        second = first.clone("b")
        second.environment_variables["X"] = "1"
        second.docker.base_image = "image"
        assert (first.environment_variables, first.docker.base_image) == ({}, None)

    @pytest.mark.parametrize(
        "thing", [Environment("x"), Environment("x").docker, Environment("x").python, RunConfiguration()]
    )
    def test_an_unknown_attribute_is_an_error(self, thing: Any) -> None:
        with pytest.raises(AttributeError):
            thing.nonsense = 1


class Service:
    """Keeps environments as the service does, one version after the other."""

    def __init__(self) -> None:
        self.api = self
        self.kept: list[EnvironmentView] = []
        self.asked: list[str] = []

    def register_environment(self, wish: dict[str, Any]) -> EnvironmentView:
        self.asked.append(wish["version"])
        holds = msgspec.json.decode(msgspec.json.encode(wish["document"]), type=EnvironmentDocument)
        version = wish["version"] or str(len(self.kept) + 1)
        self.kept.append(EnvironmentView(name=wish["name"], version=version, holds=holds))
        return self.kept[-1]

    def environment(self, name: str, version: str | None) -> EnvironmentView:
        return next(it for it in reversed(self.kept) if it.name == name and version in (None, it.version))


class TestNamed:
    def given(self) -> Environment:
        made = Environment.from_docker_image("x", "image:1")
        made.python.conda_dependencies = CondaDependencies.create(pip_packages=["pandas"], conda_packages=["numpy"])
        made.environment_variables = {"MODE": "fast"}
        made.r = RSection(cran_packages=["dplyr"])
        return made

    def test_what_is_kept_comes_back(self) -> None:
        service: Any = Service()
        made = self.given().register(service)
        again = Environment.get(service, "x", version="1")
        assert again.wishes() == made.wishes() == {**self.given().wishes(), "version": "1"}
        assert again.environment_variables == {"MODE": "fast"}
        assert again.clone("y").version is None
        assert Environment.get(service, "x", label="Latest").version == "1"
        with pytest.raises(InvalidRequest, match="label"):
            Environment.get(service, "x", label="stable")

    def test_a_version_that_came_from_the_service_is_asked_for_while_nothing_changed(self) -> None:
        service: Any = Service()
        made = self.given().register(service)
        made.register(service)
        made.environment_variables["MODE"] = "slow"
        made.register(service)
        made.version = "9"
        made.register(service)
        assert service.asked == ["", "1", "", "9"]

    def test_packages_of_the_node_stay_of_the_node(self) -> None:
        service: Any = Service()
        given = self.given()
        given.python.user_managed_dependencies = True
        assert "conda" not in given.register(service).wishes()


class TestCurated:
    @pytest.mark.parametrize(
        ("name", "packages"),
        [
            ("AzureML-Minimal", []),
            ("AzureML-tensorflow-2.16-cuda12", ["tensorflow"]),
            ("AzureML-TensorFlow-2.3-GPU", ["tensorflow"]),
            ("AzureML-sklearn-1.0-ubuntu20.04-py38-cpu", ["scikit-learn", "joblib", "pandas"]),
            ("AzureML-Scikit-learn-0.20.3", ["scikit-learn", "joblib", "pandas"]),
            ("AzureML-ACPT-pytorch-1.13-py38-cuda11.7-gpu", ["torch", "torchvision"]),
        ],
    )
    def test_a_name_stands_for_packages(self, name: str, packages: list[str]) -> None:
        nobody: Any = None
        made = Environment.get(nobody, name)
        assert made.name == name
        assert made.python.conda_dependencies is not None
        assert made.python.conda_dependencies.pip_packages == ["azureml-defaults", *packages]

    @pytest.mark.parametrize(
        ("name", "instead"),
        [
            ("AzureML-AutoML-GPU", "HyperDriveStep"),
            ("AzureML-sklearn-1.0-ubuntu20.04-py38-cpu-inference", "serves no models"),
            ("AzureML-PySpark-MmlSpark-0.15", "SynapseSparkStep"),
            ("AzureML-unheard-of", "from_pip_requirements"),
        ],
    )
    def test_what_nothing_stands_for_is_refused_with_what_to_use(self, name: str, instead: str) -> None:
        nobody: Any = None
        with pytest.raises(UnknownThing, match=instead):
            Environment.get(nobody, name)


class TestFromConda:
    """With a stand-in that speaks as `conda env export --json` does."""

    def test_its_packages(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        told = {
            "name": "base",
            "channels": ["defaults"],
            "dependencies": ["numpy=2.1", {"pip": ["a==1"]}],
            "prefix": "/x",
        }
        (tmp_path / "conda").write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"sys.exit('no such') if sys.argv[4] != 'base' else print({json.dumps(told)!r})\n"
        )
        (tmp_path / "conda").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        found = Environment.from_existing_conda_environment("mine", "base").wishes()["conda"]
        assert found == {"name": "base", "channels": ["defaults"], "dependencies": ["numpy=2.1", {"pip": ["a==1"]}]}
        with pytest.raises(InvalidRequest, match="no such"):
            Environment.from_existing_conda_environment("mine", "other")

    def test_without_conda_that_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ConfigurationError, match="from_conda_specification"):
            Environment.from_existing_conda_environment("mine", "base")


def configured() -> RunConfiguration:
    config = RunConfiguration(conda_dependencies=CondaDependencies.create(pip_packages=["pandas"]))
    config.target = "cpu-cluster"
    config.environment.environment_variables = {"MODE": "fast"}
    config.docker = DockerConfiguration(use_docker=True)
    return config


class TestSteps:
    def test_a_step_takes_what_its_configuration_says(self) -> None:
        step = PythonScriptStep("train.py", runconfig=configured())
        assert step.compute == "cpu-cluster"
        assert step.settings["environment"]["conda"]["dependencies"][-1] == {"pip": ["pandas"]}
        assert list(step.environment) == ["MODE"]

    def test_what_is_recorded_is_a_good_definition(self) -> None:
        step = PythonScriptStep("train.py", runconfig=configured())
        made = Step(id="a", name="a", kind=step.kind, compute=step.compute, settings=step.settings, snapshot="0" * 64)
        definition = Definition(name="p", steps=(made,))
        assert validate(definition, computes=["cpu-cluster"], datastores=["workspaceblobstore"]) == []

    def test_without_wishes_nothing_is_recorded(self) -> None:
        assert PythonScriptStep("train.py", runconfig=RunConfiguration()).settings == {"script": "train.py"}

    def test_local_stands_for_the_service(self) -> None:
        assert PythonScriptStep("train.py", runconfig=RunConfiguration()).compute == "function"

    def test_the_longest_duration_is_the_step_s(self) -> None:
        config = RunConfiguration()
        config.max_run_duration_seconds = 60
        assert PythonScriptStep("train.py", runconfig=config).timeout_seconds == 60
        assert PythonScriptStep("train.py", runconfig=config, timeout_seconds=5).timeout_seconds == 5


class TestScriptRunConfig:
    def test_it_becomes_a_step(self, tmp_path: Path) -> None:
        given = configured()
        config = ScriptRunConfig(tmp_path, "train.py", ["--reg", 0.1], run_config=given, compute_target="gpu")
        step = config.as_step()
        assert isinstance(step, PythonScriptStep)
        assert (step.script_name, step.compute, step.source_directory) == ("train.py", "gpu", tmp_path)
        assert (given.target, given.script) == ("cpu-cluster", None)
        assert step.timeout_seconds is None

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [({"command": ["a"], "script": "b.py"}, "command"), ({"source_directory": "."}, "script")],
    )
    def test_what_cannot_run_is_refused(self, arguments: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            ScriptRunConfig(**arguments)
        assert caught.value.field == field


class TestEstimators:
    def test_script_params_become_arguments(self) -> None:
        params = {"--reg": 0.1, "--verbose": "", "--name": None}
        assert Estimator(".", entry_script="a.py", script_params=params).arguments == [
            *("--reg", 0.1),
            *("--verbose", "--name"),
        ]

    def test_packages_are_asked_for(self, tmp_path: Path) -> None:
        (tmp_path / "env.yml").write_text(CONDA)
        estimator = SKLearn(
            tmp_path, entry_script="a.py", conda_dependencies_file="env.yml", pip_packages=["pandas"], vm_size="D2"
        )
        assert estimator.conda_dependencies is not None
        assert estimator.conda_dependencies.pip_packages == ["scikit-learn", "joblib", "pandas"]

    def test_what_an_estimator_says_of_its_run(self, tmp_path: Path) -> None:
        estimator = SKLearn(tmp_path, entry_script="a.py", user_managed=True, max_run_duration_seconds=60)
        step = estimator.as_step()
        assert (step.settings, step.timeout_seconds) == ({"script": "a.py"}, 60)

    def test_an_estimator_step_is_a_script_step(self, tmp_path: Path) -> None:
        estimator = Estimator(tmp_path, entry_script="a.py", environment_variables={"X": "1"})
        with pytest.warns(DeprecationWarning, match="PythonScriptStep"):
            step = EstimatorStep("train", estimator, ["--x", 1], compute_target="cpu")
        assert (step.kind, step.name, step.compute) == ("python_script", "train", "cpu")
        assert (step.settings, list(step.environment)) == ({"script": "a.py"}, ["X"])

    @pytest.mark.parametrize(
        ("changes", "error", "words"),
        [
            ({"estimator": None}, TypeError, "must be an Estimator"),
            ({"compute_target": None}, ValueError, "compute_target"),
            ({"estimator_entry_script_arguments": None}, ValueError, "pass \\[\\]"),
            ({"estimator": Estimator(".", entry_script="a", script_params={"a": 1})}, ValueError, "script_params"),
        ],
    )
    def test_what_an_estimator_step_needs(self, changes: dict[str, Any], error: type[Exception], words: str) -> None:
        good = {
            "estimator": Estimator(".", entry_script="a.py"),
            "compute_target": "cpu",
            "estimator_entry_script_arguments": [],
        }
        with pytest.raises(error, match=words):
            EstimatorStep(**{**good, **changes})

    @pytest.mark.parametrize("wrong", [{"entry_scrip": "a"}, {"entry_script": "a.py", "nodes": 1}])
    def test_an_unknown_argument_is_named(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match="has no argument"):
            Estimator(".", **wrong)
