"""The composition root: settings -> adapters -> engine -> triggers. No logic here."""

from __future__ import annotations

import os
import sys

from azurerest.connections import connection
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.azure_data import equip
from orchestrator.adapters.webhooks import Caller
from orchestrator.catalog import attachments, models, output_datasets, registered_datastores
from orchestrator.engine.cancel import is_over
from orchestrator.engine.lease import Perform, beat
from orchestrator.engine.memory import ProcessMemory
from orchestrator.ports import Post
from orchestrator.settings import read
from orchestrator.triggers import functions
from steps.datastores import AllDatastores
from steps.environment import inherited
from steps.places import routed
from steps.remote.attached import Attachments
from steps.service_access import service_access
from steps.settings import VenvSettings, WorkerSettings, WorkspaceIdentity
from steps.venv_maker import configuration
from steps.worker import StepWorker

settings = read(os.environ)

world = AzureWorld(connection(os.environ, "AzureWebJobsStorage"))
containers = equip(world, settings.secret_keys, registered_datastores.revealing(world), os.environ)
memory = ProcessMemory(functions.engine_settings(settings))
worker = StepWorker(
    routed(containers.at),
    WorkerSettings(
        cache_dir=settings.cache_dir,
        datastores=AllDatastores(settings.datastores, *registered_datastores.finding(world)),
        workspace=WorkspaceIdentity(
            name=settings.workspace,
            subscription_id=settings.subscription_id,
            resource_group=settings.resource_group,
        ),
        environment=inherited(os.environ),
        access=service_access(settings.service_url, settings.run_token_key.reveal()),
        python_path=tuple(path for path in sys.path if ".python_packages" in path),
        attachments=Attachments(find=attachments.revealing(world), lead=containers.at, variables=os.environ),
        spark_python=settings.spark_python or None,
        fork_server=settings.fork_server,
        heartbeat_seconds=settings.heartbeat,
        cancel_check_seconds=settings.cancel_check,
        function_timeout_seconds=settings.function_timeout,
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
            configuration=configuration(os.environ),
        ),
    ),
    beat=lambda lease: world.run(beat(lease)),
    cancelled=lambda run: world.run(is_over(memory, run)),
)
worker.serve(world)
world.register(Perform, output_datasets.registering(world, models.registering(world, worker.perform)))
world.register(Post, Caller(settings.webhook_key_bytes, private=settings.webhook_private))

app = functions.build(settings, world, memory)
