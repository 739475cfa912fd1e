"""A dataset as an input of a step: under which name, and how it comes there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from millstream.tokens import Token, data_token
from orchestrator.core.names import PATH

if TYPE_CHECKING:
    from millstream.dataset import AbstractDataset

MODES = ("direct", "mount", "download", "hdfs")
UNNAMED = "_unnamed_input"
"""The name of an input that is named after its place in the step that takes it in."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


@dataclass(frozen=True, slots=True)
class DatasetConsumptionConfig(Token):
    """`dataset` is a dataset, a PipelineParameter whose default is one, or an output that is one.

    `mode` "direct": the script gets the dataset by `Run.get_context().input_datasets[name]`; "mount", "download": its
    files lie in a folder before the script starts, at `path_on_compute` in the working folder if that is given.
    """

    name: str
    dataset: AbstractDataset | Any
    mode: str = "direct"
    path_on_compute: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} cannot be the name of an input dataset. Use letters, digits and _, no digit first: the "
                "script finds it in an environment variable."
            )
        if self.mode not in MODES:
            raise ValueError(f"A dataset cannot have the mode {self.mode!r}. Use {', '.join(map(repr, MODES))}.")
        if self.path_on_compute is not None:
            plain = self.path_on_compute.replace("\\", "/").rstrip("/").removeprefix("./")
            object.__setattr__(self, "path_on_compute", PATH.check(plain, "path_on_compute"))

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        return replace(self, mode="mount", path_on_compute=path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        return replace(self, mode="download", path_on_compute=path_on_compute)

    def as_direct(self) -> DatasetConsumptionConfig:
        return replace(self, mode="direct", path_on_compute=None)

    def as_hdfs(self) -> DatasetConsumptionConfig:
        """For Spark; elsewhere as `as_direct`."""
        return replace(self, mode="hdfs", path_on_compute=None)

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        return replace(self, name=name)

    def __str__(self) -> str:
        return data_token(self.name, self)
