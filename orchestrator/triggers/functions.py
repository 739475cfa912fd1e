"""All functions of the app, over one world."""

from __future__ import annotations

import azure.functions as func

from orchestrator.catalog.submissions import Submitter, WebhookRules
from orchestrator.changes.intake import Intake
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.script_calls import may_call
from orchestrator.settings import Settings
from orchestrator.triggers import api, changes, http, openapi, queue, timer, webhooks
from orchestrator.triggers.auth import Authorizer, RunTokenAuthorizer, TokenAuthorizer
from orchestrator.triggers.dispatch import Dispatcher
from orchestrator.triggers.entra import EitherAuthorizer, EntraAuthorizer
from orchestrator.triggers.service import Runner, Service


def callers(settings: Settings) -> Authorizer:
    """How people and programs prove who they are; scripts of steps aside."""
    tokens = TokenAuthorizer(settings.token_digests)
    if not settings.entra_audience:
        return tokens
    entra = EntraAuthorizer(
        tenant=settings.entra_tenant, audience=settings.entra_audience, authority=settings.entra_authority
    )
    return EitherAuthorizer(entra, tokens)


def build(settings: Settings, world: Runner, memory: ProcessMemory) -> func.FunctionApp:
    """The Functions app. `world` must interpret the effects of the engine, of files, and `Perform`."""
    submitter = Submitter(
        memory,
        computes=settings.computes,
        datastores=settings.datastores,
        assignment_bytes=settings.assignment_bytes,
        function_seconds=settings.function_timeout,
        webhooks=WebhookRules(enabled=bool(settings.webhook_keys), private=settings.webhook_private),
    )
    intake = Intake(submitter, settings.datastores, settings.changes_queue)
    service = Service(
        settings=settings,
        world=world,
        memory=memory,
        submitter=submitter,
        intake=intake,
        api_document=openapi.document,
    )
    authorizer = RunTokenAuthorizer(
        callers(settings),
        settings.run_token_key.reveal().encode(),
        lambda token: world.run(may_call(memory, token)),
    )
    app = func.FunctionApp()
    app.register_functions(http.blueprint(Dispatcher(service, authorizer), api.ROUTES, settings.queue))
    app.register_functions(queue.blueprint(service))
    app.register_functions(timer.blueprint(service))
    app.register_functions(changes.blueprint(service))
    if settings.webhook_keys:
        app.register_functions(webhooks.blueprint(service))
    return app
