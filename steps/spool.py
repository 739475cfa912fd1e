"""What a script reported through its run context: metrics, tags, properties, files, models.

The contract is a JSON object a line: {"op": "metric", "name", "kind", "value", "at", "step", "description"},
{"op": "tag" or "property", "key", "value"}, {"op": "file", "name", "path"}, {"op": "given", "name"}: a
file that lies in storage already, below the attempt's own prefix, {"op": "model", "name", "path", ...},
{"op": "link", "name", "dataset"}: the document of the dataset that an output of the mode "link" stands for.
A line that is not understood is told in the log and harms nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core.dataset import DatasetDocument
from orchestrator.core.result import Metric, ModelRegistration

MOST_COMPLAINTS = 20
_SHOWN = 120


class _Metric(msgspec.Struct, frozen=True, tag_field="op", tag="metric"):
    name: str
    kind: str
    value: Any
    at: float
    step: int | None = None
    description: str = ""


class _Tag(msgspec.Struct, frozen=True, tag_field="op", tag="tag"):
    """`value` None removes it."""

    key: str
    value: str | None


class _Property(msgspec.Struct, frozen=True, tag_field="op", tag="property"):
    key: str
    value: str


class NamedFile(msgspec.Struct, frozen=True, tag_field="op", tag="file"):
    """A file the script wants stored among its artifacts as `name`; `path` is where it is on this node."""

    name: str
    path: str


class _Given(msgspec.Struct, frozen=True, tag_field="op", tag="given"):
    name: str


class _Model(msgspec.Struct, frozen=True, tag_field="op", tag="model"):
    name: str
    path: str
    tags: dict[str, str] | None = None
    properties: dict[str, str] | None = None
    description: str | None = None
    framework: str | None = None
    framework_version: str | None = None


class _Link(msgspec.Struct, frozen=True, tag_field="op", tag="link"):
    name: str
    dataset: DatasetDocument


_decode = msgspec.json.Decoder(_Metric | _Tag | _Property | NamedFile | _Given | _Model | _Link).decode


@dataclass(slots=True)
class Reported:
    """All that was reported, in order; `complaints` are for the log."""

    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    files: list[NamedFile] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    models: list[ModelRegistration] = field(default_factory=list)
    links: dict[str, DatasetDocument] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def _add(self, line: bytes) -> None:
        match _decode(line):
            case _Metric() as metric:
                self.metrics.append(Metric(**msgspec.structs.asdict(metric)))
            case _Tag(key, None):
                self.tags.pop(key, None)
            case _Tag(key, str() as value):
                self.tags[key] = value
            case _Property(key, value):
                # A property is set once; the first value stands.
                self.properties.setdefault(key, value)
            case NamedFile() as file:
                self.files.append(file)
            case _Given(name):
                self.given.append(name)
            case _Link(name, document):
                self.links[name] = document
            case _Model() as model:
                given = {name: value for name, value in msgspec.structs.asdict(model).items() if value is not None}
                self.models.append(ModelRegistration(**given))


def read(path: Path, *, limit: int) -> Reported:
    """Read a spool, if there is one, up to `limit` bytes."""
    reported = Reported()
    if not path.is_file():
        return reported
    faults = 0
    for number, line in _lines(path, limit, reported):
        try:
            reported._add(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            faults += 1
            if faults <= MOST_COMPLAINTS:
                shown = line[:_SHOWN].decode("utf-8", "replace")
                reported.complaints.append(f"Reported line {number} is not understood: {error}: {shown}")
    if faults > MOST_COMPLAINTS:
        reported.complaints.append(f"... and {faults - MOST_COMPLAINTS} more such lines.")
    return reported


def metrics(lines: bytes) -> list[Metric]:
    """The metrics among whole lines of a spool; what is not understood is told at the end, by `read`."""
    reported = Reported()
    for line in lines.splitlines():
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            reported._add(line)
    return reported.metrics


def _lines(path: Path, limit: int, reported: Reported) -> Iterator[tuple[int, bytes]]:
    taken = 0
    with path.open("rb") as source:
        for number, line in enumerate(source, 1):
            taken += len(line)
            if taken > limit:
                reported.complaints.append(f"The script reported more than {limit} bytes; what follows is left out.")
                return
            if line.strip():
                yield number, line
