"""The names of v1's modules: what they stand for, what is said where they stand for nothing, and who comes first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from millstream import shim
from millstream.shim.absent import alternative, v1_names
from millstream.shim.finder import resolve
from millstream.shim.table import TABLE
from steps import runtime_path

ROOT = Path(__file__).parents[3]


@pytest.fixture
def azureml() -> Iterator[None]:
    """The shim is active."""
    assert shim.activate(force=True)
    yield
    shim.deactivate()


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The folder that is on the path of steps' processes."""
    return runtime_path.prepare(tmp_path / "runtime")


def python(code: str, folder: Path, *path: Path, isolated: bool = False) -> str:
    """What a Python process prints that has `path` as its PYTHONPATH."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, *(["-S"] if isolated else []), "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def real_azureml(folder: Path) -> Path:
    """An installed azureml-core, as far as imports can tell."""
    core = folder / "azureml" / "core"
    core.mkdir(parents=True)
    (folder / "azureml" / "__init__.py").write_text(
        "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\nreal = True\n"
    )
    (core / "__init__.py").write_text("Run = 'the real one'\n")
    return folder


@pytest.mark.parametrize("module", TABLE)
def test_every_row_is_there(module: str) -> None:
    missing = {}
    for name, home in TABLE[module].items():
        try:
            resolve(home)
        except (ImportError, AttributeError) as error:
            missing[name] = str(error)
    assert missing == {}


def test_the_table_has_only_names_of_v1() -> None:
    strangers = {
        f"{module}.{name}"
        for module, names in TABLE.items()
        for name in names
        if name not in v1_names().get(module, ()) and name != "__version__"
    }
    assert {module for module in TABLE if module not in v1_names()} <= {"azureml.pipeline.core.pipeline_run"}
    assert {name for name in strangers if not name.startswith("azureml.pipeline.core.pipeline_run.")} == set()


def test_what_is_missing_has_an_alternative() -> None:
    silent = {
        f"{module}.{name}"
        for module, names in v1_names().items()
        if module in TABLE
        for name in names
        if name not in TABLE[module] and alternative(module, name).startswith("Nothing")
    }
    assert silent <= {
        "azureml.core.ContainerRegistry",
        "azureml.core.attach_legacy_compute_target",
        "azureml.core.diagnostic_log",
        "azureml.core.is_compute_target_prepared",
        "azureml.core.prepare_compute_target",
        "azureml.core.remove_legacy_compute_target",
        "azureml.core.authentication.Audience",
        "azureml.core.container_registry.RegistryIdentity",
        "azureml.core.experiment.ViewType",
        "azureml.core.run.InputDatasets",
        "azureml.core.run.LinkOutput",
        "azureml.core.run.OutputDatasets",
        "azureml.core.script_run_config.get_run_config_from_script_run",
        "azureml.core.script_run_config.submit",
        "azureml.exceptions.AzureMLAggregatedException",
        "azureml.exceptions.DatasetTimestampMissingError",
        "azureml.exceptions.DiscoveryUrlNotFoundException",
        "azureml.exceptions.ParallelRunException",
        "azureml.exceptions.WorkspacePrivateEndpointException",
        "azureml.train.estimator.MMLBaseEstimator",
        "azureml.train.estimator.MMLBaseEstimatorRunConfig",
    }


@pytest.mark.usefixtures("azureml")
class TestActive:
    def test_the_names_are_ours(self) -> None:
        from millstream import Pipeline, Run

        core, pipelines = import_module("azureml.core"), import_module("azureml.pipeline.core")
        assert core.Run is Run
        assert pipelines.Pipeline is Pipeline
        assert "Run" in dir(core)
        assert core.__all__ == sorted(core.__all__)

    def test_submodules_hang_from_their_packages(self) -> None:
        module = import_module("azureml.pipeline.core.graph")
        assert sys.modules["azureml"].pipeline.core.graph is module

    @pytest.mark.parametrize(
        ("statement", "words"),
        [
            (
                "from azureml.pipeline.core import OutputPortBinding",
                r"does not have azureml\.pipeline\.core\.OutputPortBinding.*PipelineData",
            ),
            ("from azureml.core import Webservice", r"does not have azureml\.core\.Webservice.*Model\.download"),
            ("from azureml.core.compute import AksCompute", r"AksCompute.*AmlCompute.*docs/v1-compatibility\.md"),
            ("import azureml.core.webservice", r"the module azureml\.core\.webservice"),
            ("import azureml.train.automl", r"the module azureml\.train\.automl"),
        ],
    )
    def test_what_v1_has_and_we_have_not_is_explained(self, statement: str, words: str) -> None:
        with pytest.raises(ImportError, match=words):
            exec(statement)

    def test_an_attribute_that_v1_has_and_we_have_not_is_explained(self) -> None:
        core = import_module("azureml.core")
        with pytest.raises(AttributeError, match=r"does not have azureml\.core\.Keyvault.*parameters"):
            _ = core.Keyvault
        assert not hasattr(core, "Keyvault")

    @pytest.mark.parametrize("statement", ["from azureml.core import Nonsense", "import azureml.core.nonsense"])
    def test_what_v1_never_had_is_the_ordinary_error(self, statement: str) -> None:
        with pytest.raises(ImportError, match=r"^(cannot import name|No module named)"):
            exec(statement)

    def test_looking_over_modules_imports_nothing(self) -> None:
        core = import_module("azureml.core")
        before = set(sys.modules)
        assert getattr(core, "__file__", None) is None
        assert set(sys.modules) == before

    def test_activating_twice_changes_nothing(self) -> None:
        before = list(sys.meta_path)
        assert shim.activate()
        assert sys.meta_path == before


def test_a_real_azureml_core_comes_first(tmp_path: Path) -> None:
    real = real_azureml(tmp_path / "site")
    code = "from millstream import shim; print(shim.activate()); import azureml.core; print(azureml.core.Run)"
    assert python(code, ROOT, real) == "False\nthe real one"


def test_a_real_azureml_core_can_be_hidden(tmp_path: Path) -> None:
    real = real_azureml(tmp_path / "site")
    code = "from millstream import shim; print(shim.activate(force=True)); from azureml.core import Run; print(Run)"
    assert python(code, ROOT, real) == "True\n<class 'millstream.run_context.Run'>"


def test_hiding_it_can_come_too_late(tmp_path: Path) -> None:
    real = real_azureml(tmp_path / "site")
    code = "import azureml.core\nfrom millstream import shim\n"
    code += "try: shim.activate(force=True)\nexcept RuntimeError as e: print(e)"
    assert "imported already" in python(code, ROOT, real)


def test_other_packages_of_the_same_first_name_stay(tmp_path: Path) -> None:
    (tmp_path / "azureml" / "mlflow").mkdir(parents=True)
    (tmp_path / "azureml" / "mlflow" / "__init__.py").write_text("there = 1\n")
    code = "from millstream import shim; print(shim.activate()); "
    code += "import azureml.mlflow; from azureml.core import Run; print(Run)"
    assert python(code, ROOT, tmp_path) == "True\n<class 'millstream.run_context.Run'>"


class TestStep:
    def test_a_script_finds_azureml(self, runtime: Path, tmp_path: Path) -> None:
        code = "from azureml.core import Run; print(Run.get_context(allow_offline=True).id[:7])"
        assert python(code, tmp_path, runtime, isolated=True) == "Offline"

    def test_a_real_azureml_core_comes_first(self, runtime: Path, tmp_path: Path) -> None:
        real = real_azureml(tmp_path / "site")
        code = (
            "import azureml.core, sys; print(azureml.core.Run, azureml.real, 'millstream.run_context' in sys.modules)"
        )
        assert python(code, tmp_path, runtime, real, isolated=True) == "the real one True False"

    def test_other_packages_of_the_same_first_name_stay(self, runtime: Path, tmp_path: Path) -> None:
        (tmp_path / "site" / "azureml" / "mlflow").mkdir(parents=True)
        (tmp_path / "site" / "azureml" / "mlflow" / "__init__.py").write_text("there = 1\n")
        code = "import azureml.mlflow; from azureml.core import Run; print(azureml.mlflow.there, Run.__module__)"
        assert python(code, tmp_path, runtime, tmp_path / "site", isolated=True) == "1 millstream.run_context"

    def test_a_script_pays_for_the_standard_library_alone(self, runtime: Path, tmp_path: Path) -> None:
        code = (
            "from azureml.core import Run; Run.get_context(); import sys; "
            "print(*sorted({m.split('.')[0] for m in sys.modules} & {'msgspec', 'orchestrator', 'typing', 'pathlib'}))"
        )
        assert python(code, tmp_path, runtime, isolated=True) == ""

    def test_a_script_pays_for_few_modules(self, runtime: Path, tmp_path: Path) -> None:
        """Each costs some 0.3 ms. That a script of its own needs most of the standard ones anyhow is not counted."""
        code = (
            "import sys; before = set(sys.modules); from azureml.core import Run; Run.get_context();"
            "print(len(set(sys.modules) - before))"
        )
        assert int(python(code, tmp_path, runtime, isolated=True)) <= 60
