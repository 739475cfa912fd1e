"""What an execution of a step leaves behind, and what the next step is given of it."""

from __future__ import annotations

from typing import Any

import msgspec

LIVE_METRICS = "metrics.jsonl"
"""The blob below an attempt's prefix that has the metrics of its script so far, a `Metric` a line."""


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class File(_Value, frozen=True, kw_only=True):
    """A committed file. `path` is relative, with `/`; `size` in bytes; `sha256` in hex.

    Of a file that storage has copied by itself nobody knows the sha256: it is "", and `version` is a text that changes
    with the content.
    """

    path: str
    size: int
    sha256: str
    version: str = ""


class OutputData(_Value, frozen=True, kw_only=True):
    """What a step wrote under one output port.

    The blobs are `prefix + "/" + file.path` in the datastore; when the script wrote a file rather than a folder
    (`is_file`), there is one blob, `prefix`, and one entry whose path is "". `destination` is where in the datastore
    copies of them were put, if that was asked for. `dataset` is the id of the saved dataset that a link stands for; it
    has no files.

    `in_place`: the files were put at no path of their own, but right at `prefix`, a place that a user has named, and
    whoever reads the output reads what he finds there.
    """

    datastore: str
    prefix: str
    is_file: bool = False
    files: tuple[File, ...] = ()
    destination: str = ""
    dataset: str = ""
    in_place: bool = False


class ReadData(_Value, frozen=True, kw_only=True):
    """What an attempt read under one input port. `fingerprint` is equal for equal content: sha256 in hex over name,
    size and etag (of an upstream output: sha256) of each file.
    """

    files: int
    size: int
    fingerprint: str


class DatasetRegistration(_Value, frozen=True, kw_only=True):
    """A wish to register the output `output` as the next version of the dataset `name`, under the saved `id`."""

    name: str
    output: str
    id: str
    description: str = ""
    tags: dict[str, str] = {}


class Metric(_Value, frozen=True, kw_only=True):
    """One logged value. `kind` is "scalar", "list", "row", "table" or "image"; `at` is seconds since the epoch."""

    name: str
    kind: str
    value: Any
    at: float
    step: int | None = None
    description: str = ""


class ModelRegistration(_Value, frozen=True, kw_only=True):
    """A wish to register `path` (a file or folder below the run's artifacts) as the next version of model `name`."""

    name: str
    path: str
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    description: str = ""
    framework: str | None = None
    framework_version: str | None = None


class StepError(_Value, frozen=True, kw_only=True):
    """Why a step failed. `code` is one of the codes in docs/errors.md; `log_tail` is the end of the script's log."""

    code: str
    message: str
    log_tail: str = ""


class StepResult(_Value, frozen=True, kw_only=True):
    """How one attempt ended. It is published only by the claim row that commits it.

    `error` None means success. `retryable` False keeps the retry policy from trying again (a missing script will be
    missing next time). Times are seconds since the epoch; `log` is the blob of the attempt's log, None if the script
    printed nothing. `artifacts` are the files of `./outputs`, below `artifact_prefix` of the system container.
    `bare_seconds` is how long the script's own process lived.
    """

    outputs: dict[str, OutputData] = {}
    read: dict[str, ReadData] = {}
    artifacts: tuple[File, ...] = ()
    artifact_prefix: str = ""
    metrics: tuple[Metric, ...] = ()
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    models: tuple[ModelRegistration, ...] = ()
    datasets: tuple[DatasetRegistration, ...] = ()
    error: StepError | None = None
    retryable: bool = True
    exit_code: int | None = None
    log: str | None = None
    log_bytes: int = 0
    started_at: float = 0.0
    ended_at: float = 0.0
    bare_seconds: float = 0.0


decode_metrics = msgspec.json.Decoder(Metric).decode_lines


def encode(result: StepResult) -> bytes:
    return msgspec.json.encode(result)


decode = msgspec.json.Decoder(StepResult).decode
