"""What to do instead of what v1 has and Millstream has not: by name, else by the longest prefix of its module."""

from __future__ import annotations

from typing import Final

_SERVING = "Millstream runs pipelines and serves no models: take them out with Model.download()."
_NO_COMPUTE = "Steps run on the workspace's own computes: use AmlCompute, or name one of ws.compute_targets."
_SCRIPT = "Write it as a PythonScriptStep; the script may start other programs."
_ONE_SERVICE = "Millstream is one service, and links no others."
_NETWORKS = "Networks are set up with the Functions app."

NAMES: Final[dict[str, str]] = {
    "AutoMLStepRun": "Look at the run of the step itself: pipeline_run.find_step_run(name).",
    "AzureMLTokenAuthentication": "Use InteractiveLoginAuthentication, which gives the service's token.",
    "ArmTokenAuthentication": "Use TokenAuthentication.",
    "AzureMLNotebookHandler": "Leave the handler out: notebooks are run by nbclient.",
    "DatasetRegistration": "Use the register() of what as_dataset() returns.",
    "Keyvault": "Give what is not secret as parameters; the service keeps no secrets for steps.",
    "Image": _SERVING,
    "InferenceConfig": _SERVING,
    "LinkedService": _ONE_SERVICE,
    "OutputPortBinding": "Use PipelineData among the outputs.",
    "ParallelRunStepDetails": "Use RunDetails.",
    "PipelineDataset": "Pass PipelineData, or a DataReference.",
    "PrivateEndPoint": _NETWORKS,
    "PrivateEndPointConfig": _NETWORKS,
    "SynapseWorkspaceLinkedServiceConfiguration": _ONE_SERVICE,
    "Webservice": _SERVING,
}

MODULES: Final[dict[str, str]] = {
    "azureml.core.compute": _NO_COMPUTE,
    "azureml.core.compute_target": "Use azureml.core.compute.ComputeTarget.",
    "azureml.core.databricks": "Give the DatabricksStep its cluster and libraries as arguments.",
    "azureml.core.image": _SERVING,
    "azureml.core.linked_service": _ONE_SERVICE,
    "azureml.core.model": _SERVING,
    "azureml.core.private_endpoint": _NETWORKS,
    "azureml.core.profile": _SERVING,
    "azureml.core.webservice": _SERVING,
    "azureml.core.runconfig": "RunConfiguration has what the service can do.",
    "azureml.core.environment": "Environment has what the service can do.",
    "azureml.data": "Use Datastore, DataReference, PipelineData and Dataset.",
    "azureml.pipeline.core.graph": "The graph is made from the steps: use Pipeline and PythonScriptStep.",
    "azureml.pipeline.steps": _SCRIPT,
    "azureml.train.hyperdrive": "Use HyperDriveStep, HyperDriveConfig and what they take.",
}

OTHER_PACKAGES: Final[dict[str, str]] = {
    "azureml.automl": "Train with any library in a PythonScriptStep.",
    "azureml.contrib": "It was never part of the stable SDK.",
    "azureml.dataprep": "Use Dataset, or pandas in the script.",
    "azureml.fsspec": "Use Datastore.download, or a DataReference as a step's input.",
    "azureml.interpret": "Install and use the interpretation library itself in the script.",
    "azureml.mlflow": "Log with Run.get_context().",
    "azureml.opendatasets": "Download the data once, and upload it to a datastore.",
    "azureml.train.automl": "Train with any library in a PythonScriptStep.",
}
