"""v1's output of a Spark step."""

from __future__ import annotations

from typing import Any

from millstream.output_config import OutputFileDatasetConfig


class HDFSOutputDatasetConfig(OutputFileDatasetConfig):
    """As OutputFileDatasetConfig: the script writes to the folder that it is given, whose files are the output's.

    In an attached workspace that is a URL for Spark to write to, as in v1; on the node it is a path.
    """

    def __init__(self, name: str | None = None, destination: Any = None) -> None:
        super().__init__(name, destination)
