"""What v1 hands to a script on Databricks, as arguments (azureml-v1-contract.md, section 3.5)."""

from __future__ import annotations

from typing import Final

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


def arguments(context: StepContext) -> tuple[str, ...]:
    """The step's own, then `-<port> <place>` for each input and output, then `--AZUREML_...`. Raises InvalidStep."""
    places = {**{name: brought.value for name, brought in context.inputs.items()}, **context.outputs}
    ports = [item for name, place in places.items() for item in (f"-{name}", str(place))]
    variables = context.variables()
    told = [item for name in TOLD for item in (f"--{name}", variables[name])]
    return (*context.arguments(), *ports, *told)
