"""What an execution of a step leaves behind, and what the next step is given of it."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrator.core.definition import ParameterValue

LIVE_METRICS = "metrics.jsonl"
"""The blob below an attempt's prefix that has the metrics of its script so far, a `Metric` a line."""


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class File(_Value, frozen=True, kw_only=True):
    """A committed file. `path` is relative, with `/`; `size` in bytes; `sha256` in hex.

    Of a file that storage has copied by itself nobody knows the sha256: it is "", and `version` is a text that changes
    with the content. `blob`: where it lies, if another step made it and it is named here without a copy.
    """

    path: str
    size: int
    sha256: str
    version: str = ""
    blob: str = ""

    def name_below(self, prefix: str) -> str:
        """The name of its blob, in an output or below a folder at `prefix`."""
        return self.blob or (f"{prefix}/{self.path}" if self.path else prefix)


class OutputData(_Value, frozen=True, kw_only=True):
    """What a step wrote under one output port.

    The blobs are `prefix + "/" + file.path` in the datastore, unless a file says otherwise; when the script wrote a
    file rather than a folder (`is_file`), there is one blob, `prefix`, and one entry whose path is "". `destination` is
    where in the datastore copies of them were put, if that was asked for. `dataset` is the id of the saved dataset that
    a link stands for; it has no files.

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


class Expansion(_Value, frozen=True, kw_only=True):
    """What a step becomes: a run of the definition at content address `definition`, which has `steps` steps.

    `window`: the most of its steps that are sent at a time (0: no limit). `keep_going`: a step's failure stops only
    what depends on it. `seconds`: how long the run may take. `join`: what its author wants to know when the results are
    joined. `spent`: the seconds of the step's own time that it has used as other runs before; the engine says it.
    """

    definition: str
    steps: int
    parameters: dict[str, ParameterValue] = {}
    window: int = 0
    keep_going: bool = True
    seconds: float | None = None
    join: dict[str, Any] = {}
    spent: float = 0.0


class Deferral(_Value, frozen=True, kw_only=True):
    """A service does the step's work, which is to be looked at later.

    `handle`: what its kind needs to find the work again. `after`, `within`: the look is not wanted earlier, or has no
    sense later, than so many seconds from now. `silent_since`: the service has not answered since the work was so many
    seconds old. `since`: when the work began, by storage's clock, in seconds since the epoch; the engine says it.
    """

    handle: dict[str, Any]
    after: float = 0.0
    within: float | None = None
    silent_since: float | None = None
    since: float = 0.0


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
    `bare_seconds` is how long the script's own process lived. `expansion`: the step is not over, but becomes many.
    `deferral`: it is not over, but a service does its work.
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
    expansion: Expansion | None = None
    deferral: Deferral | None = None


decode_metrics = msgspec.json.Decoder(Metric).decode_lines


def encode(result: StepResult) -> bytes:
    return msgspec.json.encode(result)


decode = msgspec.json.Decoder(StepResult).decode
