"""The files of a step, as a node of Azure Batch gets and gives them: by URLs with signatures.

Each file that is read has a signature of its own. What is written needs one for the container, since the service names
the blobs; it grants writing only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.core.job import Job
from steps.azure_batch.requests import NodeFile, NodeOutput
from steps.brought import Brought
from steps.failures import InvalidStep
from steps.reach import Container
from steps.remote.places import MARGIN, SIGNED_SECONDS, Places
from steps.remote.source_files import SourceFiles

MOST_FILES: Final = 1000
"""Of a task: the service takes a megabyte of text for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeData:
    """`inputs` and `outputs`: where the program finds and puts them, below its working folder."""

    files: tuple[NodeFile, ...]
    inputs: Mapping[str, Brought]
    outputs: Mapping[str, str]
    uploads: tuple[NodeOutput, ...]


def node_data(
    job: Job, places: Places, brought: Mapping[str, Brought], sources: SourceFiles | None, timeout: float | None
) -> NodeData:
    """brought: the inputs where they lie. timeout: of the step, in seconds.

    Raises InvalidStep, InputMissing, StorageFailed.
    """
    seconds = (timeout or SIGNED_SECONDS) + MARGIN
    files = [] if sources is None else list(_sources(places, sources, seconds))
    inputs = {}
    for port in job.step.inputs:
        found = places.files(port, job.inputs[port.name])
        folder = f"inputs/{port.name}"
        paths = {name: f"{folder}/{found.inside(name)}" for name in found.names}
        files += [_file(places, found.container, name, path, seconds) for name, path in paths.items()]
        inputs[port.name] = replace(brought[port.name], value=paths.get(found.path, folder))
    if len(files) > MOST_FILES:
        raise InvalidStep(
            f"Sources and inputs are {len(files):,} files, and a task of Azure Batch takes {MOST_FILES:,}: put them "
            "into an archive by a step before this one, and unpack it in the program."
        )
    outputs = {port.name: f"outputs/{port.name}" for port in job.step.outputs}
    return NodeData(files=tuple(files), inputs=inputs, outputs=outputs, uploads=tuple(_uploads(job, places, seconds)))


def _sources(places: Places, sources: SourceFiles, seconds: float) -> Iterator[NodeFile]:
    for path, name in sources.blobs.items():
        yield _file(places, sources.container, name, path, seconds)


def _file(places: Places, container: Container, name: str, path: str, seconds: float) -> NodeFile:
    url = places.reach.file_url(container.address, name, seconds)
    if not url:
        raise _unsigned(container)
    return NodeFile(url=url, path=path)


def _uploads(job: Job, places: Places, seconds: float) -> Iterator[NodeOutput]:
    for port in job.step.outputs:
        if port.mode == "link":
            raise InvalidStep(f"Output {port.name!r} is a link, which a program on a node cannot report.")
        container, prefix = places.staging(job, port.name)
        url = places.reach.container_url(container.address, seconds, permissions="w")
        if not url:
            raise _unsigned(container)
        yield NodeOutput(folder=f"outputs/{port.name}", url=url, prefix=prefix)


def _unsigned(container: Container) -> InvalidStep:
    return InvalidStep(f"The container {container.name!r} cannot be opened for a node: its account does not sign.")
