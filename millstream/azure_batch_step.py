"""v1's AzureBatchStep."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from millstream.arguments import refuse_unknown
from millstream.parameter import PipelineParameter
from millstream.steps import PipelineStep
from millstream.tokens import refuse_tokens
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy

_IMAGE: Final = "urn:MicrosoftWindowsServer:WindowsServer:2012-R2-Datacenter"


class AzureBatchStep(PipelineStep):
    """Runs `executable` on a node of a pool of an attached account of Azure Batch; docs/azure-batch.md says how.

    `compute_target` is the attached account (BatchCompute). `executable` is a program of the node, or a file of
    `source_directory`, whose files are brought to the node's working folder. Inputs and outputs are paths there, and
    in `arguments`, a list or v1's one text. Beside v1's arguments: `retry`, `timeout_seconds` and `source_files`, as
    of PythonScriptStep.
    """

    kind = "azure_batch"

    def __init__(
        self,
        name: str,
        create_pool: bool = False,
        pool_id: str | None = None,
        delete_batch_job_after_finish: bool = True,
        delete_batch_pool_after_finish: bool = False,
        is_positive_exit_code_failure: bool = True,
        vm_image_urn: str = _IMAGE,
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
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        refuse_unknown(AzureBatchStep.__init__, unknown)
        if not executable:
            raise ValueError(f"AzureBatchStep {shown(name)} needs an executable.")
        if not pool_id:
            raise ValueError(f"AzureBatchStep {shown(name)} needs a pool_id, also of a pool that it creates.")
        if target_compute_nodes < 1:
            raise ValueError(f"AzureBatchStep {shown(name)}: target_compute_nodes is 1 or more.")
        refuse_tokens(executable, "executable")
        self.executable = executable
        super().__init__(
            name,
            inputs=inputs,
            outputs=outputs,
            arguments=arguments.split() if isinstance(arguments, str) else arguments,
            compute_target=compute_target,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            source_files=source_files,
        )
        self._has_sources = source_directory is not None
        self._settings = {
            "executable": executable,
            "pool": pool_id,
            "create_pool": create_pool,
            "nodes": target_compute_nodes,
            "vm_size": vm_size,
            "image": vm_image_urn,
            "as_admin": run_task_as_admin,
            "delete_job": delete_batch_job_after_finish,
            "delete_pool": delete_batch_pool_after_finish,
            "fails_above_zero": is_positive_exit_code_failure,
        }

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings

    @property
    def needs_snapshot(self) -> bool:
        return self._has_sources
