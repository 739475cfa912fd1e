"""Workspaces of other services, attached under the names of computes. No answer holds a secret."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.catalog import attachments
from orchestrator.core.attachment import LONGEST_SECRET, Attachment, Auth, Type
from orchestrator.core.secret import Secret
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict


class AttachmentRequest(Strict, frozen=True, kw_only=True):
    """`url`: of the workspace. `pool`: the Spark pool of a Synapse workspace. `secret`: an access token, or the secret
    of the service principal `client` of `tenant`; without one where the app's own `identity` opens it.
    """

    type: Type
    url: str
    pool: str = ""
    auth: Auth = "token"
    tenant: str = ""
    client: str = ""
    secret: Annotated[str, Meta(max_length=LONGEST_SECRET, description="Kept encrypted, and never given back.")] = ""


class AttachmentBody(msgspec.Struct, frozen=True, kw_only=True):
    """An attached workspace without its secret. `created_at` in epoch seconds."""

    name: str
    type: str
    url: str
    pool: str
    auth: str
    tenant: str
    client: str
    created_at: float


class AttachmentList(msgspec.Struct, frozen=True, kw_only=True):
    attachments: tuple[AttachmentBody, ...]
    continuation: Continuation


@route(
    "PUT",
    "attachments/{name}",
    summary="Attach a workspace",
    role=Role.SUBMITTER,
    answers={201: AttachmentBody, 200: AttachmentBody},
    example={
        "type": "Databricks",
        "url": "https://adb-1234567890123456.7.azuredatabricks.net",
        "secret": "dapi0123456789abcdef",
    },
)
def put_attachment(service: Service, asked: Asked, body: AttachmentRequest) -> Reply:
    """Where steps of the compute of this name do their work. What it was attached to before is replaced (200)."""
    given = {name: getattr(body, name) for name in AttachmentRequest.__struct_fields__ if name != "secret"}
    wanted = Attachment(name=asked.path["name"], **{**given, "url": body.url.rstrip("/")})
    made, created = service.world.run(attachments.put(wanted, Secret(body.secret)))
    return Reply(body=_body(made), status=201 if created else 200)


@route("GET", "attachments", summary="List attached workspaces", role=Role.READER, answers={200: AttachmentList})
def list_attachments(service: Service, asked: Asked, query: PageQuery) -> Reply:
    """By the name of their compute."""
    del asked
    page = service.world.run(attachments.listing(limit=query.limit, continuation=query.continuation or None))
    return Reply(body=AttachmentList(attachments=tuple(map(_body, page.items)), continuation=page.continuation))


@route(
    "GET",
    "attachments/{name}",
    summary="Get an attached workspace",
    role=Role.READER,
    answers={200: AttachmentBody},
    errors=(404,),
)
def get_attachment(service: Service, asked: Asked) -> Reply:
    """What the compute of this name is attached to."""
    return Reply(body=_body(service.world.run(attachments.get(asked.path["name"]))))


@route(
    "DELETE",
    "attachments/{name}",
    summary="Detach a workspace",
    role=Role.SUBMITTER,
    answers={200: AttachmentBody},
    errors=(404,),
)
def delete_attachment(service: Service, asked: Asked) -> Reply:
    """Its secret is forgotten. Steps that name the compute do their work on the node from then on."""
    return Reply(body=_body(service.world.run(attachments.remove(asked.path["name"]))))


def _body(found: Attachment) -> AttachmentBody:
    return AttachmentBody(**{name: getattr(found, name) for name in AttachmentBody.__struct_fields__})


ROUTES = (put_attachment, list_attachments, get_attachment, delete_attachment)
