"""The real azureml-core, where it is installed in the interpreter of a step: it comes before the stand-in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from steps import runtime_path
from tests.azureml_core import interpreter


@pytest.fixture(scope="module")
def real() -> str:
    return interpreter()


def printed(python: str, code: str, folder: Path) -> list[str]:
    """The lines that a script prints in an interpreter that has the path of steps."""
    path = str(runtime_path.prepare(folder / "runtime"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": path}
    done = subprocess.run(
        [python, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.timeout(400)
def test_the_real_one_comes_first(real: str, tmp_path: Path) -> None:
    code = """
import sys
import azureml.core
from azureml.core import Run
run = Run.get_context(allow_offline=True)
print(azureml.core.VERSION)
print(Run.__module__, type(run).__name__)
print([name for name in sys.modules if name.startswith("millstream.run")])
try:
    import azureml.pipeline.core
except ModuleNotFoundError as error:
    print(error)
"""
    shown = printed(real, code, tmp_path)
    assert shown[-4:] == [
        "1.61.0",
        "azureml.core.run _OfflineRun",
        "[]",
        "No module named 'azureml.pipeline'",
    ]


@pytest.mark.timeout(400)
def test_it_gives_way_when_a_driver_is_forced_to(real: str, tmp_path: Path) -> None:
    code = """
from millstream import shim
print(shim.activate(), shim.activate(force=True))
from azureml.core import Run
print(Run.__module__)
"""
    assert printed(real, code, tmp_path) == ["False True", "millstream.run_context"]
