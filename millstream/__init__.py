"""Millstream for its users: write pipelines, run them, read what came of them, with the names of the Azure ML SDK v1.

Names are imported when they are first used, so that `from millstream import Run` costs a script almost nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in run_context: typing is not imported for this
if TYPE_CHECKING:
    from typing import Any

    from millstream.attached_compute import BatchCompute as BatchCompute
    from millstream.attached_compute import DatabricksCompute as DatabricksCompute
    from millstream.attached_compute import KustoCompute as KustoCompute
    from millstream.attached_compute import SynapseCompute as SynapseCompute
    from millstream.authentication import AzureCliAuthentication as AzureCliAuthentication
    from millstream.authentication import CredentialAuthentication as CredentialAuthentication
    from millstream.authentication import FunctionsKeyAuthentication as FunctionsKeyAuthentication
    from millstream.authentication import InteractiveLoginAuthentication as InteractiveLoginAuthentication
    from millstream.authentication import MsiAuthentication as MsiAuthentication
    from millstream.authentication import ServicePrincipalAuthentication as ServicePrincipalAuthentication
    from millstream.authentication import TokenAuthentication as TokenAuthentication
    from millstream.automl_step import AutoMLStep as AutoMLStep
    from millstream.azure_batch_step import AzureBatchStep as AzureBatchStep
    from millstream.command_step import CommandStep as CommandStep
    from millstream.compute import AmlCompute as AmlCompute
    from millstream.compute import ComputeTarget as ComputeTarget
    from millstream.conda_dependencies import CondaDependencies as CondaDependencies
    from millstream.conditions import StepMetric as StepMetric
    from millstream.conditions import StepProperty as StepProperty
    from millstream.conditions import StepText as StepText
    from millstream.data import DataReference as DataReference
    from millstream.data import InputPortBinding as InputPortBinding
    from millstream.data import PipelineData as PipelineData
    from millstream.data_path import DataPath as DataPath
    from millstream.data_path import DataPathComputeBinding as DataPathComputeBinding
    from millstream.data_transfer import DataTransferStep as DataTransferStep
    from millstream.databricks import EggLibrary as EggLibrary
    from millstream.databricks import JarLibrary as JarLibrary
    from millstream.databricks import MavenLibrary as MavenLibrary
    from millstream.databricks import PyPiLibrary as PyPiLibrary
    from millstream.databricks import RCranLibrary as RCranLibrary
    from millstream.databricks_step import DatabricksStep as DatabricksStep
    from millstream.dataset import Dataset as Dataset
    from millstream.dataset_consumption import DatasetConsumptionConfig as DatasetConsumptionConfig
    from millstream.dataset_factory import FileDatasetFactory as FileDatasetFactory
    from millstream.dataset_factory import TabularDatasetFactory as TabularDatasetFactory
    from millstream.dataset_types import ArchiveOptions as ArchiveOptions
    from millstream.dataset_types import ArchiveType as ArchiveType
    from millstream.dataset_types import DataType as DataType
    from millstream.dataset_types import PromoteHeadersBehavior as PromoteHeadersBehavior
    from millstream.datastore import Datastore as Datastore
    from millstream.environment import Environment as Environment
    from millstream.errors import ConfigurationError as ConfigurationError
    from millstream.errors import Conflict as Conflict
    from millstream.errors import InvalidDefinition as InvalidDefinition
    from millstream.errors import InvalidRequest as InvalidRequest
    from millstream.errors import MillstreamError as MillstreamError
    from millstream.errors import RunCanceled as RunCanceled
    from millstream.errors import RunFailed as RunFailed
    from millstream.errors import TooLarge as TooLarge
    from millstream.errors import TransferError as TransferError
    from millstream.errors import Unauthorized as Unauthorized
    from millstream.errors import Unavailable as Unavailable
    from millstream.errors import UnknownThing as UnknownThing
    from millstream.errors import WaitTimeout as WaitTimeout
    from millstream.estimator import Estimator as Estimator
    from millstream.estimator_step import EstimatorStep as EstimatorStep
    from millstream.experiment import Experiment as Experiment
    from millstream.file_dataset import FileDataset as FileDataset
    from millstream.hdfs_output import HDFSOutputDatasetConfig as HDFSOutputDatasetConfig
    from millstream.hyperdrive import BanditPolicy as BanditPolicy
    from millstream.hyperdrive import BayesianParameterSampling as BayesianParameterSampling
    from millstream.hyperdrive import GridParameterSampling as GridParameterSampling
    from millstream.hyperdrive import HyperDriveConfig as HyperDriveConfig
    from millstream.hyperdrive import MedianStoppingPolicy as MedianStoppingPolicy
    from millstream.hyperdrive import NoTerminationPolicy as NoTerminationPolicy
    from millstream.hyperdrive import PrimaryMetricGoal as PrimaryMetricGoal
    from millstream.hyperdrive import RandomParameterSampling as RandomParameterSampling
    from millstream.hyperdrive import TruncationSelectionPolicy as TruncationSelectionPolicy
    from millstream.hyperdrive_run import HyperDriveRun as HyperDriveRun
    from millstream.hyperdrive_run import HyperDriveStepRun as HyperDriveStepRun
    from millstream.hyperdrive_space import choice as choice
    from millstream.hyperdrive_space import lognormal as lognormal
    from millstream.hyperdrive_space import loguniform as loguniform
    from millstream.hyperdrive_space import normal as normal
    from millstream.hyperdrive_space import qlognormal as qlognormal
    from millstream.hyperdrive_space import qloguniform as qloguniform
    from millstream.hyperdrive_space import qnormal as qnormal
    from millstream.hyperdrive_space import quniform as quniform
    from millstream.hyperdrive_space import randint as randint
    from millstream.hyperdrive_space import uniform as uniform
    from millstream.hyperdrive_step import HyperDriveStep as HyperDriveStep
    from millstream.kusto_step import KustoStep as KustoStep
    from millstream.model import Model as Model
    from millstream.module import Module as Module
    from millstream.module import ModuleVersion as ModuleVersion
    from millstream.module import ModuleVersionDescriptor as ModuleVersionDescriptor
    from millstream.module_step import ModuleStep as ModuleStep
    from millstream.mpi_step import MpiStep as MpiStep
    from millstream.nested_steps import MapStep as MapStep
    from millstream.nested_steps import SubPipelineStep as SubPipelineStep
    from millstream.notebook_step import NotebookRunConfig as NotebookRunConfig
    from millstream.notebook_step import NotebookRunnerStep as NotebookRunnerStep
    from millstream.output_config import LinkFileOutputDatasetConfig as LinkFileOutputDatasetConfig
    from millstream.output_config import LinkTabularOutputDatasetConfig as LinkTabularOutputDatasetConfig
    from millstream.output_config import OutputFileDatasetConfig as OutputFileDatasetConfig
    from millstream.output_config import OutputTabularDatasetConfig as OutputTabularDatasetConfig
    from millstream.parallel_run_config import ParallelRunConfig as ParallelRunConfig
    from millstream.parallel_run_step import ParallelRunStep as ParallelRunStep
    from millstream.parameter import PipelineParameter as PipelineParameter
    from millstream.pipeline import Pipeline as Pipeline
    from millstream.pipeline_dataset import PipelineOutputFileDataset as PipelineOutputFileDataset
    from millstream.pipeline_dataset import PipelineOutputTabularDataset as PipelineOutputTabularDataset
    from millstream.pipeline_draft import PipelineDraft as PipelineDraft
    from millstream.pipeline_endpoint import PipelineEndpoint as PipelineEndpoint
    from millstream.pipeline_input import PipelineInput as PipelineInput
    from millstream.pipeline_run import PipelineRun as PipelineRun
    from millstream.port_defs import InputPortDef as InputPortDef
    from millstream.port_defs import OutputPortDef as OutputPortDef
    from millstream.published import PublishedPipeline as PublishedPipeline
    from millstream.r_script_step import RScriptStep as RScriptStep
    from millstream.run_configuration import DockerConfiguration as DockerConfiguration
    from millstream.run_configuration import RunConfiguration as RunConfiguration
    from millstream.run_context import Run as Run
    from millstream.run_context import RunContextError as RunContextError
    from millstream.schedule import Schedule as Schedule
    from millstream.schedule_recurrence import ScheduleRecurrence as ScheduleRecurrence
    from millstream.script_run_config import ScriptRunConfig as ScriptRunConfig
    from millstream.sequence import StepSequence as StepSequence
    from millstream.sql_data_reference import SqlDataReference as SqlDataReference
    from millstream.sql_steps import AdlaStep as AdlaStep
    from millstream.sql_steps import SqlStep as SqlStep
    from millstream.step_run import PortDataReference as PortDataReference
    from millstream.step_run import StepRun as StepRun
    from millstream.steps import PythonScriptStep as PythonScriptStep
    from millstream.synapse_step import SynapseSparkStep as SynapseSparkStep
    from millstream.tabular_dataset import TabularDataset as TabularDataset
    from millstream.time_zone import TimeZone as TimeZone
    from millstream.training_output import TrainingOutput as TrainingOutput
    from millstream.widgets import RunDetails as RunDetails
    from millstream.workspace import Workspace as Workspace
    from orchestrator.core.retry import RetryPolicy as RetryPolicy

_HOMES = {
    "millstream.attached_compute": ("BatchCompute", "DatabricksCompute", "KustoCompute", "SynapseCompute"),
    "millstream.automl_step": ("AutoMLStep",),
    "millstream.azure_batch_step": ("AzureBatchStep",),
    "millstream.authentication": (
        "AzureCliAuthentication",
        "CredentialAuthentication",
        "FunctionsKeyAuthentication",
        "InteractiveLoginAuthentication",
        "MsiAuthentication",
        "ServicePrincipalAuthentication",
        "TokenAuthentication",
    ),
    "millstream.command_step": ("CommandStep",),
    "millstream.compute": ("AmlCompute", "ComputeTarget"),
    "millstream.conditions": ("StepMetric", "StepProperty", "StepText"),
    "millstream.conda_dependencies": ("CondaDependencies",),
    "millstream.data": ("DataReference", "InputPortBinding", "PipelineData"),
    "millstream.data_path": ("DataPath", "DataPathComputeBinding"),
    "millstream.databricks": ("EggLibrary", "JarLibrary", "MavenLibrary", "PyPiLibrary", "RCranLibrary"),
    "millstream.databricks_step": ("DatabricksStep",),
    "millstream.data_transfer": ("DataTransferStep",),
    "millstream.dataset": ("Dataset",),
    "millstream.dataset_consumption": ("DatasetConsumptionConfig",),
    "millstream.dataset_factory": ("FileDatasetFactory", "TabularDatasetFactory"),
    "millstream.dataset_types": ("ArchiveOptions", "ArchiveType", "DataType", "PromoteHeadersBehavior"),
    "millstream.datastore": ("Datastore",),
    "millstream.environment": ("Environment",),
    "millstream.errors": (
        "ConfigurationError",
        "Conflict",
        "InvalidDefinition",
        "InvalidRequest",
        "MillstreamError",
        "RunCanceled",
        "RunFailed",
        "TooLarge",
        "TransferError",
        "Unauthorized",
        "Unavailable",
        "UnknownThing",
        "WaitTimeout",
    ),
    "millstream.estimator": ("Estimator",),
    "millstream.estimator_step": ("EstimatorStep",),
    "millstream.experiment": ("Experiment",),
    "millstream.file_dataset": ("FileDataset",),
    "millstream.hdfs_output": ("HDFSOutputDatasetConfig",),
    "millstream.kusto_step": ("KustoStep",),
    "millstream.model": ("Model",),
    "millstream.output_config": (
        "LinkFileOutputDatasetConfig",
        "LinkTabularOutputDatasetConfig",
        "OutputFileDatasetConfig",
        "OutputTabularDatasetConfig",
    ),
    "millstream.parallel_run_config": ("ParallelRunConfig",),
    "millstream.parallel_run_step": ("ParallelRunStep",),
    "millstream.parameter": ("PipelineParameter",),
    "millstream.pipeline": ("Pipeline",),
    "millstream.pipeline_dataset": ("PipelineOutputFileDataset", "PipelineOutputTabularDataset"),
    "millstream.pipeline_draft": ("PipelineDraft",),
    "millstream.pipeline_endpoint": ("PipelineEndpoint",),
    "millstream.pipeline_input": ("PipelineInput",),
    "millstream.pipeline_run": ("PipelineRun",),
    "millstream.published": ("PublishedPipeline",),
    "millstream.r_script_step": ("RScriptStep",),
    "millstream.run_configuration": ("DockerConfiguration", "RunConfiguration"),
    "millstream.run_context": ("Run", "RunContextError"),
    "millstream.schedule": ("Schedule",),
    "millstream.schedule_recurrence": ("ScheduleRecurrence",),
    "millstream.script_run_config": ("ScriptRunConfig",),
    "millstream.module": (
        "Module",
        "ModuleVersion",
        "ModuleVersionDescriptor",
    ),
    "millstream.module_step": ("ModuleStep",),
    "millstream.port_defs": (
        "InputPortDef",
        "OutputPortDef",
    ),
    "millstream.mpi_step": ("MpiStep",),
    "millstream.nested_steps": ("MapStep", "SubPipelineStep"),
    "millstream.notebook_step": ("NotebookRunConfig", "NotebookRunnerStep"),
    "millstream.hyperdrive": (
        "BanditPolicy",
        "BayesianParameterSampling",
        "GridParameterSampling",
        "HyperDriveConfig",
        "MedianStoppingPolicy",
        "NoTerminationPolicy",
        "PrimaryMetricGoal",
        "RandomParameterSampling",
        "TruncationSelectionPolicy",
    ),
    "millstream.hyperdrive_run": (
        "HyperDriveRun",
        "HyperDriveStepRun",
    ),
    "millstream.hyperdrive_step": ("HyperDriveStep",),
    "millstream.hyperdrive_space": (
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
    ),
    "millstream.training_output": ("TrainingOutput",),
    "millstream.sequence": ("StepSequence",),
    "millstream.step_run": ("PortDataReference", "StepRun"),
    "millstream.sql_data_reference": ("SqlDataReference",),
    "millstream.sql_steps": ("AdlaStep", "SqlStep"),
    "millstream.steps": ("PythonScriptStep",),
    "millstream.synapse_step": ("SynapseSparkStep",),
    "millstream.tabular_dataset": ("TabularDataset",),
    "millstream.time_zone": ("TimeZone",),
    "millstream.widgets": ("RunDetails",),
    "millstream.workspace": ("Workspace",),
    "orchestrator.core.retry": ("RetryPolicy",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
