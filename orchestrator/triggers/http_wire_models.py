"""Models, as a real azureml-core registers them inside a step: model management v1.0.

It makes an asset of the files first. Here an asset is nothing but the address of files of the run, written as its id.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from orchestrator.catalog import given_models
from orchestrator.catalog.models import Model
from orchestrator.core.errors import InvalidRequest, UnknownThing
from orchestrator.core.result import ModelRegistration
from orchestrator.triggers.auth import Forbidden
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.wire_place import CONTAINER, WORKSPACE, iso, of_script

_MODELS = f"modelmanagement/v1.0/{WORKSPACE}"
_ASSET = "aml://asset/"
_ORIGIN = "ExperimentRun"


class WireFiles(msgspec.Struct, frozen=True, kw_only=True):
    """`prefix`: origin, container and path of a file or folder. Other fields of version 1 may be there."""

    prefix: str


class WireAssetWish(msgspec.Struct, frozen=True, kw_only=True):
    """Files of one run. Other fields of version 1 may be there."""

    artifacts: tuple[WireFiles, ...]
    name: str = ""


class WireAsset(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    artifacts: tuple[WireFiles, ...]


class WireModelWish(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`url` names an asset. Other fields of version 1 may be there."""

    name: str
    url: str
    kv_tags: dict[str, str] | None = None
    properties: dict[str, str] | None = None
    description: str | None = None
    framework: str | None = None
    framework_version: str | None = None


class WireModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A version of a model. Times are ISO 8601."""

    id: str
    name: str
    version: int
    url: str
    created_time: str
    run_id: str
    description: str
    framework: str | None
    framework_version: str | None
    kv_tags: dict[str, str]
    properties: dict[str, str]
    datasets: tuple[str, ...] = ()
    mime_type: str = "application/x-python"
    unpack: bool = False


@route(
    "POST",
    f"{_MODELS}/assets",
    summary="Name the files of a model (version 1)",
    role=Role.SUBMITTER,
    answers={200: WireAsset},
    errors=(404,),
    example={"name": "iris", "artifacts": [{"prefix": "ExperimentRun/dcid.3f0c1f1c_train/outputs/iris.pkl"}]},
)
def make_wire_asset(service: Service, asked: Asked, body: WireAssetWish) -> Reply:
    """Files that the script of a step has uploaded. Nothing is kept of this."""
    del service, asked
    if len(body.artifacts) != 1:
        raise InvalidRequest("A model is one file or one folder of a run.", field="artifacts")
    address = body.artifacts[0].prefix
    made = base64.urlsafe_b64encode(address.encode()).decode().rstrip("=")
    return Reply(body=WireAsset(id=made, name=body.name, artifacts=body.artifacts))


@route(
    "POST",
    f"{_MODELS}/models",
    summary="Register a model (version 1)",
    role=Role.SUBMITTER,
    answers={200: WireModel},
    errors=(404,),
    example={"name": "iris", "url": "aml://asset/RXhwZXJpbWVudFJ1bi9kY2lkLjNmMGMxZjFjX3RyYWluL291dHB1dHMvaXJpcy5wa2w"},
)
def register_wire_model(service: Service, asked: Asked, body: WireModelWish) -> Reply:
    """By the script of a step that runs, from files that it has uploaded; at once, whatever becomes of the step."""
    if asked.script is None:
        raise Forbidden("Only the script of a step registers models so. From outside: POST /api/models.")
    wish = ModelRegistration(
        name=body.name,
        path=_path(body.url, asked.script.step_run_id, asked.script.run),
        tags=body.kv_tags or {},
        properties=body.properties or {},
        description=body.description or "",
        framework=body.framework,
        framework_version=body.framework_version,
    )
    return Reply(body=_wire(service.world.run(given_models.publish(of_script(asked.script), wish)), body.url))


def _path(url: str, *runs: str) -> str:
    """The path of the files of an asset. Raises InvalidRequest, UnknownThing: those of other runs are not its own."""
    text = url.removeprefix(_ASSET)
    try:
        address = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        address = ""
    origin, _, rest = address.partition("/")
    container, _, path = rest.partition("/")
    if not url.startswith(_ASSET) or origin != _ORIGIN or not path:
        raise InvalidRequest("The url of a model names an asset of files of a run.", field="url")
    if container.removeprefix(CONTAINER) not in runs:
        raise UnknownThing("These files are not of this run.", field="url")
    return path.rstrip("/")


def _wire(model: Model, url: str) -> WireModel:
    return WireModel(
        id=f"{model.name}:{model.version}",
        name=model.name,
        version=model.version,
        url=url,
        created_time=iso(model.created_at),
        run_id=f"{model.run_id}_{model.step_id}" if model.step_id else model.run_id,
        description=model.description,
        framework=model.framework,
        framework_version=model.framework_version,
        kv_tags=model.tags,
        properties=model.properties,
    )


ROUTES = (make_wire_asset, register_wire_model)
