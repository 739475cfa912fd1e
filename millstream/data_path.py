"""Where data lies in a datastore, as a value: v1's DataPath."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millstream.path_parts import PathPart, path_parts, path_text

if TYPE_CHECKING:
    from millstream.datastore import Datastore


class DataPath:
    """A file, a folder or a pattern of a datastore. PipelineParameters may be part of the path; `name` is a label."""

    def __init__(
        self,
        datastore: Datastore | str | None = None,
        path_on_datastore: str | None = None,
        name: str | None = None,
    ) -> None:
        if datastore is None:
            raise ValueError("A DataPath needs a datastore.")
        self.datastore = datastore
        self.parts: tuple[PathPart, ...] = path_parts(path_on_datastore, "path_on_datastore")
        self.path_on_datastore = path_text(self.parts)
        self.name = name

    @property
    def datastore_name(self) -> str:
        return self.datastore if isinstance(self.datastore, str) else self.datastore.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataPath) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[str, str]:
        return self.datastore_name, self.path_on_datastore

    def __repr__(self) -> str:
        return f"DataPath({self.path_on_datastore!r} in {self.datastore_name!r})"


@dataclass(frozen=True, slots=True)
class DataPathComputeBinding:
    """How a step gets the data of a DataPath parameter: `mode` is "mount" or "download"."""

    mode: str = "mount"
    path_on_compute: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.mode not in ("mount", "download"):
            raise ValueError(f"A DataPathComputeBinding cannot have the mode {self.mode!r}. Use 'mount' or 'download'.")
