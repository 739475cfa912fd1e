"""The OpenAPI 3.1 document of the HTTP API, generated from its routes. docs/openapi.json is a copy of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from orchestrator.core.descriptions import tidied
from orchestrator.triggers.api import ROUTES
from orchestrator.triggers.dispatch import ErrorBody
from orchestrator.triggers.routes import PREFIX, Octets, Route
from orchestrator.version import VERSION

DESCRIPTION = """\
Millstream runs pipelines: graphs of steps whose state lies in storage.

Errors have one shape everywhere, `{"error": {"code", "message", "field"}}`, and say what to do. Lists come in pages:
pass `continuation` on until it is null. Files go up and down by signed URLs, and not through the service, but for those
of datastores that are registered with a SAS token: their URLs are the service's own, below /api/relay/. Times are
seconds since the epoch, except on the routes of version 1.

A service whose health says `sign_in.functions_key` is opened by a key of the Functions app, in the header
x-functions-key: alone, or beside a token."""

GROUPS = {
    "system": "The service itself.",
    "pipelines": "Published pipelines.",
    "endpoints": "Pipeline endpoints: addresses in front of published pipelines.",
    "drafts": "Pipelines in the making.",
    "v1": "Starting, looking at and cancelling runs in the casing of Azure ML v1.",
    "wire": "What a real azureml-core asks for inside a step.",
    "wire_files": "Files of runs, as a real azureml-core asks for them inside a step.",
    "wire_models": "Models, as a real azureml-core registers them inside a step.",
    "wire_metrics": "Metrics, as a real azureml-core asks for them inside a step.",
    "runs": "Runs: start, find, tag, cancel.",
    "repeats": "Runs once more: all of it, or what failed.",
    "schedules": "Schedules: pipelines that start by themselves.",
    "webhooks": "Who is told of the end of runs.",
    "steps": "Inside a run: steps, logs, metrics, outputs.",
    "logging": "Tags and metrics of steps and runs, from outside.",
    "run_files": "Files of steps and runs, from outside.",
    "datastores": "Datastores: registered names for containers, shares and databases.",
    "data": "Sources and data, by signed URLs.",
    "relay": "Data that no signed URL opens.",
    "datasets": "Datasets: where data lies and how it is read.",
    "experiments": "Names under which runs are gathered.",
    "models": "Registered models.",
    "environments": "Environments kept by name: what steps ask to find installed.",
    "modules": "Modules: steps kept under a name, with versions, for pipelines to be made of.",
    "computes": "Names of computes that steps may ask for.",
    "attachments": "Workspaces of other services in which steps of a compute do their work.",
}
PARAMETERS = {
    "run_id": "The id of a run; on version 1's routes also that of a step's run, <run>_<step>.",
    "experiment_id": "Version 1's id of the experiment; any.",
    "experiment_name": "The name of the experiment; any.",
    "step_id": "The id of a step in the definition.",
    "schedule_id": "The id of a schedule.",
    "pipeline_id": "The id of a published pipeline.",
    "draft_id": "The id of a draft.",
    "module_id": "The id of a module.",
    "module_version_id": "The id of a version of a module.",
    "webhook": "The name of a webhook.",
    "endpoint_id": "The id of a pipeline endpoint.",
    "pipeline_version": "A version of the pipeline endpoint.",
    "subscription_id": "The subscription that the service goes by.",
    "resource_group": "The resource group that the service goes by.",
    "workspace": "The name of the workspace.",
    "snapshot_id": "The id of a source folder: the sha256 of its manifest.",
    "dataset_id": "The id of a dataset: the sha256 of its document.",
    "origin": 'Version 1 calls the files of runs "ExperimentRun"; any.',
    "container": "The files of a run: dcid.<run>, or dcid.<run>_<step>.",
    "path": "The path of a file.",
    "file": "Which file, as the URL that the service gave has it.",
    "name": "The name of the datastore, dataset, experiment, model or compute.",
}
LOG_HEADERS = {
    "Millstream-Log-Offset": "Where in the log the body begins, in bytes.",
    "Millstream-Log-Next": "The offset to ask for next.",
    "Millstream-Log-Complete": "true when the step has ended and nothing follows.",
    "Millstream-Log-Attempt": "Which attempt's log this is, from 1; 0 before the first.",
}
ERRORS = {
    400: "A part of the request is missing, unknown or wrong; `field` names it.",
    401: "No token, or a wrong one.",
    403: "The caller lacks the role.",
    404: "There is no such thing.",
    409: "The name is taken, or the state forbids it.",
    413: "Over a limit.",
    415: "The body is not JSON.",
    429: "Requests come too fast, or as much is under way as may be: later. `Retry-After` says when.",
    500: "The service has failed; `incident` finds the reason in its log.",
    503: "Storage does not answer. Send the request again.",
}

Json = dict[str, Any]

_OCTETS = "application/octet-stream"
_BINARY: Json = {"type": "string", "format": "binary"}


@cache
def document() -> bytes:
    """The document as JSON, made once."""
    return msgspec.json.format(msgspec.json.encode(tidied(build(ROUTES))), indent=2) + b"\n"


def build(routes: Iterable[Route]) -> Json:
    """The document of these routes."""
    routes = tuple(routes)
    schemas, components = _schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.address, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Millstream", "version": VERSION, "description": DESCRIPTION, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _error(status) for status in ERRORS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(routes: Iterable[Route]) -> tuple[dict[Any, Json], Json]:
    """The schema of every type in use, and what they refer to by name."""
    types: list[Any] = [ErrorBody]
    for route in routes:
        for kind in (route.body, *route.answers.values()):
            if kind not in (None, bytes, Octets, *types):
                types.append(kind)
    made, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return dict(zip(types, made, strict=True)), components


def _operation(route: Route, schemas: dict[Any, Json]) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "description": route.description,
        "tags": [route.group],
        "security": [{"token": []}] if route.role is not None else [],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route, schemas),
    }
    if route.role is not None:
        operation["description"] += f"\n\nNeeds the role {route.role.name.title()} or a higher one."
    if route.body is not None:
        content: Json = {"schema": schemas[route.body]}
        if route.example is not None:
            content["example"] = route.example
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    if route.data:
        operation["requestBody"] = {"required": False, "content": {_OCTETS: {"schema": _BINARY}}}
    return operation


def _path_parameters(route: Route) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in route.parameters
    ]


def _query_parameters(route: Route) -> list[Json]:
    if route.query is None:
        return []
    _, components = msgspec.json.schema_components([route.query], ref_template="#/components/schemas/{name}")
    properties: Json = components[route.query.__name__]["properties"]
    return [_query_parameter(name, dict(schema)) for name, schema in properties.items()]


def _query_parameter(name: str, schema: Json) -> Json:
    # The Functions host drops empty values before anybody sees them, so they mean absence.
    parameter: Json = {"name": name, "in": "query", "required": False, "allowEmptyValue": True}
    if schema.get("default") in ("", []):
        del schema["default"]  # an empty text stands for absence, and so does an empty list
    parameter["description"] = schema.pop("description")
    return {**parameter, "schema": schema}


def _header_parameters(route: Route) -> list[Json]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": text,
            "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[ -~]+$"},
        }
        for name, text in route.headers.items()
    ]


def _responses(route: Route, schemas: dict[Any, Json]) -> Json:
    answers: Json = {}
    for status, kind in route.answers.items():
        answer: Json = {"description": HTTPStatus(status).phrase}
        if kind is Octets:
            answer["content"] = {_OCTETS: {"schema": _BINARY}}
        elif kind is bytes:
            answer["content"] = {"text/plain": {"schema": {"type": "string"}}}
            answer["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in LOG_HEADERS.items()
            }
        else:
            answer["content"] = {"application/json": {"schema": schemas[kind]}}
        answers[str(status)] = answer
    for status in _errors(route):
        answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return answers


def _errors(route: Route) -> list[int]:
    expected = {500, 503, *route.errors}
    if route.role is not None:
        expected |= {401, 403, 429}
    if route.query is not None or route.body is not None:
        expected.add(400)
    if route.body is not None:
        expected |= {413, 415}
    return sorted(expected - set(route.answers))


def _error(status: int) -> Json:
    answer: Json = {
        "description": ERRORS[status],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
    }
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "Bearer"}}
    if status == 429:
        after: Json = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}
        answer["headers"] = {"Retry-After": after}
    return answer
