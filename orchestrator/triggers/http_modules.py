"""Modules: steps kept under a name, with versions, for pipelines to be made of."""

from __future__ import annotations

import msgspec

from orchestrator.catalog import modules
from orchestrator.catalog.modules import Module, ModuleVersion, Publication
from orchestrator.core.module import ModuleDocument
from orchestrator.triggers.named_shapes import NamedChanges, NamedQuery, Status, fields_of, listed
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, Strict

_EXAMPLE = {
    "version": "1",
    "default": True,
    "document": {
        "kind": "python_script",
        "snapshot": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "settings": {"script": "sum.py"},
        "arguments": [{"kind": "input", "name": "numbers"}, {"kind": "output", "name": "sum"}],
        "inputs": [{"name": "numbers"}],
        "outputs": [{"name": "sum"}],
        "parameters": [{"name": "start", "default": 0}],
    },
}


class ModuleRequest(Strict, frozen=True, kw_only=True):
    name: str
    description: str = ""


class ModuleChanges(NamedChanges, frozen=True, kw_only=True):
    """What is to be changed; null leaves it as it is. A `default_version` of "" names none."""


class ModuleVersionRequest(Strict, frozen=True, kw_only=True):
    """What a step of the module runs. Without a `version` it gets the next free number.

    `default`: whether steps that ask for no version are of this one from now on.
    """

    document: ModuleDocument
    version: str = ""
    description: str = ""
    category: str = ""
    default: bool = False


class ModuleVersionChanges(Strict, frozen=True, kw_only=True):
    """What is to be changed; null leaves it as it is."""

    status: Status | None = None
    description: str | None = None


class ModuleMade(Module, frozen=True, kw_only=True):
    """`created` False: there was such a module, with this description, and nothing has changed."""

    created: bool


class ModuleVersionBody(ModuleVersion, frozen=True, kw_only=True):
    """A version with what it `holds`. `added` True: by this call."""

    holds: ModuleDocument
    added: bool = False


class ModuleList(msgspec.Struct, frozen=True, kw_only=True):
    modules: tuple[Module, ...]
    continuation: Continuation


class ModuleVersionList(msgspec.Struct, frozen=True, kw_only=True):
    versions: tuple[ModuleVersion, ...]
    continuation: Continuation


@route(
    "POST",
    "modules",
    summary="Make a module",
    role=Role.SUBMITTER,
    answers={201: ModuleMade, 200: ModuleMade},
    errors=(409, 413),
    example={"name": "sum", "description": "Sums of numbers"},
)
def create_module(service: Service, asked: Asked, body: ModuleRequest) -> Reply:
    """A name for versions of a step. If there is a module of this name and description, it is the answer (200)."""
    del asked
    made, created = service.world.run(modules.create(body.name, body.description))
    return Reply(body=ModuleMade(**fields_of(made), created=created), status=201 if created else 200)


@route("GET", "modules", summary="List modules", role=Role.READER, answers={200: ModuleList})
def list_modules(service: Service, asked: Asked, query: NamedQuery) -> Reply:
    """Newest first."""
    del asked
    page = listed(service, modules.RECORDS, query)
    return Reply(body=ModuleList(modules=page.items, continuation=page.continuation))


@route("GET", "modules/{module_id}", summary="Get a module", role=Role.READER, answers={200: Module}, errors=(404,))
def get_module(service: Service, asked: Asked) -> Reply:
    """Its name, status, and default version."""
    return Reply(body=service.world.run(modules.get(asked.path["module_id"])))


@route(
    "PATCH",
    "modules/{module_id}",
    summary="Change a module",
    role=Role.SUBMITTER,
    answers={200: Module},
    errors=(404, 409, 413),
    example={"default_version": "2"},
)
def patch_module(service: Service, asked: Asked, body: ModuleChanges) -> Reply:
    """Name, description, status, default version."""
    return Reply(body=service.world.run(modules.change(asked.path["module_id"], body.changes)))


@route(
    "POST",
    "modules/{module_id}/versions",
    summary="Publish a version of a module",
    role=Role.SUBMITTER,
    answers={201: ModuleVersionBody, 200: ModuleVersionBody},
    errors=(404, 409, 413),
    example=_EXAMPLE,
    large=True,
)
def publish_module_version(service: Service, asked: Asked, body: ModuleVersionRequest) -> Reply:
    """Published again as it is there, it is found (200). A version that holds something else stays as it is (409)."""
    wish = Publication(
        document=body.document,
        version=body.version,
        description=body.description,
        category=body.category,
        default=body.default,
    )
    _, made, added = service.world.run(modules.publish(asked.path["module_id"], wish))
    answer = ModuleVersionBody(**fields_of(made), holds=body.document, added=added)
    return Reply(body=answer, status=201 if added else 200)


@route(
    "GET",
    "modules/{module_id}/versions",
    summary="List the versions of a module",
    role=Role.READER,
    answers={200: ModuleVersionList},
    errors=(404,),
)
def list_module_versions(service: Service, asked: Asked, query: PageQuery) -> Reply:
    """In the order of publication."""
    task = modules.versions(asked.path["module_id"], limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    return Reply(body=ModuleVersionList(versions=page.items, continuation=page.continuation))


@route(
    "GET",
    "module-versions/{module_version_id}",
    summary="Get a version of a module",
    role=Role.READER,
    answers={200: ModuleVersionBody},
    errors=(404,),
)
def get_module_version(service: Service, asked: Asked) -> Reply:
    """With what it holds."""
    found = service.world.run(modules.version(asked.path["module_version_id"]))
    return Reply(body=ModuleVersionBody(**fields_of(found), holds=service.world.run(modules.load(found))))


@route(
    "PATCH",
    "module-versions/{module_version_id}",
    summary="Change a version of a module",
    role=Role.SUBMITTER,
    answers={200: ModuleVersion},
    errors=(404, 413),
    example={"status": "Deprecated"},
)
def patch_module_version(service: Service, asked: Asked, body: ModuleVersionChanges) -> Reply:
    """Status and description; what it holds never changes."""
    task = modules.change_version(asked.path["module_version_id"], status=body.status, description=body.description)
    return Reply(body=service.world.run(task))


ROUTES = (
    create_module,
    list_modules,
    get_module,
    patch_module,
    publish_module_version,
    list_module_versions,
    get_module_version,
    patch_module_version,
)
