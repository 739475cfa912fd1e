"""Datasets: documents that say where data lies and how it is read, and the names under which they are registered."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.catalog import datasets, registered_datastores
from orchestrator.catalog.datasets import Registration, Wish
from orchestrator.core.dataset import DatasetDocument, datastores_of
from orchestrator.core.datastore import FILES, SQL
from orchestrator.core.errors import InvalidRequest
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict

_EXAMPLE = {
    "document": {
        "type": "tabular",
        "sources": [{"kind": "datastore", "datastore": "workspaceblobstore", "path": "raw/**/*.csv"}],
        "format": {"kind": "delimited"},
        "operations": [{"op": "sample", "probability": 0.1, "seed": 42}],
    },
    "name": "diabetes",
    "create_new_version": True,
}


class DatasetRequest(Strict, frozen=True, kw_only=True):
    """A dataset to keep, and, with a `name`, to register."""

    document: DatasetDocument
    name: str | None = None
    description: str | None = None
    tags: dict[str, str] | None = None
    create_new_version: bool = False


class DatasetLine(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered dataset. `id` is the address of its document; `created_at` in epoch seconds."""

    id: str
    name: str
    version: int
    created_at: float
    description: str
    tags: dict[str, str]


class DatasetBody(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset; without a name and a version where it is not, or was not asked for as, a registered one."""

    id: str
    document: DatasetDocument
    name: str | None = None
    version: int | None = None
    created_at: float | None = None
    description: str = ""
    tags: dict[str, str] = {}
    created: bool = False


class DatasetList(msgspec.Struct, frozen=True, kw_only=True):
    datasets: tuple[DatasetLine, ...]
    continuation: Continuation


class Unregistered(msgspec.Struct, frozen=True, kw_only=True):
    """How many versions were removed."""

    versions: int


class DatasetsQuery(PageQuery, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Every version of this dataset, instead of the latest of all.")] = ""


class DatasetQuery(Strict, frozen=True, kw_only=True):
    version: Annotated[int, Meta(ge=1, le=99_999_999, description="Absent: the latest.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class DatasetChange(Strict, frozen=True, kw_only=True):
    """A tag with the value null is removed. Without a `version` the latest is changed."""

    description: str | None = None
    tags: dict[str, str | None] = msgspec.field(default_factory=dict)
    version: Annotated[int, Meta(ge=1, le=99_999_999)] | None = None


@route(
    "POST",
    "datasets",
    summary="Save or register a dataset",
    role=Role.SUBMITTER,
    answers={200: DatasetBody, 201: DatasetBody},
    errors=(409, 413),
    example=_EXAMPLE,
)
def save_dataset(service: Service, asked: Asked, body: DatasetRequest) -> Reply:
    """The same dataset saved again has the same id; registered again it is the same version, answered with 200."""
    del asked
    if body.name is None and (body.tags or body.description or body.create_new_version):
        raise InvalidRequest("Only a dataset with a name has a description, tags and versions.", field="name")
    needed = datastores_of(body.document)
    stores = service.world.run(registered_datastores.known(service.settings.datastores, needed, types=(*FILES, *SQL)))
    wanted = service.world.run(datasets.save(body.document, datastores=stores))
    if body.name is None:
        return Reply(body=DatasetBody(id=wanted, document=body.document))
    wish = Wish(
        name=body.name, description=body.description, tags=body.tags, create_new_version=body.create_new_version
    )
    made, created = service.world.run(datasets.register(wish, wanted))
    answer = DatasetBody(**_fields(made), document=body.document, created=created)
    return Reply(body=answer, status=201 if created else 200)


@route("GET", "datasets", summary="List datasets", role=Role.READER, answers={200: DatasetList})
def list_datasets(service: Service, asked: Asked, query: DatasetsQuery) -> Reply:
    """The latest version of every name, by name; or all versions of one name, the latest first."""
    del asked
    task = datasets.listing(name=query.name or None, limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    lines = tuple(DatasetLine(**_fields(found)) for found in page.items)
    return Reply(body=DatasetList(datasets=lines, continuation=page.continuation))


@route("GET", "datasets/{name}", summary="Get a dataset", role=Role.READER, answers={200: DatasetBody}, errors=(404,))
def get_dataset(service: Service, asked: Asked, query: DatasetQuery) -> Reply:
    """The latest version, or the one asked for."""
    found = service.world.run(datasets.get(asked.path["name"], query.version or None))
    document = service.world.run(datasets.load(found.id))
    return Reply(body=DatasetBody(**_fields(found), document=document))


@route(
    "GET",
    "datasets/by-id/{dataset_id}",
    summary="Get a dataset by its id",
    role=Role.READER,
    answers={200: DatasetBody},
    errors=(404,),
)
def get_dataset_by_id(service: Service, asked: Asked) -> Reply:
    """Any dataset that was saved, registered or not."""
    wanted = asked.path["dataset_id"]
    return Reply(body=DatasetBody(id=wanted, document=service.world.run(datasets.load(wanted))))


@route(
    "PATCH",
    "datasets/{name}",
    summary="Change description and tags",
    role=Role.SUBMITTER,
    answers={200: DatasetLine},
    errors=(404, 413),
    example={"tags": {"stage": "raw", "old": None}},
)
def change_dataset(service: Service, asked: Asked, body: DatasetChange) -> Reply:
    """What is not mentioned stays."""
    task = datasets.change(asked.path["name"], body.version, body.description, body.tags)
    return Reply(body=DatasetLine(**_fields(service.world.run(task))))


@route(
    "DELETE",
    "datasets/{name}",
    summary="Unregister a dataset",
    role=Role.SUBMITTER,
    answers={200: Unregistered},
    errors=(404,),
)
def unregister_dataset(service: Service, asked: Asked) -> Reply:
    """All versions of the name. Ids stay good, and no data is touched."""
    return Reply(body=Unregistered(versions=service.world.run(datasets.unregister(asked.path["name"]))))


def _fields(found: Registration) -> dict[str, Any]:
    return {name: getattr(found, name) for name in DatasetLine.__struct_fields__}


ROUTES = (save_dataset, list_datasets, get_dataset, get_dataset_by_id, change_dataset, unregister_dataset)
