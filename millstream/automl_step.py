"""v1's AutoMLStep: written as in v1, checked, and refused with what to do instead when its Pipeline is made."""

from __future__ import annotations

from typing import Any, Final

from millstream.arguments import refuse_unknown
from millstream.steps import PipelineStep
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown

_INSTEAD: Final = (
    "Search over algorithms and their settings with a HyperDriveStep: choice() among the algorithms, and a script that "
    "trains the chosen one."
)


class AutoMLStep(PipelineStep):
    """v1's automated machine learning. It runs nowhere but in Azure ML, and is refused."""

    kind = "automl"

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

    @property
    def settings(self) -> dict[str, Any]:
        """None: it is never compiled for the service."""
        return {}

    @property
    def needs_snapshot(self) -> bool:
        return False

    def refusal(self) -> Problem:
        message = "AutoMLStep runs on the automated machine learning of Azure ML alone."
        return Problem("NoSuchService", f"step {shown(self.name)}", message, _INSTEAD)
