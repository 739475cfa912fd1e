"""Finding what a script wrote: its outputs, ./outputs, ./logs, and files it named itself.

Only regular files inside the attempt's own folder are taken. A link that leads out of it (to a file of the worker, say)
is left out, with a line in the log. The script's processes are gone by then, so nothing changes meanwhile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from orchestrator.core.dataset import DatasetDocument, DatasetView, address, encode
from orchestrator.core.dataset_rules import validate
from orchestrator.core.definition import Output
from orchestrator.core.job import Job
from orchestrator.core.patterns import fits
from orchestrator.core.result import DatasetRegistration, File, OutputData
from orchestrator.core.rules.shape import destination_path
from steps import environment
from steps.datastores import Datastores, container_of
from steps.environment import LINK
from steps.failures import InvalidStep, OutputNotWritten, OutputUnusable, StorageFailed
from steps.log import StepLog
from steps.paths import MAX_NAME, UnsafeName, below, check
from steps.spool import NamedFile
from steps.stop import Stop
from steps.store import BlobExists, Store, StoreFailed
from steps.transfer import Pool, Push
from steps.workdir import Folders

ARTIFACT_FOLDERS = ("outputs", "logs")
MOST_NOTES = 20
_NOT_FILES = ("/proc/", "/sys/", "/dev/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An output as the script left it: what to store, and under which prefix of its datastore; what else is to be done
    with it says its port. A link has the `dataset` instead; what lies in storage already, `stored`, perhaps `in_place`
    (see OutputData). `adopted` are files of other steps that belong to it, too; `replaced`: it is, as it is, this
    output of another step.
    """

    port: Output
    prefix: str
    is_file: bool = False
    pushes: tuple[Push, ...] = ()
    destination: str = ""
    dataset: DatasetDocument | None = None
    stored: tuple[File, ...] | None = None
    in_place: bool = False
    adopted: tuple[File, ...] = ()
    replaced: OutputData | None = None

    @property
    def name(self) -> str:
        return self.port.name

    def data(self, files: Sequence[File]) -> OutputData:
        """The manifest, once its files are stored."""
        if self.replaced is not None:
            return msgspec.structs.replace(self.replaced, destination=self.destination)
        return OutputData(
            datastore=self.port.datastore,
            prefix=self.prefix,
            is_file=self.is_file,
            files=(*(files if self.stored is None else self.stored), *self.adopted),
            destination=self.destination,
            dataset="" if self.dataset is None else address(self.dataset),
            in_place=self.in_place,
        )

    def document(self) -> DatasetDocument:
        """The dataset that this output is."""
        if self.dataset is not None:
            return self.dataset
        view = DatasetView(type="file") if self.port.register is None else self.port.register.view
        return view.of(self.port.datastore, self.destination or self.prefix, is_file=self.is_file)


def place(port: Output, folders: Folders) -> Path:
    """Where the script is to write the output. Its parent is made; it itself only if it is known to be a folder.

    Raises InvalidStep, OSError.
    """
    path = folders.outputs / port.name
    if port.mode == "upload" and port.path_on_compute is not None:
        try:
            path = below(folders.code, port.path_on_compute)
        except UnsafeName as error:
            raise InvalidStep(f"Output {port.name!r} cannot have this path_on_compute: {error}") from error
    (path if port.create else path.parent).mkdir(parents=True, exist_ok=True)
    return path


def find_outputs(
    job: Job,
    paths: Mapping[str, Path],
    folders: Folders,
    datastores: Datastores,
    log: StepLog,
    links: Mapping[str, DatasetDocument],
) -> list[Found]:
    """All outputs of the step; `links`: the datasets that its script named. Raises OutputNotWritten, OutputUnusable,
    InvalidStep.
    """
    found = []
    for port in job.step.outputs:
        if port.mode == LINK:
            found.append(_find_link(job, port, links))
        else:
            found.append(_find_output(job, port, paths[port.name], folders, datastores, log))
    return found


def _find_link(job: Job, port: Output, links: Mapping[str, DatasetDocument]) -> Found:
    document = links.get(port.name)
    if document is None:
        raise OutputNotWritten(
            f"The script ended well, but did not say which dataset its output {port.name!r} is: "
            f"run.output_datasets[{port.name!r}].link(dataset)."
        )
    problems = validate(document, datastores=None)
    if problems:
        raise OutputUnusable(f"Output {port.name!r} is linked to a dataset that cannot be used: {problems[0]}")
    return Found(port=port, prefix=f"{job.prefix}/{port.name}", dataset=document)


def destination_of(job: Job, port: Output) -> str:
    """The path in its datastore where the step wants the output; "" if it does not say. Raises InvalidStep."""
    if not port.destination:
        return ""
    template = "".join(environment.resolved(part, job, {}, {}) for part in port.destination)
    path = destination_path(template, environment.run_id(job), port.name)
    try:
        return check(path)
    except UnsafeName as error:
        raise InvalidStep(f"Output {port.name!r} cannot have this destination: {error}") from error


def _find_output(job: Job, port: Output, path: Path, folders: Folders, datastores: Datastores, log: StepLog) -> Found:
    prefix = f"{job.prefix}/{port.name}"
    destination = destination_of(job, port)
    container = container_of(datastores, port.datastore)
    if not path.exists():
        raise OutputNotWritten(
            f"The script ended well, but did not write its output {port.name!r}. Expected was a file or a folder at "
            f"{path}; the script finds this path in its arguments or in AZUREML_DATAREFERENCE_{port.name}."
        )
    if not _is_inside(path, folders.root):
        raise OutputUnusable(f"Output {port.name!r} is a link to a place outside the step's own folder.")
    if path.is_file():
        push = Push(container=container, name=prefix, source=path, path="")
        return Found(port=port, prefix=prefix, is_file=True, pushes=(push,), destination=destination)
    pushes = []
    for name, source in _walk(path, folders.root, log):
        if port.globs and not any(fits(pattern, name) for pattern in port.globs):
            continue
        reason = _unusable(f"{max(prefix, destination, key=len)}/{name}", name)
        if reason:
            raise OutputUnusable(f"Output {port.name!r}: a file cannot be stored under its name: {reason}")
        pushes.append(Push(container=container, name=f"{prefix}/{name}", source=source, path=name))
    return Found(port=port, prefix=prefix, pushes=tuple(pushes), destination=destination)


def of_children(
    job: Job,
    paths: Mapping[str, Path],
    folders: Folders,
    datastores: Datastores,
    log: StepLog,
    adopted: Mapping[str, Sequence[File]],
    replaced: Mapping[str, OutputData],
) -> list[Found]:
    """The outputs of a step whose children have made files for it, beside what it has written itself.

    Raises as `find_outputs` does.
    """
    found = []
    for port in job.step.outputs:
        prefix, files = f"{job.prefix}/{port.name}", tuple(adopted.get(port.name, ()))
        if port.name in replaced:
            found.append(Found(port=port, prefix=prefix, replaced=replaced[port.name]))
        elif port.name in adopted and not paths[port.name].exists():
            found.append(Found(port=port, prefix=prefix, adopted=files, destination=destination_of(job, port)))
        else:
            own = _find_output(job, port, paths[port.name], folders, datastores, log)
            found.append(replace(own, adopted=files))
    return found


def owned(job: Job, output: Found, container: str, store: Store, pool: Pool, stop: Stop) -> Found:
    """The output with copies of its own of what it has adopted, if somebody may look for its files below its prefix.

    Raises StorageFailed, Stopped.
    """
    if not output.adopted or not (output.port.create or output.port.register):
        return output

    def copy(file: File) -> File:
        stop.check()
        try:
            name = f"{output.prefix}/{file.path}"
            store.copy(container, file.blob, name, owner=environment.run_id(job), replace=True)
        except StoreFailed as error:
            raise StorageFailed(f"Output {output.name!r}: {file.path} could not be copied: {error}") from error
        return msgspec.structs.replace(file, blob="")

    return replace(output, adopted=tuple(pool.map(copy, output.adopted)))


def copy_to_destinations(
    job: Job, found: Sequence[Found], datastores: Datastores, store: Store, pool: Pool, stop: Stop
) -> None:
    """Put copies of what is stored where the step wants them. Raises OutputUnusable, StorageFailed, Stopped."""

    def copy(item: tuple[Found, str, str, str]) -> None:
        stop.check()
        output, container, name, path = item
        target = f"{output.destination}/{path}" if path else output.destination
        owner = environment.run_id(job)
        try:
            store.copy(container, name, target, owner=owner, replace=output.port.overwrite)
        except BlobExists as error:
            raise OutputUnusable(f"Output {output.name!r}: {error} It may not be replaced (overwrite).") from error
        except StoreFailed as error:
            raise StorageFailed(f"Output {output.name!r}: {target} could not be written: {error}") from error

    wanted = [output for output in found if output.destination]
    items = [(output, push.container, push.name, push.path) for output in wanted for push in output.pushes]
    items += [
        (output, container_of(datastores, output.port.datastore), file.name_below(output.prefix), file.path)
        for output in wanted
        for file in output.adopted
    ]
    pool.map(copy, items)


def save_datasets(found: Sequence[Found], store: Store, container: str) -> tuple[DatasetRegistration, ...]:
    """Save the documents of outputs that are links or are to be registered; the registrations to be made.

    Raises StorageFailed.
    """
    wishes = []
    for output in found:
        register = output.port.register
        if register is None and output.dataset is None:
            continue
        document = output.document()
        try:
            store.put(container, f"datasets/{address(document)}.json", encode(document))
        except StoreFailed as error:
            raise StorageFailed(f"Output {output.name!r}: its dataset could not be saved: {error}") from error
        if register is not None:
            wishes.append(
                DatasetRegistration(
                    name=register.name,
                    output=output.name,
                    id=address(document),
                    description=register.description,
                    tags=register.tags,
                )
            )
    return tuple(wishes)


def find_artifacts(
    prefix: str, container: str, folders: Folders, named: Sequence[NamedFile], log: StepLog
) -> list[Push]:
    """./outputs and ./logs, and the files that the script named; a name given twice is the last one's."""
    sources: dict[str, Path] = {}
    for folder in ARTIFACT_FOLDERS:
        root = folders.code / folder
        if root.is_dir() and not root.is_symlink():
            sources |= {f"{folder}/{name}": source for name, source in _walk(root, folders.root, log)}
    for file in named:
        path = Path(os.path.realpath(file.path))
        if path.is_file() and not str(path).startswith(_NOT_FILES):
            sources[file.name] = path
        else:
            log.note(f"The file {file.path!r}, to be stored as {file.name!r}, is not there or not a regular file.")
    pushes = []
    for name, source in sources.items():
        if reason := _unusable(f"{prefix}/{name}", name):
            log.note(f"A file is not stored: {reason}")
        else:
            pushes.append(Push(container=container, name=f"{prefix}/{name}", source=source, path=name))
    return pushes


def _unusable(blob: str, name: str) -> str | None:
    try:
        check(name)
    except UnsafeName as error:
        return error.message
    return None if len(blob) <= MAX_NAME else f"{name!r} makes a blob name of more than {MAX_NAME} characters."


def _is_inside(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _walk(root: Path, within: Path, log: StepLog) -> Iterator[tuple[str, Path]]:
    """(name relative to `root`, path) of every file below it, in name order."""
    left_out: list[str] = []
    yield from _walk_folder(root, "", within, left_out)
    for reason in left_out[:MOST_NOTES]:
        log.note(reason)
    if len(left_out) > MOST_NOTES:
        log.note(f"... and {len(left_out) - MOST_NOTES} more.")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as scan:
        return sorted(scan, key=lambda entry: entry.name)


def _walk_folder(folder: Path, prefix: str, within: Path, left_out: list[str]) -> Iterator[tuple[str, Path]]:
    try:
        entries = _entries(folder)
    except PermissionError:
        # The script has made it unreadable; it is ours to read all the same.
        folder.chmod(0o700)
        entries = _entries(folder)
    for entry in entries:
        name, path = prefix + entry.name, Path(entry.path)
        if entry.is_symlink():
            if path.is_file() and _is_inside(path, within):
                yield name, path
            else:
                left_out.append(f"{name!r} is not stored: it is a link that leads outside, to a folder, or nowhere.")
        elif entry.is_dir():
            yield from _walk_folder(path, name + "/", within, left_out)
        elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            yield name, path
        else:
            left_out.append(f"{name!r} is not stored: it is not a regular file.")
