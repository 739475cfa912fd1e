"""Datastores: names for what lies in other containers, accounts and databases. No answer holds a secret."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from orchestrator.catalog import registered_datastores
from orchestrator.catalog.registered_datastores import Wish
from orchestrator.core.datastore import LONGEST_SECRET, Auth, Datastore, Type
from orchestrator.core.secret import Secret
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict


class DatastoreRequest(Strict, frozen=True, kw_only=True):
    """For storage `account`, `container` and `endpoint`, the URL of its blob (or file) service; for SQL `url`, a
    SQLAlchemy URL without a password. `secret`: the account key, SAS token, password, or secret of a service principal.

    `overwrite`: in place of a datastore of that name. `create_if_not_exists`: make the container. `skip_validation`: do
    not try whether it can be reached.
    """

    type: Type
    auth: Auth
    account: str = ""
    container: str = ""
    endpoint: str = ""
    url: str = ""
    tenant: str = ""
    client: str = ""
    authority: str = ""
    secret: Annotated[str, Meta(max_length=LONGEST_SECRET, description="Kept encrypted, and never given back.")] = ""
    overwrite: bool = False
    create_if_not_exists: bool = False
    skip_validation: bool = False


class DatastoreBody(msgspec.Struct, frozen=True, kw_only=True):
    """A registered datastore without its secret. `created_at` in epoch seconds."""

    name: str
    type: str
    auth: str
    account: str
    container: str
    endpoint: str
    url: str
    tenant: str
    client: str
    authority: str
    created_at: float


class DatastoreList(msgspec.Struct, frozen=True, kw_only=True):
    datastores: tuple[DatastoreBody, ...]
    continuation: Continuation


@route(
    "PUT",
    "datastores/{name}",
    summary="Register a datastore",
    role=Role.SUBMITTER,
    answers={201: DatastoreBody, 200: DatastoreBody},
    errors=(409,),
    example={
        "type": "AzureBlob",
        "auth": "account_key",
        "account": "lakeaccount",
        "container": "raw",
        "endpoint": "https://lakeaccount.blob.core.windows.net",
        "secret": "c2VjcmV0",
        "skip_validation": True,
    },
)
def put_datastore(service: Service, asked: Asked, body: DatastoreRequest) -> Reply:
    """Registered again with the same values it stays as it is (200); with others it is replaced if `overwrite` says so.

    Runs that read or write it go on with what it stood for when they began to.
    """
    wanted = Datastore(
        name=asked.path["name"],
        type=body.type,
        auth=body.auth,
        account=body.account,
        container=body.container,
        endpoint=body.endpoint.rstrip("/"),
        url=body.url,
        tenant=body.tenant,
        client=body.client,
        authority=body.authority.rstrip("/"),
    )
    wish = Wish(
        datastore=wanted,
        secret=Secret(body.secret),
        overwrite=body.overwrite,
        validate=not body.skip_validation,
        create=body.create_if_not_exists,
    )
    made, created = service.world.run(registered_datastores.register(wish, configured=service.settings.datastores))
    return Reply(body=_body(made), status=201 if created else 200)


@route("GET", "datastores", summary="List datastores", role=Role.READER, answers={200: DatastoreList})
def list_datastores(service: Service, asked: Asked, query: PageQuery) -> Reply:
    """Those that were registered, by name. The service's own are in the answer to GET /api/workspace."""
    del asked
    page = service.world.run(registered_datastores.listing(limit=query.limit, continuation=query.continuation or None))
    return Reply(body=DatastoreList(datastores=tuple(map(_body, page.items)), continuation=page.continuation))


@route(
    "GET",
    "datastores/{name}",
    summary="Get a datastore",
    role=Role.READER,
    answers={200: DatastoreBody},
    errors=(404,),
)
def get_datastore(service: Service, asked: Asked) -> Reply:
    """One that was registered."""
    return Reply(body=_body(service.world.run(registered_datastores.get(asked.path["name"]))))


@route(
    "DELETE",
    "datastores/{name}",
    summary="Unregister a datastore",
    role=Role.SUBMITTER,
    answers={200: DatastoreBody},
    errors=(404, 409),
)
def delete_datastore(service: Service, asked: Asked) -> Reply:
    """Its secret is forgotten, its data stays where it is. Steps that name it fail from then on."""
    gone = service.world.run(registered_datastores.remove(asked.path["name"], configured=service.settings.datastores))
    return Reply(body=_body(gone))


def _body(found: Datastore) -> DatastoreBody:
    shown = {name: getattr(found, name) for name in DatastoreBody.__struct_fields__}
    return DatastoreBody(**shown)


ROUTES = (put_datastore, list_datastores, get_datastore, delete_datastore)
