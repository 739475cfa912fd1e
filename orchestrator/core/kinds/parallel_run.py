"""An entry script over mini-batches of files or rows: v1's ParallelRunStep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import RunsPrograms
from orchestrator.core.names import PATH, SCRIPT, shown

APPEND_ROW_FILE = "parallel_run_step.txt"
FILES = 10
"""Files in a mini-batch, unless the step says how many."""
VERDICTS = "_mini_batches"
"""The output of a group that says what became of its mini-batches, and has their rows."""
BYTES = 1024 * 1024
"""Likewise, how large a mini-batch of rows is, roughly."""
LEVELS = ("DEBUG", "INFO", "WARNING")
MOST_TRIES = 1_000
MOST_PROCESSES = 256
MOST_NODES = 1_000
LONGEST_INVOCATION = 24 * 3600.0
_SIZE = re.compile(r"(\d{1,12})\s*([kKmMgG])?([bB])?", re.ASCII)
_GROUP = re.compile(r"runs/[\w-]{1,128}/[\w-]{1,100}/[\w-]{1,100}/groups/\d{1,6}\.json", re.ASCII)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


class ParallelRun(RunsPrograms, frozen=True, kw_only=True):
    """Divides what the ports `inputs` bring into mini-batches, and calls `run()` of the entry script with each.

    `mini_batch_size`: files, or, of rows, bytes ("1MB"). `partition_keys` instead: a mini-batch for each combination
    of values; names, or a JSON text of them. `output`: the port whose folder gets the file of rows. `error_threshold`:
    how many files or rows may fail, -1: any number; `allowed_failed_count` and `allowed_failed_percent` say the same of
    mini-batches. `run_invocation_timeout`: seconds for one call of `run()`. `node_count`: groups of mini-batches under
    way at once; `process_count_per_node`: processes for each, without it as many as the node has processors.
    """

    entry_script: str
    inputs: tuple[str, ...]
    output: str = ""
    output_action: Literal["append_row", "summary_only"] = "append_row"
    append_row_file_name: str = APPEND_ROW_FILE
    mini_batch_size: int | str | None = None
    partition_keys: tuple[str, ...] | str = ()
    error_threshold: int = -1
    allowed_failed_count: int = -1
    allowed_failed_percent: float = -1.0
    run_max_try: int = 3
    run_invocation_timeout: int | float = 60
    process_count_per_node: int | None = None
    node_count: int = 1
    logging_level: str = "INFO"

    def keys(self) -> tuple[str, ...]:
        """The partition keys. Raises ValueError: the text is no JSON list of names."""
        if not isinstance(self.partition_keys, str):
            return self.partition_keys
        found = json.loads(self.partition_keys) if self.partition_keys.strip() else []
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise ValueError(f"{self.partition_keys!r} is no JSON list of names")
        return tuple(found)

    def problems(self, field: str) -> Iterator[Problem]:
        yield from super().problems(field)
        if problem := SCRIPT.problem(self.entry_script, f"{field}.entry_script"):
            yield problem
        yield from self._data_problems(field)
        yield from self._size_problems(field)
        yield from self._number_problems(field)

    def _data_problems(self, field: str) -> Iterator[Problem]:
        if not self.inputs:
            yield Problem("InvalidSettings", f"{field}.inputs", "There is nothing to divide.", "Name an input.")
        if self.output_action == "append_row" and not self.output:
            fix = 'Name an output, or use "summary_only".'
            yield Problem("InvalidSettings", f"{field}.output", "The rows have no output to go to.", fix)
        name = self.append_row_file_name
        if "/" in name or not PATH.allows(name):
            yield Problem(
                "InvalidPath", f"{field}.append_row_file_name", f"{shown(name)} is no file name.", "Use one without /."
            )

    def _size_problems(self, field: str) -> Iterator[Problem]:
        try:
            keys = self.keys()
        except ValueError as error:
            yield Problem("InvalidSettings", f"{field}.partition_keys", f"{error}.", 'Write ["city", "day"].')
            return
        if keys and self.mini_batch_size is not None:
            message = "A mini-batch has a size or partition keys, not both."
            yield Problem("InvalidSettings", f"{field}.mini_batch_size", message, "Leave one of them out.")
        if self.mini_batch_size is not None and size_of(self.mini_batch_size) is None:
            message = f"{shown(str(self.mini_batch_size))} is no size of a mini-batch."
            fix = 'Use a number of files, or, for rows, a size such as "1MB".'
            yield Problem("InvalidNumber", f"{field}.mini_batch_size", message, fix)

    def _number_problems(self, field: str) -> Iterator[Problem]:
        for name, value, least, most in (
            ("error_threshold", self.error_threshold, -1, 2**31),
            ("allowed_failed_count", self.allowed_failed_count, -1, 2**31),
            ("allowed_failed_percent", self.allowed_failed_percent, -1, 100),
            ("run_max_try", self.run_max_try, 1, MOST_TRIES),
            ("run_invocation_timeout", self.run_invocation_timeout, 0.001, LONGEST_INVOCATION),
            ("process_count_per_node", self.process_count_per_node, 1, MOST_PROCESSES),
            ("node_count", self.node_count, 1, MOST_NODES),
        ):
            if value is not None and not least <= value <= most:
                yield Problem("InvalidNumber", f"{field}.{name}", f"{name} is {value}.", f"Use {least} to {most:,}.")
        if self.logging_level not in LEVELS:
            message = f"{shown(self.logging_level)} is no logging level."
            yield Problem("InvalidSettings", f"{field}.logging_level", message, f"Use {', '.join(LEVELS)}.")


def size_of(text: int | str) -> int | None:
    """The number, or the bytes of a size such as "1MB"; None: it is neither, or nothing."""
    if isinstance(text, int):
        return text if text > 0 and not isinstance(text, bool) else None
    found = _SIZE.fullmatch(text.strip())
    return (int(found[1]) * _UNITS[(found[2] or "").upper()] or None) if found else None


class MiniBatches(ParallelRun, frozen=True, kw_only=True):
    """A group of the mini-batches of such a step, which its expansion has written to the blob `group` of the system
    container. Made by the service, with the settings of the step. `rows`: they are of a table.
    """

    group: str
    rows: bool = False

    def problems(self, field: str) -> Iterator[Problem]:
        yield from super().problems(field)
        if not _GROUP.fullmatch(self.group):
            message = f"{shown(self.group)} is no group of mini-batches."
            yield Problem("InvalidSettings", f"{field}.group", message, "Use a step of the kind parallel_run.")
