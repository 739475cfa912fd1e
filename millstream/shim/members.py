"""How v1's members differ here: those that are not there, those that do nothing, and parameters that are not taken.

By class of ours, as docs/v1-compatibility.md shows them. What is in none of these works.
"""

from __future__ import annotations

from typing import Final

from millstream.script_run import UNAVAILABLE as IN_STEP
from millstream.service_run import UNAVAILABLE as OUTSIDE
from millstream.step_run import UNAVAILABLE as OF_STEP

Reasons = dict[str, str]

_NO_CONNECTIONS = "the workspace keeps no connections"
_NETWORKS = "networks are set up with the Functions app"
_AZURE = "the workspace is a Functions app: manage it with Azure's own tools"
_NO_STORES = "the files are not reached from here: copy them to a blob container and register that"
_TABLES = "use Dataset.Tabular, whose datasets have take, take_sample and to_pandas_dataframe"
_FRAMES = "use Dataset.Tabular.register_pandas_dataframe"
_VERSIONS = "register another version: Dataset.get_by_name takes one"
_PROFILE = "use TabularDataset.get_profile, or to_pandas_dataframe().describe()"
_UNREGISTER = "use unregister_all_versions"

_STEP_PARTS: Reasons = {
    **dict.fromkeys(("create_node", "create_module_def"), "the pipeline makes the graph of the steps"),
    **dict.fromkeys(("create_input_output_bindings", "resolve_input_arguments"), "the step does it when it is made"),
    "validate_arguments": "the step does it when it is made",
    "get_source_directory": "see source_directory",
}
"""What v1's steps are built with, which nobody calls."""

_OF_ITSELF = {
    "clean": "nothing lies on this machine",
    "flush": "nothing waits here",
    "start": "a run starts by itself",
    "complete": "a run ends by itself, and how says its scripts' exit codes, as in v1",
    "fail": "a run ends by itself, and how says its scripts' exit codes, as in v1",
}

ABSENT: Final[dict[str, Reasons]] = {
    "ScriptRun": IN_STEP,
    "PipelineRun": OUTSIDE,
    "StepRun": OF_STEP,
    **dict.fromkeys(("AutoMLStep", "AzureBatchStep", "HyperDriveStep", "KustoStep", "ModuleStep"), _STEP_PARTS),
    **dict.fromkeys(("CommandStep", "MpiStep", "RScriptStep"), _STEP_PARTS),
    "SynapseSparkStep": _STEP_PARTS,
    "Experiment": {
        "from_directory": "use Experiment(workspace, name)",
        "start_logging": "submit the script (ScriptRunConfig) and log in it; or log on a run from outside",
    },
    "Workspace": {
        **dict.fromkeys(("add_private_endpoint", "delete_private_endpoint_connection", "private_endpoints"), _NETWORKS),
        **dict.fromkeys(
            ("delete_connection", "get_connection", "list_connections", "set_connection", "linked_services"),
            _NO_CONNECTIONS,
        ),
        **dict.fromkeys(("delete", "diagnose_workspace", "list_keys", "setup", "sync_keys"), _AZURE),
        **dict.fromkeys(("service_context", "update_dependencies"), _AZURE),
        "get_default_keyvault": "the service keeps no secrets for steps",
        "get_mlflow_tracking_uri": "log with Run.get_context()",
    },
    "Dataset": {
        "auto_read_files": _TABLES,
        **dict.fromkeys(("from_excel_files", "from_pandas_dataframe"), _FRAMES),
        **dict.fromkeys(("head", "sample", "to_pandas_dataframe", "to_spark_dataframe"), _TABLES),
        **dict.fromkeys(("definition", "definition_version", "get_definition", "get_definitions"), _VERSIONS),
        **dict.fromkeys(("update_definition", "create_snapshot", "delete_snapshot", "get_snapshot"), _VERSIONS),
        **dict.fromkeys(("get_all_snapshots", "diff", "compare_profiles"), _VERSIONS),
        **dict.fromkeys(("generate_profile", "get_profile"), _PROFILE),
        **dict.fromkeys(("archive", "deprecate", "reactivate", "state", "is_visible"), _UNREGISTER),
        "Scenario": "it was never public",
    },
    "TabularDataset": {
        "get_profile_runs": _PROFILE,
        "submit_profile_run": _PROFILE,
    },
    "Datastore": {
        **dict.fromkeys(("register_hdfs", "register_dbfs"), _NO_STORES),
        "register_azure_data_lake": "the service behind it is retired: use register_azure_data_lake_gen2",
        "as_upload": "use PipelineData(output_mode='upload')",
    },
}

IGNORED: Final[dict[str, Reasons]] = {
    "ScriptRun": {
        "cancel": "cancel the pipeline run from outside",
        "clean": "the working folder goes when the step ends",
        "complete": "the exit code decides, as in v1",
        "fail": "says why on standard error; the exit code decides, as in v1",
        "flush": "what is logged has been handed over already",
        "start": "the run has started",
    },
    "PipelineRun": _OF_ITSELF,
    "StepRun": _OF_ITSELF,
    "Workspace": {
        "images": "empty: no services are deployed",
        "sku": "a word of v1's",
        "tags": "empty: the workspace is a Functions app",
        "webservices": "empty: no services are deployed",
    },
}

_MADE = "made by the service, not by hand"

WITHOUT: Final[dict[str, dict[str, Reasons]]] = {
    "Dataset": {
        "from_delimited_files": dict.fromkeys(("skip_rows", "skip_mode", "comment"), "write the files without them"),
        "from_json_files": {"flatten_nested_arrays": "write an object a line, without arrays"},
        "register": {
            "exist_ok": "use create_new_version",
            "update_if_exist": "use create_new_version",
            "visible": "all datasets are visible",
        },
        "update": {"name": "register it under the other name", "visible": "all datasets are visible"},
    },
    "ScriptRun": {"__init__": dict.fromkeys(("experiment", "run_id", "outputs"), "Run.get_context() makes it")},
    "PipelineRun": {"wait_for_completion": {"wait_post_processing": "a run has ended when all of it is stored"}},
    "PublishedPipeline": {
        "__init__": {
            **dict.fromkeys(("name", "graph_id", "description", "version", "published_pipeline_id"), _MADE),
            **dict.fromkeys(("status", "endpoint", "total_run_steps", "continue_on_step_failure"), _MADE),
        }
    },
    "Schedule": {
        "__init__": {
            **dict.fromkeys(("id", "name", "description", "pipeline_id", "pipeline_endpoint_id", "status"), _MADE),
            **dict.fromkeys(("recurrence", "datastore_name", "polling_interval", "data_path_parameter_name"), _MADE),
            **dict.fromkeys(("continue_on_step_failure", "path_on_datastore"), _MADE),
        }
    },
    "PortDataReference": {"__init__": dict.fromkeys(("context", "pipeline_run_id", "data_reference"), _MADE)},
    "StepRunOutput": {"__init__": dict.fromkeys(("context", "pipeline_run_id", "step_output"), _MADE)},
    "Workspace": {"__init__": {"sku": "the workspace is there already", "tags": "the workspace is there already"}},
}
"""By class and member, v1's parameters that are not taken."""
