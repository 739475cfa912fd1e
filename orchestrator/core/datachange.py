"""What a data-change schedule watches, which blobs it means, and when a batch of changes becomes a run. Pure rules.

A change is a blob that was added or written anew: a name with an ETag. With `per` "change" each one starts a run; with
"batch", those that come close together start one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from orchestrator.core.errors import Problem
from orchestrator.core.names import DATA_PATH, DATASTORE, PARAMETER, PATH, shown, suggestion
from orchestrator.core.patterns import fits

CHANGE: Final = "change"
BATCH: Final = "batch"
MOST_DEBOUNCE: Final = 24 * 3600
MOST_WAIT: Final = 7 * 24 * 3600
MOST_POLLING: Final = 24 * 60
LONGEST_PATTERN: Final = 1024
COPY_OWNER: Final = "millstreamowner"
"""The metadata of a blob that says which step copied it to its destination."""
COPY_SOURCE: Final = "millstreamsource"
"""The metadata of a blob that says of what, in which version, a transfer made it."""
OWN_FOLDERS: Final = ("runs", "azureml")
"""Folders at the root of a datastore where runs keep what they make: nothing there is ever a change."""


class DataChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What starts a run by itself: blobs added or changed at `path` of a datastore.

    `path` is a folder, or one blob; "" is the whole datastore. Only blobs directly in the folder count, or with
    `recursive` all below it. `pattern` ("" for all) is a glob: without a "/" it is held against a blob's own name, with
    one against its path below the folder. The pipeline parameter `data_path_parameter_name`, if one is named, is
    assigned where the change is: the blob, or the common folder of a batch.

    Copies of outputs that runs put at a destination do not count, unless `include_outputs` says so: a run that writes
    where its own schedule watches would start the next one, for ever.

    `per` "batch": the changes of a batch become one run when `debounce_seconds` have passed without a further one, and
    `max_wait_seconds` after the first one at the latest. `polling_interval`: minutes between two listings of the
    folder, which find what events have missed.
    """

    datastore: str
    path: str = ""
    recursive: bool = False
    pattern: str = ""
    data_path_parameter_name: str = ""
    include_outputs: bool = False
    per: str = CHANGE
    debounce_seconds: float = 60.0
    max_wait_seconds: float = 600.0
    polling_interval: int = 5

    @property
    def prefix(self) -> str:
        """What the names of all blobs it means begin with; the one at `path` itself is a name of its own."""
        return f"{self.path}/" if self.path else ""

    def means(self, name: str) -> bool:
        """Whether a change of the blob `name` of the datastore's container counts.

        Names that cannot be a path of a datastore (with "..", "//" or a backslash) never count, nor do outputs of runs.
        """
        if not PATH.allows(name) or name.split("/", 1)[0] in OWN_FOLDERS:
            return False
        if name == self.path:
            return self._fits(name.rpartition("/")[2])
        if not name.startswith(self.prefix):
            return False
        below = name.removeprefix(self.prefix)
        return ("/" not in below or self.recursive) and self._fits(below)

    def _fits(self, below: str) -> bool:
        if not self.pattern:
            return True
        return fits(self.pattern, below if "/" in self.pattern else below.rpartition("/")[2])


def problems(change: DataChange, field: str, *, datastores: Collection[str] | None = None) -> Iterator[Problem]:
    """What is wrong with it, where it lies at `field`. `datastores`: those that exist, if that is known."""
    yield from _place(change, field, datastores)
    if change.data_path_parameter_name:
        yield from _given(PARAMETER.problem(change.data_path_parameter_name, f"{field}.data_path_parameter_name"))
    if change.per not in (CHANGE, BATCH):
        message = f"{shown(change.per)} is no way to start runs."
        yield Problem("UnknownPer", f"{field}.per", message, 'Use "change", a run for each, or "batch".')
    if not 0 <= change.debounce_seconds <= MOST_DEBOUNCE:
        fix = f"Use 0 to {MOST_DEBOUNCE:,}."
        yield Problem("OutOfRange", f"{field}.debounce_seconds", "That is no time to wait for further changes.", fix)
    if not change.debounce_seconds <= change.max_wait_seconds <= MOST_WAIT:
        fix = f"Use at least debounce_seconds and at most {MOST_WAIT:,}."
        yield Problem("OutOfRange", f"{field}.max_wait_seconds", "That is no longest time to wait.", fix)
    if not 1 <= change.polling_interval <= MOST_POLLING:
        fix = f"Use 1 to {MOST_POLLING:,} minutes."
        yield Problem("OutOfRange", f"{field}.polling_interval", "That is no time between two listings.", fix)


def _place(change: DataChange, field: str, datastores: Collection[str] | None) -> Iterator[Problem]:
    yield from _given(DATASTORE.problem(change.datastore, f"{field}.datastore"))
    if datastores is not None and change.datastore not in datastores:
        fix = suggestion(change.datastore, datastores, "datastores")
        message = f"There is no datastore {shown(change.datastore)}."
        yield Problem("UnknownDatastore", f"{field}.datastore", message, fix)
    yield from _given(DATA_PATH.problem(change.path, f"{field}.path"))
    if change.path.split("/", 1)[0] in OWN_FOLDERS:
        message = "Runs keep their outputs there, and would start each other."
        fix = "Watch another folder; have the step that makes the data copy it there with a destination."
        yield Problem("OwnOutputs", f"{field}.path", message, fix)
    if change.pattern:
        yield from _pattern(change, f"{field}.pattern")


def _pattern(change: DataChange, field: str) -> Iterator[Problem]:
    if not PATH.allows(change.pattern) or len(change.pattern) > LONGEST_PATTERN:
        fix = 'Give one such as "*.csv" or "2024/**/*.csv", relative to the folder.'
        yield Problem("InvalidPattern", field, f"{shown(change.pattern)} is no pattern of names.", fix)
    elif "/" in change.pattern and not change.recursive:
        message = "The pattern is one of folders, and only blobs directly in the folder count."
        yield Problem("NotRecursive", field, message, "Set recursive, or leave out the folders.")


def _given(problem: Problem | None) -> Iterator[Problem]:
    if problem is not None:
        yield problem


def batch_due(change: DataChange, *, since_first: float, since_last: float) -> bool:
    """Whether a batch is to become a run now. Seconds since its first and its last change came in."""
    return since_last >= change.debounce_seconds or since_first >= change.max_wait_seconds


def due_in(change: DataChange, *, since_first: float, since_last: float) -> float:
    """Seconds until `batch_due`, if nothing more comes in; 0 if it is."""
    return max(0.0, min(change.debounce_seconds - since_last, change.max_wait_seconds - since_first))


def common_folder(names: Sequence[str]) -> str:
    """The deepest folder that holds all these blobs; "" is the container itself."""
    folders = [name.split("/")[:-1] for name in names]
    low, high = min(folders, default=[]), max(folders, default=[])
    length = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return "/".join(low[:length])
