"""What is deployed: complete, small, without what is only for development, and the same when made again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import yaml

from orchestrator.setting_document import described
from scripts import package


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "app"
    package.stage(folder)
    return folder


def test_what_is_in_it(staged: Path) -> None:
    assert {path.name for path in staged.iterdir()} == {".python_packages", *package.FILES, *package.ROOMS}
    installed = {path.name for path in (staged / package.SITE).iterdir()}
    assert {"azure", "msgspec", "tzdata", "cryptography"} <= installed
    assert not {"pandas", "pyarrow", "pytest", "bin"} & installed
    assert list((staged / package.SITE / "msgspec").glob("*cpython-313-x86_64-linux-gnu.so"))


def test_the_same_files_make_the_same_zip(staged: Path, tmp_path: Path) -> None:
    first = package.pack(staged, tmp_path / "first.zip")
    for path in staged.rglob("*.py"):
        path.touch()
    assert package.pack(staged, tmp_path / "second.zip") == first
    names = zipfile.ZipFile(tmp_path / "first.zip").namelist()
    assert names == sorted(names)
    assert "function_app.py" in names


def test_it_is_small(staged: Path, tmp_path: Path) -> None:
    compiled = package.compile_all(staged)
    package.pack(staged, tmp_path / "app.zip")
    assert (tmp_path / "app.zip").stat().st_size < 15_000_000
    if compiled:
        assert list((staged / "orchestrator").rglob("*.cpython-313.pyc"))


def test_the_manifests_are_of_this_app() -> None:
    folder = package.ROOT / "infra" / "kubernetes"
    documents = list(yaml.safe_load_all((folder / "millstream.yaml").read_text()))
    kinds = [document["kind"] for document in documents]
    assert kinds.count("Deployment") == 2
    assert "ScaledObject" in kinds
    names = {entry["name"] for entry in documents[2]["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert names == {"AzureWebJobs.run_step.Disabled", "AzureWebJobs.run_urgent_step.Disabled"}
    written = (package.ROOT / "orchestrator/triggers/queue.py").read_text()
    assert 'f"run_{step}"' in written and '"urgent_step"' in written
    settings = {setting.variable for setting in described()}
    assert {name for name in documents[1]["data"] if name.startswith("MILLSTREAM_")} <= settings
