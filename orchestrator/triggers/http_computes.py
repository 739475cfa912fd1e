"""Computes: the names that steps may ask for."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.catalog import computes
from orchestrator.catalog.dispatch import last
from orchestrator.core.compute import Compute, ComputeKind, Executions, queue_of
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict


class ComputeRequest(Strict, frozen=True, kw_only=True):
    """`settings` is any JSON object: what the maker asked for, kept to be shown. `executions`, of a process or
    container compute: how many there may be, and on what."""

    kind: str = "function"
    executions: Executions | None = None
    settings: dict[str, Any] = msgspec.field(default_factory=dict)


class ComputeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`running` executions, of at most `most`, and `waiting` messages, those that they work on among them. `runs_in`:
    what they are here; empty as long as no dispatcher has looked."""

    name: str
    kind: str
    queue: str
    most: int | None
    running: int
    waiting: int
    runs_in: str


class ComputeList(msgspec.Struct, frozen=True, kw_only=True):
    computes: tuple[Compute, ...]
    continuation: Continuation


@route(
    "PUT",
    "computes/{name}",
    summary="Make a compute",
    role=Role.OPERATOR,
    answers={201: Compute, 200: Compute},
    errors=(409, 413),
    example={"kind": "function", "settings": {"vm_size": "STANDARD_D2_V2", "max_nodes": 4}},
)
def put_compute(service: Service, asked: Asked, body: ComputeRequest) -> Reply:
    """Give a kind of compute a name that steps may ask for. If there is one, its settings are replaced (200)."""
    task = computes.put(
        asked.path["name"],
        body.kind,
        body.settings,
        executions=body.executions,
        configured=service.settings.computes,
        kinds=service.settings.compute_kinds,
    )
    made, created = service.world.run(task)
    return Reply(body=made, status=201 if created else 200)


@route("GET", "computes", summary="List computes", role=Role.READER, answers={200: ComputeList})
def list_computes(service: Service, asked: Asked, query: PageQuery) -> Reply:
    """Those that were made, by name. The service's own are in the answer to GET /api/workspace."""
    del asked
    page = service.world.run(computes.listing(limit=query.limit, continuation=query.continuation or None))
    return Reply(body=ComputeList(computes=page.items, continuation=page.continuation))


@route("GET", "computes/{name}", summary="Get a compute", role=Role.READER, answers={200: Compute}, errors=(404,))
def get_compute(service: Service, asked: Asked) -> Reply:
    """One that was made."""
    return Reply(body=service.world.run(computes.get(asked.path["name"])))


@route(
    "GET",
    "computes/{name}/status",
    summary="What a compute is doing",
    role=Role.READER,
    answers={200: ComputeStatus},
    errors=(404,),
)
def get_compute_status(service: Service, asked: Asked) -> Reply:
    """As its dispatcher last saw it; one that Container Apps alone start says nothing of what runs."""
    name = asked.path["name"]
    own = service.settings.computes
    compute = own[name] if name in own else service.world.run(computes.get(name))
    seen = service.world.run(last(name))
    function = compute.kind == ComputeKind.FUNCTION
    return Reply(
        body=ComputeStatus(
            name=name,
            kind=compute.kind,
            queue=queue_of(service.settings.queue, name, compute.kind),
            most=None if function else compute.sizes.most,
            running=seen.running,
            waiting=seen.waiting,
            runs_in="the Functions app" if function else seen.by,
        )
    )


@route(
    "DELETE",
    "computes/{name}",
    summary="Remove a compute",
    role=Role.OPERATOR,
    answers={200: Compute},
    errors=(404,),
)
def delete_compute(service: Service, asked: Asked) -> Reply:
    """New pipelines cannot name it any more; what was published or runs is not touched."""
    return Reply(body=service.world.run(computes.remove(asked.path["name"])))


ROUTES = (put_compute, list_computes, get_compute, get_compute_status, delete_compute)
