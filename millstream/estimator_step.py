"""v1's EstimatorStep: the script of an estimator as a step. It compiles to a python_script step."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from millstream.estimator import Estimator
from millstream.steps import PythonScriptStep


class EstimatorStep(PythonScriptStep):
    """As in v1, `estimator`, `compute_target` and `estimator_entry_script_arguments` (if only []) are needed."""

    def __init__(
        self,
        name: str | None = None,
        estimator: Estimator | None = None,
        estimator_entry_script_arguments: Sequence[Any] | None = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        inputs: Any = None,
        outputs: Any = None,
        compute_target: Any = None,
        allow_reuse: bool = True,
        version: str | None = None,
        **more: Any,
    ) -> None:
        if not isinstance(estimator, Estimator):
            raise TypeError(f"EstimatorStep: estimator must be an Estimator, not {estimator!r}.")
        if compute_target is None:
            raise ValueError("EstimatorStep needs a compute_target.")
        if estimator_entry_script_arguments is None:
            raise ValueError("EstimatorStep needs estimator_entry_script_arguments; pass [] if there are none.")
        if estimator.script_params or estimator.inputs:
            raise ValueError(
                "EstimatorStep: the estimator has script_params or inputs. Give them to the step instead, as "
                "estimator_entry_script_arguments and inputs."
            )
        warnings.warn("EstimatorStep is deprecated: use PythonScriptStep.", DeprecationWarning, stacklevel=2)
        super().__init__(
            script_name=estimator.entry_script,
            name=name,
            arguments=estimator_entry_script_arguments,
            compute_target=compute_target,
            runconfig=estimator.run_config,
            runconfig_pipeline_params=runconfig_pipeline_params,
            inputs=inputs,
            outputs=outputs,
            source_directory=estimator.source_directory,
            allow_reuse=allow_reuse,
            version=version,
            **more,
        )
