"""Steps of v1 that run on a service which no workspace here has: written as in v1, checked, and refused with a reason.

A driver that has one can be read, and says what to do instead, when its Pipeline is made: before anything is uploaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.steps import PipelineStep
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown


class ServiceStep(PipelineStep):
    """A step that cannot run here. `needs` is what it runs on, `instead` what does the same."""

    needs: str
    instead: str

    @property
    def settings(self) -> dict[str, Any]:
        """None: it is never compiled for the service."""
        return {}

    @property
    def needs_snapshot(self) -> bool:
        return False

    def refusal(self) -> Problem:
        message = f"{type(self).__name__} runs on {self.needs}, and this workspace has none."
        return Problem("NoSuchService", f"step {shown(self.name)}", message, self.instead)


class AzureBatchStep(ServiceStep):
    """v1's start of an executable on a pool of Azure Batch."""

    kind = "azure_batch"
    needs = "an account of Azure Batch"
    instead = (
        "Start the executable by the script of a PythonScriptStep (subprocess.run), on a compute that is large enough."
    )

    def __init__(
        self,
        name: str,
        create_pool: bool = False,
        pool_id: str | None = None,
        delete_batch_job_after_finish: bool = True,
        delete_batch_pool_after_finish: bool = False,
        is_positive_exit_code_failure: bool = True,
        vm_image_urn: str = "urn:MicrosoftWindowsServer:WindowsServer:2012-R2-Datacenter",
        run_task_as_admin: bool = False,
        target_compute_nodes: int = 1,
        vm_size: str = "standard_d1_v2",
        source_directory: str | Path | None = None,
        executable: str | None = None,
        arguments: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        allow_reuse: bool = True,
        compute_target: Any = None,
        version: str | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(AzureBatchStep.__init__, unknown)
        del delete_batch_job_after_finish, delete_batch_pool_after_finish, is_positive_exit_code_failure
        del run_task_as_admin, vm_image_urn, vm_size
        if not executable:
            raise ValueError(f"AzureBatchStep {shown(name)} needs an executable.")
        if not create_pool and not pool_id:
            raise ValueError(f"AzureBatchStep {shown(name)} needs a pool_id, or create_pool.")
        if target_compute_nodes < 1:
            raise ValueError(f"AzureBatchStep {shown(name)}: target_compute_nodes is 1 or more.")
        self.executable = executable
        super().__init__(
            name,
            inputs=inputs,
            outputs=outputs,
            # v1 takes one text with the arguments in it, or a list.
            arguments=arguments.split() if isinstance(arguments, str) else arguments,
            compute_target=compute_target,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
        )


class AutoMLStep(ServiceStep):
    """v1's automated machine learning."""

    kind = "automl"
    needs = "the automated machine learning of Azure ML"
    instead = (
        "Search over algorithms and their settings with a HyperDriveStep: choice() among the algorithms, and a script "
        "that trains the chosen one."
    )

    def __init__(
        self,
        name: str,
        automl_config: Any,
        inputs: Any = None,
        outputs: Any = None,
        script_repl_params: Any = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Any = None,
        enable_default_model_output: bool = True,
        enable_default_metrics_output: bool = True,
        **unknown: Any,
    ) -> None:
        refuse_unknown(AutoMLStep.__init__, unknown)
        del script_repl_params, hash_paths, enable_default_model_output, enable_default_metrics_output
        if automl_config is None:
            raise ValueError(f"AutoMLStep {shown(name)} needs an automl_config.")
        self.automl_config = automl_config
        super().__init__(name, inputs=inputs, outputs=outputs, allow_reuse=allow_reuse, version=version)
