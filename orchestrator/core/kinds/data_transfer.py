"""Data that is copied from one place to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from orchestrator.core.kinds.settings import Settings

Reference = Literal["file", "directory"]


class DataTransfer(Settings, frozen=True, kw_only=True):
    """Copies what the step's one input stands for to its one output, right to the output's `destination` if it has one.

    `source_type`, `destination_type`: whether a path means a file or all below it, where both are there; without, what
    there is. `format`: of the file that the rows of a query become; without, as the destination's name ends, else CSV.
    """

    source_type: Reference | None = None
    destination_type: Reference | None = None
    format: Literal["csv", "parquet"] | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> DataTransfer:
        """From the settings of a checked step."""
        return msgspec.convert(dict(settings), cls)
