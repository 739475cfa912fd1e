"""What v1 hands to work on Databricks: to a script as arguments, to a notebook as widgets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from steps import environment
from steps.context import StepContext

TOLD: Final = (
    "AZUREML_RUN_ID",
    "AZUREML_ARM_SUBSCRIPTION",
    "AZUREML_ARM_RESOURCEGROUP",
    "AZUREML_ARM_WORKSPACE_NAME",
    "AZUREML_ARM_PROJECT_NAME",
    "AZUREML_WORKSPACE_ID",
    "AZUREML_EXPERIMENT_ID",
)
"""Variables of an ordinary script that are arguments here. The run token is none of them: arguments can be read by
whoever sees the job, or lists the processes of the node.
"""
SCRIPT_DIRECTORY: Final = "AZUREML_SCRIPT_DIRECTORY_NAME"


def arguments(context: StepContext, outputs: Mapping[str, Path | str], more: Mapping[str, str]) -> tuple[str, ...]:
    """The step's own, then `-<port> <place>` for each input and output, then `--AZUREML_...`. Raises InvalidStep."""
    own = environment.arguments(context.job, context.inputs, outputs)
    ports = [item for name, place in _places(context, outputs).items() for item in (f"-{name}", place)]
    told = [item for name, value in {**_told(context), **more}.items() for item in (f"--{name}", value)]
    return (*own, *ports, *told)


def widgets(context: StepContext, outputs: Mapping[str, Path | str]) -> dict[str, str]:
    """The places of inputs and outputs, and what is told of the run, by name. Raises InvalidStep."""
    return {**_places(context, outputs), **_told(context)}


def _places(context: StepContext, outputs: Mapping[str, Path | str]) -> dict[str, str]:
    places = {**{name: brought.value for name, brought in context.inputs.items()}, **outputs}
    return {name: str(place) for name, place in places.items()}


def _told(context: StepContext) -> dict[str, str]:
    variables = context.variables()
    return {name: variables[name] for name in TOLD}
