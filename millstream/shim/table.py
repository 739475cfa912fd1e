"""The one table of the shim: module of v1 -> name -> where this project has it, as `module:name`.

A row may name what is not there yet: it is resolved when it is used. tests/unit/millstream/test_shim.py resolves all.
"""

from __future__ import annotations


def _at(home: str, names: str) -> dict[str, str]:
    """Rows for names at one home. `Name=Ours` where ours is called differently."""
    pairs = (name.partition("=") for name in names.split())
    return {name: f"{home}:{ours or name}" for name, _, ours in pairs}


_WORKSPACE = _at("millstream.workspace", "Workspace")
_EXPERIMENT = _at("millstream.experiment", "Experiment")
_RUN = _at("millstream.run_context", "Run")
_GET_RUN = _at("millstream.runs", "get_run=get_run_of")
_DATASTORE = _at("millstream.datastore", "Datastore")
_MODEL = _at("millstream.model", "Model")
_DATA_FACTORY = _at("millstream.data_factory", "DataFactoryCompute")
_SYNAPSE_COMPUTE = _at("millstream.attached_compute", "SynapseCompute")
_BATCH_COMPUTE = _at("millstream.attached_compute", "BatchCompute")
_KUSTO_COMPUTE = _at("millstream.attached_compute", "KustoCompute")
_DATABRICKS_COMPUTE = _at("millstream.attached_compute", "DatabricksCompute")
_COMPUTE = {
    **_at("millstream.compute", "ComputeTarget AmlCompute"),
    **_DATA_FACTORY,
    **_BATCH_COMPUTE,
    **_DATABRICKS_COMPUTE,
    **_KUSTO_COMPUTE,
    **_SYNAPSE_COMPUTE,
}
_COMPUTE_ERROR = _at("millstream.exceptions", "ComputeTargetException")
_ENVIRONMENT = _at("millstream.environment", "Environment")
_CONDA = _at("millstream.conda_dependencies", "CondaDependencies")
_IMAGES = _at("millstream.shim.facts", "DEFAULT_CPU_IMAGE DEFAULT_GPU_IMAGE")
_RUN_CONFIG = _at("millstream.run_configuration", "RunConfiguration")
_SCRIPT_RUN_CONFIG = _at("millstream.script_run_config", "ScriptRunConfig")
_FRAMEWORKS = _at("millstream.distribution", "Gloo Mpi=MpiConfiguration Nccl ParameterServer")
_DISTRIBUTION = _at("millstream.distribution", "MpiConfiguration PyTorchConfiguration TensorflowConfiguration")
_REGISTRY = _at("millstream.environment", "ContainerRegistry")
_DATA_REFERENCE = _at("millstream.data", "DataReference")
_BINDING = _at("millstream.data", "InputPortBinding")
_PIPELINE_DATA = _at("millstream.data", "PipelineData")
_PARAMETER = _at("millstream.parameter", "PipelineParameter")
_STEP = _at("millstream.steps", "PipelineStep")
_SCHEDULE = _at("millstream", "Schedule ScheduleRecurrence TimeZone")
_SEQUENCE = _at("millstream.sequence", "StepSequence")
_PIPELINE = _at("millstream.pipeline", "Pipeline")
_PUBLISHED = _at("millstream.published", "PublishedPipeline")
_ENDPOINT = _at("millstream.pipeline_endpoint", "PipelineEndpoint")
_DRAFT = _at("millstream.pipeline_draft", "PipelineDraft")
_ENDPOINT_VERSION = _at("millstream.pipeline_endpoint", "PipelineVersion")
_RUNS = {
    **_at("millstream.pipeline_run", "PipelineRun"),
    **_at("millstream.step_run", "StepRun StepRunOutput"),
}
_PORT = _at("millstream.step_run", "PortDataReference")
_SCRIPT_STEP = _at("millstream.steps", "PythonScriptStep")
_ESTIMATOR_STEP = _at("millstream.estimator_step", "EstimatorStep")
_ADLA_STEP = _at("millstream.sql_steps", "AdlaStep")
_MODULE = _at("millstream.module", "Module ModuleVersion ModuleVersionDescriptor")
_MODULE_STEP = _at("millstream.module_step", "ModuleStep")
_AUTOML_STEP = _at("millstream.automl_step", "AutoMLStep")
_BATCH_STEP = _at("millstream.azure_batch_step", "AzureBatchStep")
_KUSTO_STEP = _at("millstream.kusto_step", "KustoStep")
_COMMAND_STEP = _at("millstream.command_step", "CommandStep")
_MPI_STEP = _at("millstream.mpi_step", "MpiStep")
_R_SCRIPT_STEP = _at("millstream.r_script_step", "RScriptStep")
_R = _at("millstream.r_section", "RCranPackage RGitHubPackage RSection")
_NOTEBOOK = _at("millstream.notebook_step", "NotebookRunConfig NotebookRunnerStep")
_HYPERDRIVE_STEP = _at("millstream.hyperdrive_step", "HyperDriveStep")
_HYPERDRIVE_RUN = _at("millstream.hyperdrive_run", "HyperDriveRun")
_HYPERDRIVE_STEP_RUN = _at("millstream.hyperdrive_run", "HyperDriveStepRun")
_HYPERDRIVE_CONFIG = _at(
    "millstream.hyperdrive", "HyperDriveConfig HyperDriveRunConfig=HyperDriveConfig PrimaryMetricGoal"
)
_POLICIES = _at(
    "millstream.hyperdrive",
    "BanditPolicy EarlyTerminationPolicy MedianStoppingPolicy NoTerminationPolicy TruncationSelectionPolicy",
)
_SAMPLINGS = _at(
    "millstream.hyperdrive",
    "BayesianParameterSampling GridParameterSampling HyperParameterSampling RandomParameterSampling",
)
_SPACE = _at(
    "millstream.hyperdrive_space",
    "choice lognormal loguniform normal qlognormal qloguniform qnormal quniform randint uniform",
)
_TRAINING_OUTPUT = _at("millstream.training_output", "TrainingOutput")
_PORT_DEFS = _at("millstream.port_defs", "InputPortDef OutputPortDef")
_SYNAPSE_STEP = _at("millstream.synapse_step", "SynapseSparkStep")
_DATABRICKS_STEP = _at("millstream.databricks_step", "DatabricksStep")
_LIBRARIES = _at("millstream.databricks", "EggLibrary JarLibrary MavenLibrary PyPiLibrary RCranLibrary")
_TRANSFER_STEP = _at("millstream.data_transfer", "DataTransferStep")
_PARALLEL_CONFIG = _at("millstream.parallel_run_config", "ParallelRunConfig")
_PARALLEL_STEP = _at("millstream.parallel_run_step", "ParallelRunStep")
_ESTIMATORS = "millstream.estimator"
# Of these the package itself says where they are.
_DATASET = _at("millstream", "Dataset")
_FILE_DATASET = _at("millstream", "FileDataset")
_TABULAR_DATASET = _at("millstream", "TabularDataset")
_DATA_TYPE = _at("millstream", "DataType")
_DATA_PATH = _at("millstream", "DataPath")
_CONSUMPTION = _at("millstream", "DatasetConsumptionConfig")
_OUTPUTS = {
    **_at("millstream", "OutputFileDatasetConfig HDFSOutputDatasetConfig"),
    **_at("millstream", "LinkFileOutputDatasetConfig LinkTabularOutputDatasetConfig"),
}
_PIPELINE_DATASETS = _at(
    "millstream.pipeline_dataset",
    "PipelineOutputAbstractDataset PipelineOutputFileDataset PipelineOutputTabularDataset",
)

TABLE: dict[str, dict[str, str]] = {
    "azureml": {},
    "azureml.contrib": {},
    "azureml.contrib.notebook": _NOTEBOOK,
    "azureml.contrib.pipeline": {},
    "azureml.contrib.pipeline.steps": {**_PARALLEL_CONFIG, **_PARALLEL_STEP},
    "azureml.core": {
        **_WORKSPACE,
        **_EXPERIMENT,
        **_RUN,
        **_GET_RUN,
        **_DATASTORE,
        **_DATASET,
        **_MODEL,
        **_at("millstream.compute", "ComputeTarget"),
        **_ENVIRONMENT,
        **_REGISTRY,
        **_RUN_CONFIG,
        **_SCRIPT_RUN_CONFIG,
        **_at("millstream.shim.facts", "VERSION __version__=VERSION"),
        **_at("millstream.step_run", "ScriptRun=StepRun"),
    },
    "azureml.core.authentication": _at(
        "millstream.authentication",
        "AbstractAuthentication=Authentication AzureCliAuthentication InteractiveLoginAuthentication MsiAuthentication "
        "ServicePrincipalAuthentication TokenAuthentication",
    ),
    "azureml.core.compute": _COMPUTE,
    "azureml.core.compute.amlcompute": _at(
        "millstream.compute", "AmlCompute AmlComputeProvisioningConfiguration AmlComputeStatus ScaleSettings"
    ),
    "azureml.core.compute.compute": {**_at("millstream.compute", "ComputeTarget"), **_COMPUTE_ERROR},
    "azureml.core.compute.databricks": {
        **_DATABRICKS_COMPUTE,
        **_at("millstream.attached_compute", "DatabricksAttachConfiguration=AttachConfiguration"),
    },
    "azureml.core.compute.datafactory": _DATA_FACTORY,
    "azureml.core.compute.batch": {
        **_BATCH_COMPUTE,
        **_at("millstream.attached_compute", "BatchAttachConfiguration=AttachConfiguration"),
    },
    "azureml.core.compute.kusto": {
        **_KUSTO_COMPUTE,
        **_at("millstream.attached_compute", "KustoAttachConfiguration=AttachConfiguration"),
    },
    "azureml.core.compute.synapse": {
        **_SYNAPSE_COMPUTE,
        **_at("millstream.attached_compute", "SynapseAttachConfiguration=AttachConfiguration"),
    },
    "azureml.core.compute_target": _COMPUTE_ERROR,
    "azureml.core.conda_dependencies": _CONDA,
    "azureml.core.container_registry": _REGISTRY,
    "azureml.core.databricks": _LIBRARIES,
    "azureml.core.dataset": _DATASET,
    "azureml.core.datastore": _DATASTORE,
    "azureml.core.environment": {
        **_ENVIRONMENT,
        **_at("millstream.environment", "DockerEnvironment=DockerSection DockerSection"),
        **_R,
        **_at("millstream.environment", "PythonEnvironment=PythonSection PythonSection"),
        **_CONDA,
        **_IMAGES,
    },
    "azureml.core.experiment": _EXPERIMENT,
    "azureml.core.model": {**_MODEL, **_DATASET, **_at("millstream.exceptions", "ModelNotFoundException")},
    "azureml.core.run": {**_RUN, **_GET_RUN},
    "azureml.core.runconfig": {
        **_RUN_CONFIG,
        **_at("millstream.run_configuration", "DockerConfiguration"),
        **_REGISTRY,
        **_DISTRIBUTION,
        **_CONDA,
        **_IMAGES,
        **_LIBRARIES,
        **_at("millstream.environment", "EnvironmentDefinition=Environment"),
    },
    "azureml.core.script_run": _at("millstream.step_run", "ScriptRun=StepRun"),
    "azureml.core.script_run_config": _SCRIPT_RUN_CONFIG,
    "azureml.core.workspace": {
        **_WORKSPACE,
        **_at("millstream.exceptions", "UserErrorException WorkspaceException"),
    },
    "azureml.data": {**_FILE_DATASET, **_TABULAR_DATASET, **_DATA_TYPE, **_OUTPUTS},
    "azureml.data.azure_data_lake_datastore": _at("millstream.datastore", "AzureDataLakeGen2Datastore=Datastore"),
    "azureml.data.azure_my_sql_datastore": _at("millstream.datastore", "AzureMySqlDatastore=Datastore"),
    "azureml.data.azure_postgre_sql_datastore": _at("millstream.datastore", "AzurePostgreSqlDatastore=Datastore"),
    "azureml.data.azure_sql_database_datastore": _at("millstream.datastore", "AzureSqlDatabaseDatastore=Datastore"),
    "azureml.data.azure_storage_datastore": _at(
        "millstream.datastore", "AzureBlobDatastore=Datastore AzureFileDatastore=Datastore"
    ),
    "azureml.data.data_reference": _DATA_REFERENCE,
    "azureml.data.datapath": {**_DATA_PATH, **_at("millstream", "DataPathComputeBinding"), **_DATA_REFERENCE},
    "azureml.data.dataset_consumption_config": _CONSUMPTION,
    "azureml.data.dataset_factory": {
        **_DATA_TYPE,
        **_at("millstream", "FileDatasetFactory TabularDatasetFactory"),
    },
    "azureml.data.file_dataset": _FILE_DATASET,
    "azureml.data.output_dataset_config": {**_OUTPUTS, **_at("millstream", "OutputTabularDatasetConfig")},
    "azureml.data.sql_data_reference": _at("millstream.sql_data_reference", "SqlDataReference"),
    "azureml.data.tabular_dataset": _TABULAR_DATASET,
    "azureml.exceptions": _at(
        "millstream.exceptions",
        "ActivityFailedException AuthenticationException AzureMLException ComputeTargetException "
        "ExperimentExecutionException ModelNotFoundException ModelPathNotFoundException ProjectSystemException "
        "RunConfigurationException RunEnvironmentException ServiceException SnapshotException TrainingException "
        "UserErrorException WebserviceException WorkspaceException",
    ),
    "azureml.pipeline": {},
    "azureml.pipeline.core": {
        **_PIPELINE,
        **_PIPELINE_DATA,
        **_PARAMETER,
        **_RUNS,
        **_STEP,
        **_BINDING,
        **_PORT,
        **_PUBLISHED,
        **_SCHEDULE,
        **_ENDPOINT,
        **_DRAFT,
        **_SEQUENCE,
        **_MODULE,
        **_TRAINING_OUTPUT,
    },
    "azureml.pipeline.core.builder": {**_PIPELINE_DATA, **_STEP, **_SEQUENCE, **_PARAMETER},
    "azureml.pipeline.core.graph": {**_PARAMETER, **_BINDING, **_PORT, **_PORT_DEFS, **_TRAINING_OUTPUT},
    "azureml.pipeline.core.module": _MODULE,
    "azureml.pipeline.core.pipeline": {**_PIPELINE, **_PUBLISHED},
    "azureml.pipeline.core.pipeline_draft": _DRAFT,
    "azureml.pipeline.core.pipeline_endpoint": {
        **_ENDPOINT,
        **_ENDPOINT_VERSION,
        **_at("millstream.pipeline_endpoint", "PipelineIdVersion=PipelineVersion"),
    },
    "azureml.pipeline.core.pipeline_run": _at("millstream.pipeline_run", "PipelineRun"),
    "azureml.pipeline.core.pipeline_output_dataset": _PIPELINE_DATASETS,
    "azureml.pipeline.core.run": _RUNS,
    "azureml.pipeline.core.schedule": _SCHEDULE,
    "azureml.pipeline.steps": {
        **_SCRIPT_STEP,
        **_ESTIMATOR_STEP,
        **_ADLA_STEP,
        **_MODULE_STEP,
        **_DATABRICKS_STEP,
        **_SYNAPSE_STEP,
        **_TRANSFER_STEP,
        **_AUTOML_STEP,
        **_BATCH_STEP,
        **_KUSTO_STEP,
        **_PARALLEL_CONFIG,
        **_PARALLEL_STEP,
        **_HYPERDRIVE_STEP,
        **_HYPERDRIVE_STEP_RUN,
        **_COMMAND_STEP,
        **_MPI_STEP,
        **_R_SCRIPT_STEP,
    },
    "azureml.pipeline.steps.adla_step": _ADLA_STEP,
    "azureml.pipeline.steps.databricks_step": _DATABRICKS_STEP,
    "azureml.pipeline.steps.data_transfer_step": _TRANSFER_STEP,
    "azureml.pipeline.steps.automl_step": _AUTOML_STEP,
    "azureml.pipeline.steps.azurebatch_step": _BATCH_STEP,
    "azureml.pipeline.steps.estimator_step": _ESTIMATOR_STEP,
    "azureml.pipeline.steps.hyper_drive_step": {**_HYPERDRIVE_STEP, **_HYPERDRIVE_STEP_RUN},
    "azureml.pipeline.steps.kusto_step": _KUSTO_STEP,
    "azureml.pipeline.steps.module_step": _MODULE_STEP,
    "azureml.pipeline.steps.parallel_run_config": _PARALLEL_CONFIG,
    "azureml.pipeline.steps.parallel_run_step": _PARALLEL_STEP,
    "azureml.pipeline.steps.command_step": _COMMAND_STEP,
    "azureml.pipeline.steps.mpi_step": _MPI_STEP,
    "azureml.pipeline.steps.python_script_step": _SCRIPT_STEP,
    "azureml.pipeline.steps.r_script_step": _R_SCRIPT_STEP,
    "azureml.pipeline.steps.synapse_spark_step": _SYNAPSE_STEP,
    "azureml.train": {},
    "azureml.train.dnn": {**_at(_ESTIMATORS, "Chainer PyTorch TensorFlow"), **_FRAMEWORKS},
    "azureml.train.estimator": {**_at(_ESTIMATORS, "Estimator"), **_FRAMEWORKS},
    "azureml.train.hyperdrive": {**_HYPERDRIVE_CONFIG, **_HYPERDRIVE_RUN, **_POLICIES, **_SAMPLINGS, **_SPACE},
    "azureml.train.hyperdrive.parameter_expressions": _SPACE,
    "azureml.train.hyperdrive.policy": _POLICIES,
    "azureml.train.hyperdrive.run": _HYPERDRIVE_RUN,
    "azureml.train.hyperdrive.runconfig": _HYPERDRIVE_CONFIG,
    "azureml.train.hyperdrive.sampling": _SAMPLINGS,
    "azureml.train.sklearn": _at(_ESTIMATORS, "SKLearn"),
    "azureml.widgets": _at("millstream.widgets", "RunDetails"),
    "azureml.widgets.run_details": _at("millstream.widgets", "RunDetails"),
}
