"""All functions of the app, over one world."""

from __future__ import annotations

import azure.functions as func

from orchestrator.catalog.submissions import Submitter, WebhookRules
from orchestrator.changes.intake import Intake
from orchestrator.core.run_token import DOOR
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.script_calls import may_call
from orchestrator.settings import Settings
from orchestrator.triggers import api, changes, http, openapi, queue, timer, webhooks
from orchestrator.triggers.auth import (
    Authorizer,
    FunctionsKeyAuthorizer,
    NobodyElse,
    Role,
    RunTokenAuthorizer,
    TokenAuthorizer,
)
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


def _register_http(app: func.FunctionApp, service: Service) -> None:
    """The routes of the API; with functions keys those of scripts a second time, since the host asks these for none."""
    settings = service.settings

    def with_run_tokens(others: Authorizer) -> Authorizer:
        key = settings.run_token_key.reveal().encode()
        return RunTokenAuthorizer(others, key, lambda token: service.world.run(may_call(service.memory, token)))

    authorizer = with_run_tokens(callers(settings))
    if not settings.functions_key_role:
        app.register_functions(http.blueprint(Dispatcher(service, authorizer), api.ROUTES, settings.queue))
        return
    role = Role[settings.functions_key_role.upper()]
    guarded = Dispatcher(service, FunctionsKeyAuthorizer(authorizer, role))
    app.register_functions(http.blueprint(guarded, api.ROUTES, settings.queue, keys=True))
    scripts = Dispatcher(service, with_run_tokens(NobodyElse()), door=DOOR)
    app.register_functions(http.blueprint(scripts, api.FOR_SCRIPTS, settings.queue, door=DOOR))


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
    app = func.FunctionApp()
    _register_http(app, service)
    app.register_functions(queue.blueprint(service))
    app.register_functions(timer.blueprint(service))
    app.register_functions(changes.blueprint(service))
    if settings.webhook_keys:
        app.register_functions(webhooks.blueprint(service))
    return app
