"""The composition root: settings -> adapters -> engine -> triggers. No logic here."""

from __future__ import annotations

import os

import azure.functions as func

from azurerest import Account
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.azure_files import AzureFiles
from orchestrator.catalog.submissions import Submitter
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.settings import read
from orchestrator.triggers import api, http, openapi, queue, timer
from orchestrator.triggers.auth import TokenAuthorizer
from orchestrator.triggers.dispatch import Dispatcher
from orchestrator.triggers.service import Service

settings = read(os.environ)

world = AzureWorld(Account.from_connection_string(settings.storage.reveal()))
AzureFiles(world.blobs).install(world)

memory = ProcessMemory(
    EngineSettings(queue=settings.queue, claim_ttl=settings.claim_ttl, sweep_quiet=settings.sweep_quiet)
)
submitter = Submitter(
    memory,
    computes=settings.computes,
    datastores=settings.datastores,
    assignment_bytes=settings.assignment_bytes,
)
service = Service(settings=settings, world=world, memory=memory, submitter=submitter, api_document=openapi.document)

app = func.FunctionApp()
app.register_functions(
    http.blueprint(Dispatcher(service, TokenAuthorizer(settings.token_digests)), api.ROUTES, settings.queue)
)
app.register_functions(queue.blueprint(service))
app.register_functions(timer.blueprint(service))
