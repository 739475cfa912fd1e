"""Data that is wrong, and scripts that misbehave with it: a clear error, and nothing half-written is ever seen."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream import (
    ArchiveOptions,
    DataPath,
    Dataset,
    Datastore,
    Model,
    OutputFileDatasetConfig,
    Pipeline,
    PipelineData,
    PythonScriptStep,
    Workspace,
)
from millstream.errors import Conflict, InvalidRequest, UnknownThing
from tests.azurite import Azurite
from tests.e2e.test_passing_data import WALK, WRITE, Steps
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

READS = """
import sys
from millstream import Run
frame = Run.get_context().input_datasets["rows"].to_pandas_dataframe()
print(len(frame), list(frame.columns))
"""
FILLS = """
import os, sys
place = os.path.join(sys.argv[1], "small.bin")
open(place, "wb").write(b"x" * 1000)
with open(os.path.join(sys.argv[1], "large.bin"), "wb") as file:
    for _ in range(64):
        file.write(b"x" * (1 << 20))
"""
LEAVES = """
import os, sys
out = sys.argv[1]
open(os.path.join(out, "inside.txt"), "w").write("inside")
open(os.path.join(out, "..", "beside.txt"), "w").write("outside")
open(os.path.join(out, "..", "..", "above.txt"), "w").write("outside")
open(os.path.join(os.environ["TMPDIR"], "temporary.txt"), "w").write("outside")
open("working.txt", "w").write("outside")
open(sys.argv[2], "w").write("outside")
os.symlink(sys.argv[2], os.path.join(out, "link.txt"))
os.symlink("..", os.path.join(out, "up"))
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


@pytest.fixture(scope="module")
def store(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Datastore:
    folder = tmp_path_factory.mktemp("raw")
    (folder / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    (folder / "header.csv").write_text("a,b\n")
    store = workspace.get_default_datastore()
    store.upload(folder, "bad", overwrite=True, show_progress=False)
    return store


@pytest.fixture
def steps(workspace: Workspace, tmp_path: Path) -> Steps:
    return Steps(workspace, tmp_path)


def failing(steps: Steps, step: PythonScriptStep, workspace: Workspace) -> str:
    """The words of its failure; nothing of its outputs may be there."""
    run = Pipeline(workspace, [step]).submit("bad")
    with pytest.raises(Exception) as caught:
        run.wait_for_completion(show_output=False)
    (failed,) = run.find_step_run(step.name)
    assert failed.get_outputs() == {}
    assert failed.get_details()["outputDatasets"] == []
    return str(caught.value)


def test_a_blob_that_is_not_there(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    missing = Dataset.File.from_files((store, "bad/none.csv")).as_named_input("data").as_mount()
    out = OutputFileDatasetConfig("out", (store, "seen/missing")).register_on_complete("never-made")
    text = failing(steps, steps("read", WALK, arguments=[missing, out]), workspace)
    assert "InputMissing" in text
    assert "bad/none.csv" in text
    with pytest.raises(UnknownThing, match="never-made"):
        Dataset.get_by_name(workspace, "never-made")
    assert list(workspace.api.files("workspaceblobstore", "seen/missing")) == []


def test_a_dataset_without_rows_or_files(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    header = Dataset.Tabular.from_delimited_files((store, "bad/header.csv"), validate=False).as_named_input("rows")
    run = steps.run(steps("header", READS, inputs=[header]))
    assert run.find_step_run("header")[0].get_stdout_log().strip() == "0 ['a', 'b']"
    nothing = Dataset.File.from_files((store, "bad/none/**"), validate=False)
    run = steps.run(steps("nothing", WALK, arguments=[nothing.as_named_input("data").as_mount()]))
    assert "the dataset is empty, and so is its folder" in run.find_step_run("nothing")[0].get_stdout_log()
    table = Dataset.Tabular.from_delimited_files((store, "bad/none/*.csv"), validate=False).as_named_input("rows")
    text = failing(steps, steps("table", READS, inputs=[table]), workspace)
    assert "none/*.csv" in text


def test_a_column_that_is_not_there(workspace: Workspace, store: Datastore, steps: Steps) -> None:
    rows = Dataset.Tabular.from_delimited_files((store, "bad/rows.csv")).keep_columns(["a", "colour"])
    text = failing(steps, steps("read", READS, inputs=[rows.as_named_input("rows")]), workspace)
    assert "colour" in text
    assert '"a", "b"' in text


def test_a_name_that_is_taken_and_a_version_that_is_not_there(workspace: Workspace, store: Datastore) -> None:
    first = Dataset.Tabular.from_delimited_files((store, "bad/rows.csv")).register(workspace, "taken")
    with pytest.raises(Conflict, match="taken"):
        Dataset.File.from_files((store, "bad/rows.csv")).register(workspace, "taken")
    assert Dataset.get_by_name(workspace, "taken").id == first.id
    assert [line.version for line in workspace.api.datasets(name="taken")] == [1]
    with pytest.raises(UnknownThing, match="taken"):
        Dataset.get_by_name(workspace, "taken", version=7)
    with pytest.raises(UnknownThing, match="nobodys-model"):
        Model(workspace, "nobodys-model", version=3)


def test_an_archive_whose_paths_climb_out(workspace: Workspace, store: Datastore, steps: Steps, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("good.txt", "x")
        archive.writestr("../../../climbs.txt", "x")
    (tmp_path / "climbs.zip").write_bytes(packed.getvalue())
    store.upload_files([tmp_path / "climbs.zip"], target_path="bad", show_progress=False)
    bad = Dataset.File.from_files((store, "bad/climbs.zip"), archive_options=ArchiveOptions())
    text = failing(steps, steps("read", WALK, arguments=[bad.as_named_input("bad").as_mount()]), workspace)
    assert "InputUnusable" in text
    assert "climbs.txt" in text
    with pytest.raises(Exception, match=r"climbs\.txt"):
        bad.download(tmp_path / "here")
    assert not (tmp_path / "here").exists() or list((tmp_path / "here").rglob("*.txt")) == []


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a/.."])
def test_a_path_that_climbs(workspace: Workspace, store: Datastore, steps: Steps, path: str, tmp_path: Path) -> None:
    for make in (lambda: DataPath(store, path), lambda: Dataset.File.from_files((store, path))):
        with pytest.raises((InvalidRequest, ValueError), match="path"):
            make()
    (tmp_path / "x").write_text("x")
    with pytest.raises((InvalidRequest, ValueError)):
        workspace.api.prepare_uploads(
            "workspaceblobstore", [{"path": path, "size": 1, "sha256": "0" * 64}], overwrite=False
        )
    with pytest.raises((InvalidRequest, ValueError)):
        steps.run(steps("write", WRITE, arguments=[OutputFileDatasetConfig("out", (store, path))]))


def test_a_script_that_writes_outside_its_output(
    workspace: Workspace, store: Datastore, steps: Steps, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    out = OutputFileDatasetConfig("out", (store, "seen/leaves"))
    run = steps.run(steps("leave", LEAVES, arguments=[out, str(outside)]))
    assert outside.read_text() == "outside"
    names = sorted(file.path for file in workspace.api.files("workspaceblobstore", "seen/leaves"))
    assert names == ["seen/leaves/inside.txt"]
    (step,) = run.find_step_run("leave")
    assert run.get_file_names() == ["leave/user_logs/std_log.txt"]
    log = step.get_stdout_log()
    for name in ("link.txt", "up"):
        assert f"'{name}' is not stored" in log


def test_an_output_that_is_replaced_by_something_else(workspace: Workspace, steps: Steps) -> None:
    escape = "import os, sys\nos.rmdir(sys.argv[1])\nos.symlink('/etc', sys.argv[1])"
    text = failing(steps, steps("escape", escape, arguments=[OutputFileDatasetConfig("out")]), workspace)
    assert "OutputUnusable" in text
    gone = "import os, sys\nos.rmdir(sys.argv[1])"
    text = failing(steps, steps("gone", gone, arguments=[OutputFileDatasetConfig("out")]), workspace)
    assert "OutputNotWritten" in text
    assert "OutputNotWritten" in failing(steps, steps("never", "", outputs=[PipelineData("never")]), workspace)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_an_output_that_is_larger_than_the_disk(azurite: Azurite, small_disk: Path, tmp_path: Path) -> None:
    with running_service(azurite, tmp_path / "service", {"MILLSTREAM_CACHE_DIR": str(small_disk / "cache")}) as service:
        workspace = Workspace(url=service.url, token=TOKEN)
        store, steps = workspace.get_default_datastore(), Steps(workspace, tmp_path)
        out = OutputFileDatasetConfig("out", (store, "seen/full")).register_on_complete("too-large")
        text = failing(steps, steps("fill", FILLS, arguments=[out]), workspace)
        assert "DiskFull" in text
        assert "The disk of this node is full" in text
        assert "No space left on device" in text
        assert list(workspace.api.files("workspaceblobstore", "seen/full")) == []
        with pytest.raises(UnknownThing):
            Dataset.get_by_name(workspace, "too-large")
        # What the script left is removed, so that the node goes on.
        fits = OutputFileDatasetConfig("out", (store, "seen/fits"))
        steps.run(steps("fit", WRITE, arguments=[fits, "small.csv"]))
        assert [file.path for file in workspace.api.files("workspaceblobstore", "seen/fits")] == ["seen/fits/small.csv"]
