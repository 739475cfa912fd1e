"""Registered models."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.catalog import model_uploads, models, run_models
from orchestrator.catalog.models import Model
from orchestrator.catalog.snapshots import ManifestEntry
from orchestrator.core.result import ModelRegistration
from orchestrator.engine.outputview import SignedFile, sign_files
from orchestrator.files import SYSTEM
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Continuation, PageQuery, RunId, Strict, UploadTarget, upload_target

_FILE = {
    "path": "model.pkl",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size": 1234,
}


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model; `id` is name:version. `created_at` in epoch seconds."""

    id: str
    name: str
    version: int
    run_id: str
    step_id: str
    path: str
    created_at: float
    tags: dict[str, str]
    properties: dict[str, str]
    description: str
    framework: str | None
    framework_version: str | None


class ModelBody(ModelLine, frozen=True, kw_only=True):
    """With its files, and URLs, good for minutes, to read them."""

    files: tuple[SignedFile, ...]


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    models: tuple[ModelLine, ...]
    continuation: Continuation


class ModelsQuery(PageQuery, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Only versions of this model.")] = ""


class ModelQuery(Strict, frozen=True, kw_only=True):
    version: Annotated[int, Meta(ge=1, le=99_999_999, description="Absent: the latest.")] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class ModelUploadRequest(Strict, frozen=True, kw_only=True):
    """The files of a model: paths, sums, sizes."""

    files: tuple[ManifestEntry, ...]


class ModelFileUpload(msgspec.Struct, frozen=True, kw_only=True):
    """`upload` is null for a file that is stored already."""

    path: str
    upload: UploadTarget | None


class ModelUploadBody(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the sha256 of the manifest."""

    id: str
    files: tuple[ModelFileUpload, ...]


class RegisterFromStepRequest(Strict, frozen=True, kw_only=True):
    """`path` is the file, or the folder of files, that is the model. The wish is known by `request_id`."""

    name: str
    path: str
    request_id: RunId
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    description: str = ""
    framework: str | None = None
    framework_version: str | None = None


class RegisterRequest(RegisterFromStepRequest, frozen=True, kw_only=True):
    """`path` is the file among `files`, or the folder of them, that is the model. The wish is known by `request_id`."""

    files: tuple[ManifestEntry, ...]


@route("GET", "models", summary="List models", role=Role.READER, answers={200: ModelList})
def list_models(service: Service, asked: Asked, query: ModelsQuery) -> Reply:
    """Every version is an entry: by name, the latest version first."""
    del asked
    task = models.listing(name=query.name or None, limit=query.limit, continuation=query.continuation or None)
    page = service.world.run(task)
    lines = tuple(ModelLine(**_fields(model)) for model in page.items)
    return Reply(body=ModelList(models=lines, continuation=page.continuation))


@route("GET", "models/{name}", summary="Get a model", role=Role.READER, answers={200: ModelBody}, errors=(404,))
def get_model(service: Service, asked: Asked, query: ModelQuery) -> Reply:
    """The latest version, or the one asked for."""
    model = service.world.run(models.get(asked.path["name"], query.version or None))
    return Reply(body=_body(service, model))


@route(
    "POST",
    "models/uploads",
    summary="Upload a model",
    role=Role.SUBMITTER,
    answers={200: ModelUploadBody},
    errors=(413,),
    example={"files": [_FILE]},
)
def upload_model(service: Service, asked: Asked, body: ModelUploadRequest) -> Reply:
    """Ask where to send each of up to 1,000 files. Models of runs need none of this: their files are stored already."""
    del asked
    made = service.world.run(model_uploads.prepare(body.files, url_seconds=service.settings.url_seconds))
    files = tuple(ModelFileUpload(path=slot.path, upload=upload_target(slot.upload)) for slot in made.slots)
    return Reply(body=ModelUploadBody(id=made.id, files=files))


@route(
    "POST",
    "models",
    summary="Register a model",
    role=Role.SUBMITTER,
    answers={200: ModelBody},
    errors=(409, 413),
    example={"name": "iris", "path": "model.pkl", "files": [_FILE], "request_id": "7a1f0c9e"},
)
def register_model(service: Service, asked: Asked, body: RegisterRequest) -> Reply:
    """Make files that were uploaded the next version of a model. Sent again, it answers with the same version."""
    del asked
    model = service.world.run(model_uploads.publish(_wish(body), body.files, body.request_id))
    return Reply(body=_body(service, model))


@route(
    "POST",
    "runs/{run_id}/steps/{step_id}/models",
    summary="Register a model of a step",
    role=Role.SUBMITTER,
    answers={200: ModelBody},
    errors=(404, 409),
    example={"name": "iris", "path": "outputs/model.pkl", "request_id": "7a1f0c9e"},
)
def register_step_model(service: Service, asked: Asked, body: RegisterFromStepRequest) -> Reply:
    """Make files that a step left the next version of a model. Sent again, it answers with the same version."""
    run, step = asked.path["run_id"], asked.path["step_id"]
    model = service.world.run(run_models.publish(service.memory, run, step, _wish(body), body.request_id))
    return Reply(body=_body(service, model))


def _wish(body: RegisterFromStepRequest) -> ModelRegistration:
    return ModelRegistration(
        name=body.name,
        path=body.path,
        tags=body.tags,
        properties=body.properties,
        description=body.description,
        framework=body.framework,
        framework_version=body.framework_version,
    )


def _body(service: Service, model: Model) -> ModelBody:
    files = service.world.run(sign_files(SYSTEM, model.prefix, model.files, service.settings.url_seconds))
    return ModelBody(**_fields(model), files=files)


def _fields(model: Model) -> dict[str, Any]:
    kept = {name: getattr(model, name) for name in ModelLine.__struct_fields__ if name != "id"}
    return {**kept, "id": f"{model.name}:{model.version}"}


ROUTES = (list_models, get_model, upload_model, register_model, register_step_model)
