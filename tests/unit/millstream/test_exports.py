"""The names that users import are a promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import millstream
from millstream import console

ROOT = Path(__file__).parents[3]

PUBLIC = [
    "AdlaStep",
    "AmlCompute",
    "ArchiveOptions",
    "ArchiveType",
    "AutoMLStep",
    "AzureBatchStep",
    "AzureCliAuthentication",
    "BanditPolicy",
    "BatchCompute",
    "BayesianParameterSampling",
    "CommandStep",
    "ComputeTarget",
    "CondaDependencies",
    "ConfigurationError",
    "Conflict",
    "CredentialAuthentication",
    "DataPath",
    "DataPathComputeBinding",
    "DataReference",
    "DataTransferStep",
    "DataType",
    "DatabricksCompute",
    "DatabricksStep",
    "Dataset",
    "DatasetConsumptionConfig",
    "Datastore",
    "DockerConfiguration",
    "EggLibrary",
    "Environment",
    "Estimator",
    "EstimatorStep",
    "Experiment",
    "FileDataset",
    "FileDatasetFactory",
    "FunctionsKeyAuthentication",
    "GridParameterSampling",
    "HDFSOutputDatasetConfig",
    "HyperDriveConfig",
    "HyperDriveRun",
    "HyperDriveStep",
    "HyperDriveStepRun",
    "InputPortBinding",
    "InputPortDef",
    "InteractiveLoginAuthentication",
    "InvalidDefinition",
    "InvalidRequest",
    "JarLibrary",
    "KustoCompute",
    "KustoStep",
    "LinkFileOutputDatasetConfig",
    "LinkTabularOutputDatasetConfig",
    "MapStep",
    "MavenLibrary",
    "MedianStoppingPolicy",
    "MillstreamError",
    "Model",
    "Module",
    "ModuleStep",
    "ModuleVersion",
    "ModuleVersionDescriptor",
    "MpiStep",
    "MsiAuthentication",
    "NoTerminationPolicy",
    "NotebookRunConfig",
    "NotebookRunnerStep",
    "OutputFileDatasetConfig",
    "OutputPortDef",
    "OutputTabularDatasetConfig",
    "ParallelRunConfig",
    "ParallelRunStep",
    "Pipeline",
    "PipelineData",
    "PipelineDraft",
    "PipelineEndpoint",
    "PipelineInput",
    "PipelineOutputFileDataset",
    "PipelineOutputTabularDataset",
    "PipelineParameter",
    "PipelineRun",
    "PortDataReference",
    "PrimaryMetricGoal",
    "PromoteHeadersBehavior",
    "PublishedPipeline",
    "PyPiLibrary",
    "PythonScriptStep",
    "RCranLibrary",
    "RScriptStep",
    "RandomParameterSampling",
    "RetryPolicy",
    "Run",
    "RunCanceled",
    "RunConfiguration",
    "RunContextError",
    "RunDetails",
    "RunFailed",
    "Schedule",
    "ScheduleRecurrence",
    "ScriptRunConfig",
    "ServicePrincipalAuthentication",
    "SqlDataReference",
    "SqlStep",
    "StepMetric",
    "StepProperty",
    "StepRun",
    "StepSequence",
    "StepText",
    "SubPipelineStep",
    "SynapseCompute",
    "SynapseSparkStep",
    "TabularDataset",
    "TabularDatasetFactory",
    "TimeZone",
    "TokenAuthentication",
    "TooLarge",
    "TrainingOutput",
    "TransferError",
    "TruncationSelectionPolicy",
    "Unauthorized",
    "Unavailable",
    "UnknownThing",
    "WaitTimeout",
    "Workspace",
    "choice",
    "lognormal",
    "loguniform",
    "normal",
    "qlognormal",
    "qloguniform",
    "qnormal",
    "quniform",
    "randint",
    "uniform",
]


def test_the_public_names_are_these_and_all_can_be_imported() -> None:
    assert millstream.__all__ == PUBLIC
    for name in PUBLIC:
        assert getattr(millstream, name).__name__ == name
    assert set(PUBLIC) <= set(dir(millstream))


def test_type_checkers_are_told_of_every_name() -> None:
    text = (ROOT / "millstream" / "__init__.py").read_text()
    declared = [
        line.rpartition(" as ")[2] for line in text.splitlines() if line.startswith("    from ") and " as " in line
    ]
    assert sorted(declared) == PUBLIC
    assert (ROOT / "millstream" / "py.typed").is_file()


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Pipelin'"):
        millstream.Pipelin  # noqa: B018


def test_the_client_starts_without_what_only_some_calls_need() -> None:
    code = "import sys; from millstream import Workspace; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(answer.stdout.split()) & {"numpy", "pandas", "requests", "urllib3", "click", "rich", "azure"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (12.3, "12 s"), (59.7, "1:00 min"), (187, "3:07 min"), (3729, "1:02:09 h")],
)
def test_time_spans_for_people(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (3 * 10**12, "3000.0 GB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert console.amount(size) == text


def test_no_colours_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.styled("x", "red", "bold") == "x"


def test_colours_in_a_terminal_unless_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert console.styled("x", "red", "bold") == "\x1b[31;1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.styled("x", "red") == "x"
