"""What an input is once it has been brought to the node."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.core.dataset import DatasetDocument
from orchestrator.core.result import ReadData


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetOnDisk:
    """A dataset that a script evaluates by itself: where the files of its datastores and URLs are on this node."""

    id: str
    document: DatasetDocument
    roots: Mapping[str, Path]
    web: Mapping[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """`value`: what stands for the input in arguments and variables, its path or, for a direct dataset, its id.

    `as_dataset`: it came as a dataset, and the script gets v1's variables for datasets. `note`: a line for the log.
    """

    value: Path | str
    read: ReadData
    as_dataset: bool = False
    dataset: DatasetOnDisk | None = None
    note: str | None = None


@dataclass(slots=True)
class Tally:
    """Adds up what is read. `identities`: of each file its name, and what changes with its content."""

    files: int = 0
    size: int = 0
    identities: list[str] = field(default_factory=list)

    def add(self, name: str, size: int | None, identity: str) -> None:
        self.files += 1
        self.size += size or 0
        self.identities.append(f"{name}\0{size}\0{identity}")

    def read(self) -> ReadData:
        return ReadData(files=self.files, size=self.size, fingerprint=_fingerprint(self.identities))


def _fingerprint(identities: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(identities)).encode("utf-8", "surrogatepass")).hexdigest()
