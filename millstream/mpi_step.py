"""v1's MpiStep, deprecated there: a script in processes that speak MPI."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from millstream.distribution import MpiConfiguration
from millstream.estimator import Estimator
from millstream.steps import PythonScriptStep


class MpiStep(PythonScriptStep):
    """Runs `mpirun python <script_name> <arguments>` with `node_count` * `process_count_per_node` processes, all of
    them on the node that the step runs on; both may be PipelineParameters. Other arguments are those of an Estimator:
    `pip_packages`, `environment_variables` and so on.
    """

    def __init__(
        self,
        name: str | None = None,
        source_directory: str | Path | None = None,
        script_name: str | None = None,
        arguments: Any = None,
        compute_target: Any = None,
        node_count: Any = None,
        process_count_per_node: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Any = None,
        **more: Any,
    ) -> None:
        del hash_paths
        if not script_name:
            raise ValueError("MpiStep needs a script_name.")
        if compute_target is None:
            raise ValueError("MpiStep needs a compute_target.")
        warnings.warn("MpiStep is deprecated: use PythonScriptStep.", DeprecationWarning, stacklevel=2)
        known = ("retry", "timeout_seconds", "priority", "source_files", "params")
        own = {key: more.pop(key) for key in known if key in more}
        estimator = Estimator(
            source_directory or ".", entry_script=script_name, distributed_training=MpiConfiguration(), **more
        )
        counts = {"NodeCount": node_count, "MpiProcessCountPerNode": process_count_per_node}
        super().__init__(
            script_name=script_name,
            name=name,
            arguments=arguments,
            compute_target=compute_target,
            runconfig=estimator.run_config,
            runconfig_pipeline_params={key: count for key, count in counts.items() if count is not None},
            inputs=inputs,
            outputs=outputs,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            **own,
        )
