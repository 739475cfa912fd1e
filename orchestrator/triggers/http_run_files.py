"""Files that are given to runs and steps from outside: beside what scripts have left, and never in place of it."""

from __future__ import annotations

import msgspec

from orchestrator.core.errors import Conflict
from orchestrator.core.names import shown
from orchestrator.engine import given
from orchestrator.engine.outputview import SignedFile
from orchestrator.triggers.routes import Asked, Reply, Role, Service, route
from orchestrator.triggers.shapes import Strict, UploadTarget, upload_target


class RunFilesRequest(Strict, frozen=True, kw_only=True):
    """Paths of files, up to 1,000, that the run has not yet."""

    paths: tuple[str, ...]


class RunFileTarget(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    upload: UploadTarget


class RunFileTargets(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes go: for each path, in their order."""

    files: tuple[RunFileTarget, ...]


class RunFiles(msgspec.Struct, frozen=True, kw_only=True):
    """By path, each with a URL to read it, good for minutes."""

    files: tuple[SignedFile, ...]


_EXAMPLE = {"paths": ["plots/loss.png"]}


@route(
    "POST",
    "runs/{run_id}/steps/{step_id}/files",
    summary="Upload files to a step",
    role=Role.SUBMITTER,
    answers={200: RunFileTargets},
    errors=(404, 409),
    changes_run=True,
    example=_EXAMPLE,
)
def offer_step_files(service: Service, asked: Asked, body: RunFilesRequest) -> Reply:
    """From outside, at any time: ask where the bytes go. A file that is there stays, and is a conflict."""
    return _offer(service, asked, body, asked.path["step_id"])


@route(
    "POST",
    "runs/{run_id}/files",
    summary="Upload files to a run",
    role=Role.SUBMITTER,
    answers={200: RunFileTargets},
    errors=(404, 409),
    changes_run=True,
    example=_EXAMPLE,
)
def offer_run_files(service: Service, asked: Asked, body: RunFilesRequest) -> Reply:
    """From outside, to the run as a whole, at any time: ask where the bytes go."""
    return _offer(service, asked, body, "")


@route(
    "GET",
    "runs/{run_id}/steps/{step_id}/files",
    summary="List the files that were uploaded to a step",
    role=Role.READER,
    answers={200: RunFiles},
    errors=(404,),
)
def list_step_files(service: Service, asked: Asked) -> Reply:
    """From outside. What its script has left is among its outputs."""
    return _list(service, asked, asked.path["step_id"])


@route(
    "GET",
    "runs/{run_id}/files",
    summary="List the files that were uploaded to a run",
    role=Role.READER,
    answers={200: RunFiles},
    errors=(404,),
)
def list_run_files(service: Service, asked: Asked) -> Reply:
    """From outside, to the run as a whole."""
    return _list(service, asked, "")


def _offer(service: Service, asked: Asked, body: RunFilesRequest, step: str) -> Reply:
    place = service.world.run(given.from_outside(service.memory, asked.path["run_id"], step))
    offered = service.world.run(given.offer(place, body.paths, seconds=service.settings.url_seconds))
    files: list[RunFileTarget] = []
    for path, signed in offered.items():
        target = upload_target(signed)
        if target is None:
            raise Conflict(f"The run has a file {shown(path)} already. Give this one another name.", field="paths")
        files.append(RunFileTarget(path=path, upload=target))
    return Reply(body=RunFileTargets(files=tuple(files)))


def _list(service: Service, asked: Asked, step: str) -> Reply:
    run, seconds = service.world.run, service.settings.url_seconds
    place = run(given.from_outside(service.memory, asked.path["run_id"], step))
    files = tuple(
        SignedFile(path=item.name, size=item.size, sha256="", url=run(given.url(place, item.name, seconds=seconds)))
        for item in run(given.listed(place))
    )
    return Reply(body=RunFiles(files=files))


ROUTES = (offer_step_files, offer_run_files, list_step_files, list_run_files)
