"""What a process that runs steps is made of: a world over storage, the engine's memory, the worker of steps.

The Functions app and the worker process are equipped alike; only what brings them their messages differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from azurerest.connections import connection
from azurerest.tokens import managed_identity
from orchestrator.adapters import azure_executions, container_apps
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.azure_data import equip as equip_with_files
from orchestrator.catalog import attachments, models, output_datasets, registered_datastores
from orchestrator.core.compute import ComputeKind
from orchestrator.core.quota import Quotas
from orchestrator.core.usage import Machine
from orchestrator.engine.cancel import is_over
from orchestrator.engine.lease import Perform, beat
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.settings import Settings
from steps.datastores import AllDatastores
from steps.environment import inherited
from steps.places import routed
from steps.remote.attached import Attachments
from steps.service_access import service_access
from steps.settings import VenvSettings, WorkerSettings, WorkspaceIdentity
from steps.venv_maker import configuration
from steps.worker import StepWorker

EXECUTION_NAME: Final = "CONTAINER_APP_JOB_EXECUTION_NAME"
"""The variable by which Container Apps, and the local driver, tell an execution its name."""
EXECUTION_CPU: Final = "MILLSTREAM_EXECUTION_CPU"
EXECUTION_MEMORY: Final = "MILLSTREAM_EXECUTION_MEMORY_GIB"
"""Those by which a container is told its size."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """One per process."""

    world: AzureWorld
    memory: ProcessMemory
    steps: StepWorker


def equip(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    python_path: tuple[str, ...] = (),
    execution: str = "",
    longest_seconds: float | None = None,
    once: bool = False,
) -> Equipment:
    """`environment`: of this process. `execution`: the name of the one that it is. `longest_seconds`: how long it may
    run; None: as long as a function. `python_path`: folders that scripts import from, too. `once`: it will run one
    step, for which no interpreter is kept warm.
    """
    world = AzureWorld(connection(environment, "AzureWebJobsStorage"))
    client = environment.get("AzureWebJobsStorage__clientId", "")
    find = registered_datastores.revealing(world)
    containers = equip_with_files(world, settings.secret_keys, find, environment, vault=settings.vault, client=client)
    azure_executions.install(world)
    token = managed_identity(environment, resource=container_apps.RESOURCE, client=client)
    container_apps.ContainerApps(settings.resource_manager, settings.jobs_group, token).install(world)
    memory = ProcessMemory(engine_settings(settings, execution))
    steps = StepWorker(
        routed(containers.at),
        WorkerSettings(
            cache_dir=settings.cache_dir,
            datastores=AllDatastores(settings.datastores, *registered_datastores.finding(world)),
            workspace=WorkspaceIdentity(
                name=settings.workspace,
                subscription_id=settings.subscription_id,
                resource_group=settings.resource_group,
            ),
            environment=inherited(environment),
            access=service_access(settings.service_url, settings.run_token_key.reveal()),
            python_path=python_path,
            attachments=Attachments(find=attachments.revealing(world), lead=containers.at, variables=environment),
            spark_python=settings.spark_python or None,
            fork_server=settings.fork_server and not once,
            heartbeat_seconds=settings.heartbeat,
            cancel_check_seconds=settings.cancel_check,
            function_timeout_seconds=settings.function_timeout if longest_seconds is None else longest_seconds,
            log_bytes=settings.log_bytes,
            data_cache_bytes=settings.data_cache_bytes,
            snapshot_bytes=settings.snapshot_bytes,
            snapshot_files=settings.snapshot_files,
            keep_work_dirs=settings.keep_work_dirs,
            venvs=VenvSettings(
                folder=settings.environments_dir,
                most_bytes=settings.environments_bytes,
                timeout=settings.environments_timeout,
                sources=settings.environments_sources,
                uv=settings.uv or None,
                configuration=configuration(environment),
            ),
        ),
        beat=lambda lease: world.run(beat(lease)),
        cancelled=lambda run: world.run(is_over(memory, run)),
    )
    steps.serve(world)
    world.register(Perform, output_datasets.registering(world, models.registering(world, steps.perform)))
    return Equipment(world, memory, steps)


def machine(settings: Settings, execution: str) -> Machine:
    """What this process is billed by: as the Functions app, as a container whose size it was told, or not at all."""
    if not execution:
        return Machine(kind=ComputeKind.FUNCTION, memory_gib=settings.instance_memory / 1024)
    kind = ComputeKind.CONTAINER if settings.execution_cpu else ComputeKind.PROCESS
    return Machine(kind=kind, memory_gib=settings.execution_memory, cpu=settings.execution_cpu)


def engine_settings(settings: Settings, execution: str = "") -> EngineSettings:
    """What of the settings the engine goes by."""
    return EngineSettings(
        queue=settings.queue,
        urgent=settings.urgent,
        claim_ttl=settings.claim_ttl,
        sweep_quiet=settings.sweep_quiet,
        computes=settings.computes,
        execution=execution,
        machine=machine(settings, execution),
        webhook_queue=settings.webhook_queue if settings.webhook_keys else "",
        webhook_delays=settings.webhook_delays,
        look_delays=settings.look_delays,
        webhook_patience=settings.webhook_patience,
        quotas=Quotas(runs=settings.most_runs, runs_each=settings.most_runs_each, run_steps=settings.run_steps),
    )
