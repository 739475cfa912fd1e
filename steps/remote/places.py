"""Data of a step whose work is done elsewhere: where it lies, as Spark on a cluster names it, and how it comes back.

Inputs are not brought to the node: what they are is told from a listing. Outputs are written below a prefix of their
own (`staging`), which is the same for every worker that looks after the job, and then brought to the node, from where
they are stored like any other output: checked, registered, and unique to the attempt that commits them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.core.dataset import DatastoreFiles
from orchestrator.core.definition import Input
from orchestrator.core.job import InputData, Job
from steps.brought import Brought, Tally
from steps.datastores import Datastores, container_of
from steps.failures import InputMissing, InvalidStep, OutputNotWritten, StorageFailed
from steps.paths import UnsafeName, below
from steps.reach import Container, Reach
from steps.store import BlobMissing, Listed, Store, StoreFailed

SIGNED_SECONDS: Final = 24 * 3600.0
"""How long a cluster may read and write, where the step has no limit of its own."""
MARGIN: Final = 3600.0
"""Beyond the step's own limit, for a cluster that starts late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Blobs of a container: the one of this path, or those below it."""

    container: Container
    path: str
    names: tuple[str, ...]

    def inside(self, name: str) -> str:
        """The path of a blob within the input; of the only one, its name."""
        return name[len(self.path) :].strip("/") or name.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the data of a job lies."""

    store: Store
    datastores: Datastores
    reach: Reach

    def container(self, datastore: str) -> Container:
        """Raises InvalidStep, StorageFailed."""
        found = self.reach.container(container_of(self.datastores, datastore))
        if found is None:
            raise InvalidStep(f"The datastore {datastore!r} is a file share, which a cluster does not reach.")
        return found

    def inputs(self, job: Job) -> dict[str, Brought]:
        """Each input by its URL. Raises InvalidStep, InputMissing, StorageFailed."""
        return {port.name: self._input(port, job.inputs[port.name]) for port in job.step.inputs}

    def _input(self, port: Input, data: InputData) -> Brought:
        datastore, path = where(port, data)
        container = self.container(datastore)
        tally = Tally()
        if data.files is not None:
            for item in data.files:
                tally.add(item.path, item.size, item.sha256)
        else:
            for blob in self._listed(container, re.split(r"[*?\[{]", path)[0]):
                tally.add(f"{datastore}/{blob.name}", blob.size, blob.etag)
        return Brought(value=container.url(path), read=tally.read())

    def _listed(self, container: Container, path: str) -> Iterable[Listed]:
        name = path.strip("/")
        try:
            found = self.store.find(container.address, name) if name and not path.endswith("/") else None
            if found is not None and found.size:
                return [found]
            below_it = list(self.store.list(container.address, f"{name}/" if name else ""))
            # Without anything below it, an empty blob is a file, and no mark of a folder.
            return [found] if found is not None and not below_it else below_it
        except BlobMissing as error:
            raise InputMissing(f"The container {container.name!r} is missing.") from error
        except StoreFailed as error:
            raise StorageFailed(f"The container {container.name!r} could not be listed: {error}") from error

    def files(self, port: Input, data: InputData) -> Files:
        """The files of an input. Raises InvalidStep, InputMissing, StorageFailed."""
        datastore, path = where(port, data)
        if re.search(r"[*?\[{]", path):
            raise InvalidStep(f"Input {port.name!r} is a pattern, and the work elsewhere takes a file or a folder.")
        container = self.container(datastore)
        blobs = list(self._listed(container, path))
        names = [blob.name for blob in blobs]
        found = tuple(blob.name for blob in blobs if not _is_marker(blob, names))
        return Files(container=container, path=path.strip("/"), names=found)

    def staging(self, job: Job, output: str) -> tuple[Container, str]:
        """Where the job writes an output: the container and the prefix. Raises InvalidStep, StorageFailed."""
        port = next(port for port in job.step.outputs if port.name == output)
        return self.container(port.datastore), f"{staging_prefix(job)}/{output}"

    def output_urls(self, job: Job) -> dict[str, str]:
        """Raises InvalidStep, StorageFailed."""
        found = {}
        for port in job.step.outputs:
            if port.mode == "link":
                raise InvalidStep(f"Output {port.name!r} is a link, which a script on a cluster cannot report.")
            container, prefix = self.staging(job, port.name)
            found[port.name] = container.url(prefix)
        return found

    def written(self, job: Job, output: str, target: Path) -> list[tuple[str, str, Path]]:
        """What the job wrote under an output: container, blob, and where its file belongs. Raises OutputNotWritten."""
        container, prefix = self.staging(job, output)
        blobs = list(self._listed(container, prefix))
        if [blob.name for blob in blobs] == [prefix]:
            return [(container.address, prefix, target)]
        names = [blob.name for blob in blobs]
        files = [blob for blob in blobs if not _is_marker(blob, names)]
        if not files:
            raise OutputNotWritten(
                f"The job ended well, but wrote nothing to its output {output!r}: it was to write to "
                f"{container.url(prefix)}, which it finds among its arguments as -{output}."
            )
        try:
            return [(container.address, blob.name, below(target, blob.name[len(prefix) + 1 :])) for blob in files]
        except UnsafeName as error:
            raise InvalidStep(f"A file of the output {output!r} has a name that cannot be kept: {error}") from error


def staging_prefix(job: Job) -> str:
    """Below it the job writes: the same for every worker that looks after this try of the step."""
    return f"runs/{job.run}/{job.step.id}/job-{job.retries}"


def _is_marker(blob: Listed, names: Iterable[str]) -> bool:
    """Hadoop writes an empty blob for a folder, under the folder's own name."""
    return blob.size == 0 and (blob.name.endswith("/") or any(name.startswith(f"{blob.name}/") for name in names))


def opened(
    job: Job, places: Places, timeout: float | None, more: Mapping[str, bool], conf: Mapping[str, str]
) -> dict[str, str]:
    """Spark settings that open the job's containers to a new cluster, unless its author's own `conf` sees to that.

    timeout: of the step, in seconds. more: further addresses, and whether they are written to. Raises InvalidStep,
    StorageFailed.
    """
    if any("fs.azure." in name for name in conf):
        return {}
    wanted = dict(more)
    for port in job.step.inputs:
        wanted.setdefault(places.container(where(port, job.inputs[port.name])[0]).address, False)
    for output in job.step.outputs:
        wanted[places.staging(job, output.name)[0].address] = True
    seconds, found = (timeout or SIGNED_SECONDS) + MARGIN, {}
    for address, writes in sorted(wanted.items()):
        container, query = (
            places.reach.container(address),
            places.reach.signature(address, seconds, permissions="rwdl" if writes else "rl"),
        )
        if container is not None and query:
            found[f"spark.hadoop.fs.azure.sas.{container.name}.{container.host}"] = query
    return found


def where(port: Input, data: InputData) -> tuple[str, str]:
    """The datastore and the path of an input; a dataset of files is what it names. Raises InvalidStep."""
    document = data.dataset
    if not data.dataset_id and not (data.view and data.view.operations):
        return data.datastore, data.path
    plain = document is not None and document.type == "file" and not document.operations and not document.archive
    source = document.sources[0] if document is not None and plain and len(document.sources) == 1 else None
    if not isinstance(source, DatastoreFiles) or "**" in (path := source.path.removesuffix("/**")):
        raise InvalidStep(
            f"Input {port.name!r} is a dataset that Spark cannot be given as a place: it has to be the files of one "
            "path, without operations. Pass the DataReference or PipelineData that it is made of."
        )
    return source.datastore, path
