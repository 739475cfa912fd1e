"""v1's RScriptStep, deprecated there: a script of R as a step."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.parameter import PipelineParameter
from millstream.r_section import section
from millstream.run_configuration import RunConfiguration
from millstream.steps import ScriptStep
from orchestrator.core.retry import RetryPolicy


class RScriptStep(ScriptStep):
    """Runs `Rscript <script_name> <arguments>` in a copy of `source_directory`, with the R of the node.

    Packages of R are looked for before the script starts, and not installed: a step whose packages are not there fails,
    and names them. `use_gpu` and `runconfig_pipeline_params` mean nothing. Beside v1's arguments: those of
    PythonScriptStep.
    """

    kind = "r_script"
    pattern = "*.R"

    def __init__(
        self,
        script_name: str,
        name: str | None = None,
        arguments: Any = None,
        compute_target: Any = None,
        runconfig: Any = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        inputs: Any = None,
        outputs: Any = None,
        params: Mapping[str, Any] | None = None,
        source_directory: str | Path | None = None,
        use_gpu: bool = False,
        custom_docker_image: str | None = None,
        cran_packages: Iterable[Any] | None = None,
        github_packages: Iterable[Any] | None = None,
        custom_url_packages: Iterable[str] | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        del use_gpu, runconfig_pipeline_params
        refuse_unknown(RScriptStep.__init__, unknown)
        warnings.warn("RScriptStep is deprecated: use CommandStep with Rscript.", DeprecationWarning, stacklevel=2)
        config = copy.deepcopy(runconfig) if runconfig is not None else RunConfiguration()
        if cran_packages or github_packages or custom_url_packages:
            config.environment.r = section(cran_packages, github_packages, custom_url_packages)
        config.environment.docker.base_image = custom_docker_image or config.environment.docker.base_image
        super().__init__(
            script_name,
            name,
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            compute_target=compute_target,
            params=params,
            runconfig=config,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
            source_files=source_files,
        )

    @property
    def settings(self) -> dict[str, Any]:
        return {"script": self.script_name, **({"environment": self.wishes} if self.wishes else {})}
