"""The source folder of a step in the default datastore, once for each content, for those who read it from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from steps.context import StepContext
from steps.datastores import default_of
from steps.failures import StorageFailed
from steps.reach import Container
from steps.remote.places import Places
from steps.store import StoreFailed

FOLDER: Final = "millstream-sources"
"""In the default datastore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFiles:
    """`blobs`: the blob of each file of the folder, by the file's path."""

    container: Container
    blobs: Mapping[str, str]


def put(context: StepContext, places: Places) -> SourceFiles:
    """Raises InvalidStep, StorageFailed."""
    container = places.container(default_of(context.settings.datastores))
    prefix = f"{FOLDER}/{context.job.step.snapshot}"
    folder = context.folders.code
    names = {file.relative_to(folder).as_posix(): file for file in _files(folder)}
    try:
        if context.store.find(container.address, f"{prefix}.complete") is None:
            for name, file in names.items():
                context.store.put(container.address, f"{prefix}/{name}", file.read_bytes())
            context.store.put(container.address, f"{prefix}.complete", b"")
    except StoreFailed as error:
        raise StorageFailed(f"The source folder could not be put where it is read from: {error}") from error
    return SourceFiles(container=container, blobs={name: f"{prefix}/{name}" for name in names})


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
