"""v1's output of a Spark step. Here every step is a process on the service's own node, and its outputs are folders."""

from __future__ import annotations

from typing import Any

from millstream.output_config import OutputFileDatasetConfig


class HDFSOutputDatasetConfig(OutputFileDatasetConfig):
    """As OutputFileDatasetConfig: the script writes to the folder whose path it is given, which is uploaded.

    v1 gives the script an address of the datastore's for Spark to write to; here it is a path of the node.
    """

    def __init__(self, name: str | None = None, destination: Any = None) -> None:
        super().__init__(name, destination)
