"""The files of a run, as a real azureml-core asks for them inside a step: artifacts v2.0.

The container of a run's files is called `dcid.<run id>`. Bytes go to storage and come from there by signed URLs.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from orchestrator.core.errors import UnknownThing
from orchestrator.core.names import shown
from orchestrator.engine import given
from orchestrator.engine.outputview import SignedFile, Signing, outputs_page
from orchestrator.engine.outputview import Wish as Outputs
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.wire_place import WORKSPACE, executing, ids, must_execute

_FILES = f"artifact/v2.0/{WORKSPACE}/artifacts"
_OF_RUN = "{origin}/{container}"


class WirePath(msgspec.Struct, frozen=True, kw_only=True):
    path: str


class WirePaths(msgspec.Struct, frozen=True, kw_only=True):
    """Files to be uploaded. Other fields of version 1 may be there."""

    paths: tuple[WirePath, ...]


class WireArtifact(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A file of a run."""

    artifact_id: str
    origin: str
    container: str
    path: str


class WireContent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the bytes of a file are, or where they go, for minutes."""

    content_uri: str
    origin: str
    container: str
    path: str


class WireFault(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class WireRefusal(msgspec.Struct, frozen=True, kw_only=True):
    error: WireFault


class WireContents(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """For each path what is made and where its bytes go, or why not."""

    artifacts: dict[str, WireArtifact]
    artifact_content_information: dict[str, WireContent]
    errors: dict[str, WireRefusal]


class WireArtifacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of them: there is no further page."""

    value: tuple[WireArtifact, ...]
    continuation_token: str | None = None


class WireContentList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All of them: there is no further page."""

    value: tuple[WireContent, ...]
    continuation_token: str | None = None


@route(
    "POST",
    f"{_FILES}/batch/metadata/{_OF_RUN}",
    summary="Upload files of a run (version 1)",
    role=Role.SUBMITTER,
    answers={200: WireContents},
    errors=(404, 409),
    changes_run=True,
    example={"paths": [{"path": "plots/loss.png"}]},
)
def offer_wire_files(service: Service, asked: Asked, body: WirePaths) -> Reply:
    """Ask where the bytes go. Of a step that is being executed; its files are kept when it has ended."""
    on = must_execute(service, asked)
    paths = tuple(dict.fromkeys(one.path for one in body.paths))
    offered = service.world.run(
        given.offer(given.by_script(on), paths, seconds=service.settings.url_seconds, readable=True)
    )
    taken = "The run has a file of this name already."
    return Reply(
        body=WireContents(
            artifacts={path: _artifact(asked, path) for path in paths},
            artifact_content_information={
                path: _content(asked, path, signed.url) for path, signed in offered.items() if signed is not None
            },
            errors={
                path: WireRefusal(error=WireFault(code="Conflict", message=f"{taken} {shown(path)}"))
                for path, signed in offered.items()
                if signed is None
            },
        )
    )


@route(
    "GET",
    f"{_FILES}/{_OF_RUN}",
    summary="List the files of a run (version 1)",
    role=Role.READER,
    answers={200: WireArtifacts},
    errors=(404,),
)
def list_wire_files(service: Service, asked: Asked) -> Reply:
    """Those that its script has uploaded so far, or, when it has ended, all that was kept."""
    return Reply(body=WireArtifacts(value=tuple(_artifact(asked, one.path) for one in _files(service, asked))))


@route(
    "GET",
    f"{_FILES}/contentinfo/{_OF_RUN}/{{*path}}",
    summary="Find a file of a run (version 1)",
    role=Role.READER,
    answers={200: WireContent},
    errors=(404,),
)
def get_wire_file(service: Service, asked: Asked) -> Reply:
    """With a URL to read it."""
    wanted = _path(asked)
    found = next((one for one in _files(service, asked, wanted) if one.path == wanted), None)
    if found is None:
        raise UnknownThing(f"The run has no file {shown(wanted)}.", field="path")
    return Reply(body=_content(asked, wanted, found.url))


@route(
    "GET",
    f"{_FILES}/prefix/contentinfo/{_OF_RUN}/{{*path}}",
    summary="Find files of a run by the beginnings of their paths (version 1)",
    role=Role.READER,
    answers={200: WireContentList},
    errors=(404,),
)
def get_wire_files(service: Service, asked: Asked) -> Reply:
    """The file of this path, and those below it, or all without a path, with URLs to read them."""
    wanted = _path(asked).strip("/")
    files = _files(service, asked, wanted)
    below = [one for one in files if not wanted or f"{one.path}/".startswith(f"{wanted}/")]
    return Reply(body=_contents(asked, below))


def _files(service: Service, asked: Asked, start: str = "") -> tuple[SignedFile, ...]:
    """By path, with URLs. `start`: how the paths begin, of those that are looked for."""
    run, step = ids(asked)
    seconds = service.settings.url_seconds
    on = executing(service, asked) if step or asked.script is not None else None
    if on is None:
        return _kept(service, run, step, seconds)
    place = given.by_script(on)
    items = service.world.run(given.listed(place, start))
    return tuple(
        SignedFile(
            path=item.name,
            size=item.size,
            sha256="",
            url=service.world.run(given.url(place, item.name, seconds=seconds)),
        )
        for item in items
    )


def _kept(service: Service, run: str, step: str, seconds: float) -> tuple[SignedFile, ...]:
    """The artifacts of a step that has ended, or, without a step, of all of them."""
    files: list[SignedFile] = []
    continuation: str | None = None
    while True:
        wish = Outputs(step=step or None, what="artifacts", continuation=continuation)
        page = service.world.run(outputs_page(service.memory, run, Signing(datastores={}, seconds=seconds), wish))
        files += (file for left in page.steps.values() for file in left.artifacts)
        continuation = page.continuation
        if continuation is None:
            return tuple(files)


def _path(asked: Asked) -> str:
    # Hosts leave a %2F as it is. Without a path there is no such parameter.
    return asked.path.get("path", "").replace("%2F", "/").replace("%2f", "/")


def _artifact(asked: Asked, path: str) -> WireArtifact:
    origin, container = asked.path["origin"], asked.path["container"]
    return WireArtifact(artifact_id=f"{origin}/{container}/{path}", origin=origin, container=container, path=path)


def _content(asked: Asked, path: str, url: str) -> WireContent:
    return WireContent(content_uri=url, origin=asked.path["origin"], container=asked.path["container"], path=path)


def _contents(asked: Asked, files: Iterable[SignedFile]) -> WireContentList:
    return WireContentList(value=tuple(_content(asked, one.path, one.url) for one in files))


ROUTES = (offer_wire_files, list_wire_files, get_wire_file, get_wire_files)
