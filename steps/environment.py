"""The environment variables and the arguments of a script (azureml-v1-contract.md, section 6.2)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec

from orchestrator.core.changelist import VARIABLE
from orchestrator.core.definition import (
    Argument,
    FromInput,
    FromOutput,
    FromParameter,
    Literal,
    ParameterValue,
    Text,
)
from orchestrator.core.job import Job
from orchestrator.core.parameters import text_of
from orchestrator.core.resolving import parameters_used
from steps import changes
from steps.brought import Brought, DatasetOnDisk
from steps.failures import InvalidStep
from steps.settings import WorkerSettings, WorkspaceIdentity
from steps.venvs import Venv
from steps.workdir import Folders

INHERITED = (
    *("PATH", "JAVA_HOME", "TZ", "LD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
"""The worker's own variables that scripts get, too. None may hold a secret; proxies may, so they are not here."""
_DEFAULTS = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_KEPT = (*INHERITED, *_DEFAULTS, *_THREADS, "HOME", "USER", "SHELL", "TMPDIR", "PWD", "IFS", "ENV")
_KEPT_BEGINNINGS = ("PYTHON", "LD_", "LC_", "MILLSTREAM_", "AZUREML_", "AML_PARAMETER_")
LINK = "link"
_NAMESPACE = uuid.UUID("5e1ac7a6-6f0c-4f3a-9d0a-5d6b7c5a1f6e")
_NOT_WORD = re.compile(r"\W", re.ASCII)


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What may go to scripts of the process's own environment: an allow list."""
    return {name: environment[name] for name in INHERITED if name in environment}


def base(settings: WorkerSettings, runtime: Path) -> dict[str, str]:
    """What all scripts of the worker have in common."""
    environment = _DEFAULTS | dict(settings.environment)
    environment["PATH"] = f"{Path(settings.python).parent}:{environment['PATH']}"
    environment["PYTHONPATH"] = ":".join([str(runtime), *settings.python_path])
    if settings.threads_per_step is not None:
        environment |= dict.fromkeys(_THREADS, str(settings.threads_per_step))
    return environment


def of_step(
    job: Job, workspace: WorkspaceIdentity, folders: Folders, inputs: Mapping[str, Brought], outputs: Mapping[str, Path]
) -> dict[str, str]:
    """What is this step's own. Raises InvalidStep."""
    environment = {f"AML_PARAMETER_{_NOT_WORD.sub('_', name)}": value for name, value in _parameters(job).items()}
    for name, value in job.step.environment.items():
        if not name or "=" in name or "\0" in name:
            raise InvalidStep(f"{name!r} cannot be the name of an environment variable.")
        environment[name] = resolved(value, job, inputs, outputs)
    environment |= _data(job, inputs, outputs)
    if changes.address_of(job):
        environment[VARIABLE] = str(folders.changes)
    workspace_id = uuid.uuid5(_NAMESPACE, f"{workspace.subscription_id}/{workspace.resource_group}/{workspace.name}")
    return environment | {
        "AZUREML_RUN_ID": run_id(job),
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription_id,
        "AZUREML_ARM_RESOURCEGROUP": workspace.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_ARM_PROJECT_NAME": job.experiment,
        "AZUREML_EXPERIMENT_ID": str(uuid.uuid5(workspace_id, job.experiment)),
        "AZUREML_WORKSPACE_ID": str(workspace_id),
        "AZUREML_OUTPUT_DIRECTORY": "./outputs",
        "HOME": str(folders.root),
        "TMPDIR": str(folders.temporary),
        "MILLSTREAM_SPOOL": str(folders.spool),
        "MILLSTREAM_STEP_INFO": str(folders.info),
    }


def _data(job: Job, inputs: Mapping[str, Brought], outputs: Mapping[str, Path]) -> dict[str, str]:
    """v1's variables for data: of every input and output, and those of datasets beside them."""
    found = {name: str(brought.value) for name, brought in inputs.items()} | {k: str(v) for k, v in outputs.items()}
    variables = {f"AZUREML_DATAREFERENCE_{name}": value for name, value in found.items()}
    datasets = {
        name: port.mode if inputs[name].dataset is None else "direct"
        for port in job.step.inputs
        if inputs[name := port.name].as_dataset
    }
    for name in datasets:
        variables |= {f"AZURE_ML_INPUT_{name}": found[name], **_plain(name, found[name])}
    written = [port.name for port in job.step.outputs if port.create]
    for name in written:
        variables |= {f"AZURE_ML_OUTPUT_{name}": found[name], **_plain(name, found[name])}
    lists = {
        "AZUREML_DATASET_ENVIRONMENT_VARS": ",".join(f"{name}:{mode}" for name, mode in datasets.items()),
        "AZUREML_DATASET_FILE_OUTPUTS": ";".join(written),
        "AZUREML_LINK_DATASET_OUTPUTS": ";".join(port.name for port in job.step.outputs if port.mode == LINK),
    }
    return variables | {name: value for name, value in lists.items() if value}


def _plain(name: str, value: str) -> dict[str, str]:
    """The variable that is named as the data is, except where a script could not run with it."""
    names = {name, name.upper()}
    return {key: value for key in names if key not in _KEPT and not key.startswith(_KEPT_BEGINNINGS)}


def _on_disk(dataset: DatasetOnDisk) -> dict[str, object]:
    return {
        "id": dataset.id,
        "document": dataset.document,
        "roots": {name: str(path) for name, path in dataset.roots.items()},
        "web": {url: str(path) for url, path in dataset.web.items()},
    }


def inside(venv: Venv | None, common: Mapping[str, str]) -> Mapping[str, str]:
    """What scripts have in common, for those that run in an environment of their own: its programs come first, and of
    the worker's packages there is only the service's own client.
    """
    if venv is None:
        return common
    return {
        **common,
        "PATH": f"{venv.programs}:{common['PATH']}",
        "PYTHONPATH": common["PYTHONPATH"].partition(":")[0],
        "VIRTUAL_ENV": str(venv.folder),
    }


def combined(common: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """A step's own variables win; a PYTHONPATH of its own comes before the common one."""
    environment = {**common, **own}
    if "PYTHONPATH" in own:
        environment["PYTHONPATH"] = f"{own['PYTHONPATH']}:{common['PYTHONPATH']}"
    return environment


def run_id(job: Job) -> str:
    """The step run's id as people see it."""
    return f"{job.run}_{job.step.id}"


def arguments(job: Job, inputs: Mapping[str, Brought], outputs: Mapping[str, Path | str]) -> tuple[str, ...]:
    """The step's arguments as a script gets them. Raises InvalidStep."""
    return tuple(resolved(argument, job, inputs, outputs) for argument in job.step.arguments)


def step_info(job: Job, inputs: Mapping[str, Brought], outputs: Mapping[str, Path]) -> bytes:
    """The document behind MILLSTREAM_STEP_INFO."""
    return msgspec.json.encode(
        {
            "run_id": job.run,
            "step_run_id": run_id(job),
            "experiment": job.experiment,
            "step_id": job.step.id,
            "step_name": job.step.name,
            "attempt": job.attempt,
            # Those that the step refers to: what it does not name must not change what it does.
            "parameters": {
                name: job.parameters[name] for name in sorted(parameters_used(job.step)) if name in job.parameters
            },
            "inputs": {name: str(brought.value) for name, brought in inputs.items()},
            "outputs": {name: str(path) for name, path in outputs.items()},
            "links": [port.name for port in job.step.outputs if port.mode == LINK],
            "datasets": {name: _on_disk(it.dataset) for name, it in inputs.items() if it.dataset is not None},
            "tags": {},
        }
    )


def _used(job: Job) -> dict[str, ParameterValue]:
    """The parameters that the step refers to: what it does not name must not change what it does."""
    return {name: job.parameters[name] for name in sorted(parameters_used(job.step)) if name in job.parameters}


def _parameters(job: Job) -> dict[str, str]:
    """The pipeline parameters that the step refers to."""
    return {name: text_of(_parameter(name, job)) for name in parameters_used(job.step)}


def _parameter(name: str, job: Job) -> ParameterValue:
    try:
        return job.parameters[name]
    except KeyError:
        raise InvalidStep(f"The step refers to the parameter {name!r}, which the pipeline does not have.") from None


def resolved(item: Argument, job: Job, inputs: Mapping[str, Brought], outputs: Mapping[str, Path | str]) -> str:
    match item:
        case Text(parts=parts):
            text = "".join(resolved(part, job, inputs, outputs) for part in parts)
        case Literal(value=value):
            text = value
        case FromParameter(name=name):
            text = text_of(_parameter(name, job))
        case FromInput(name=name) if name in inputs:
            text = str(inputs[name].value)
        case FromOutput(name=name) if name in outputs:
            text = str(outputs[name])
        case FromInput(name=name) | FromOutput(name=name):
            raise InvalidStep(f"The step refers to the port {name!r}, which it does not have.")
        case _:
            raise InvalidStep(f"This worker does not know what to make of the argument {item!r}.")
    if "\0" in text:
        raise InvalidStep("An argument holds a NUL character, which no process can be given.")
    return text
