"""host.json: the part of it that a local host can honour. Unknown keys are ignored, as the real host does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devhost.errors import ConfigError

_TIME_SPAN = re.compile(r"^(?:(\d+)\.)?([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d)(?:\.(\d{1,7}))?)?$")
_UNBOUNDED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """``extensions.http``; -1 means unbounded."""

    route_prefix: str = "api"
    max_concurrent: int = _UNBOUNDED
    max_outstanding: int = _UNBOUNDED


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """``extensions.queues``, for all queue functions of the app. Times are seconds; None polls by environment."""

    batch_size: int = 16
    new_batch_threshold: int | None = None
    max_dequeue_count: int = 5
    visibility_timeout: float = 0.0
    max_polling_interval: float | None = None
    base64: bool = True

    def threshold(self, cores: int) -> int:
        """How many messages may still be running when the next batch is taken."""
        if self.new_batch_threshold is not None:
            return self.new_batch_threshold
        return self.batch_size // 2 * cores


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobOptions:
    """``extensions.blobs``."""

    max_degree_of_parallelism: int | None = None
    poison_threshold: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJson:
    """The parsed file. ``function_timeout`` is seconds, None for unbounded."""

    function_timeout: float | None = 1800.0
    http: HttpOptions = HttpOptions()
    queues: QueueOptions = QueueOptions()
    blobs: BlobOptions = BlobOptions()


def load_host_json(path: Path) -> HostJson:
    """Read and check host.json.

    Raises:
        ConfigError: missing, not JSON, not version 2.0, or a value out of range.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f'{path} is missing; the smallest one is {{"version": "2.0"}}') from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from None
    return parse_host_json(document)


def parse_host_json(document: Any) -> HostJson:
    """Check a host.json document.

    Raises:
        ConfigError: not version 2.0, or a value out of range; the text names the key.
    """
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise ConfigError('host.json: "version" must be "2.0"')
    root = _Section(document, "host.json")
    extensions = root.section("extensions")
    http = extensions.section("http")
    queues = extensions.section("queues")
    blobs = extensions.section("blobs")
    return HostJson(
        function_timeout=_function_timeout(root),
        http=HttpOptions(
            route_prefix=http.text("routePrefix", "api").strip("/"),
            max_concurrent=http.integer("maxConcurrentRequests", _UNBOUNDED, low=_UNBOUNDED),
            max_outstanding=http.integer("maxOutstandingRequests", _UNBOUNDED, low=_UNBOUNDED),
        ),
        queues=QueueOptions(
            batch_size=queues.integer("batchSize", 16, low=1, high=32),
            new_batch_threshold=queues.optional_integer("newBatchThreshold", low=0),
            max_dequeue_count=queues.integer("maxDequeueCount", 5, low=1),
            visibility_timeout=queues.span("visibilityTimeout", 0.0, high=7 * 86400),
            max_polling_interval=queues.optional_span("maxPollingInterval", low=0.1),
            base64=_encoding(queues),
        ),
        blobs=BlobOptions(
            max_degree_of_parallelism=blobs.optional_integer("maxDegreeOfParallelism", low=1),
            poison_threshold=blobs.integer("poisonBlobThreshold", 5, low=1),
        ),
    )


def parse_time_span(text: str) -> float:
    """Seconds of a .NET TimeSpan text such as ``00:05:00`` or ``1.02:00:00``.

    Raises:
        ValueError: not such a text.
    """
    match = _TIME_SPAN.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time span (hh:mm:ss)")
    days, hours, minutes, seconds, fraction = match.groups(default="0")
    whole = int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + float(f"0.{fraction}")


def _function_timeout(root: _Section) -> float | None:
    if root.values.get("functionTimeout") in (-1, "-1", "-00:00:01"):
        return None
    seconds = root.span("functionTimeout", 1800.0)
    if seconds < 1:
        raise ConfigError("host.json.functionTimeout must be at least 00:00:01, or -1 for no limit")
    return seconds


def _encoding(queues: _Section) -> bool:
    text = queues.text("messageEncoding", "base64").lower()
    if text not in ("base64", "none"):
        raise ConfigError(f'{queues.path}.messageEncoding must be "base64" or "none", got {text!r}')
    return text == "base64"


@dataclass(frozen=True, slots=True)
class _Section:
    values: dict[str, Any]
    path: str

    def section(self, key: str) -> _Section:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise ConfigError(f"{self.path}.{key} must be an object, got {value!r}")
        return _Section(value, f"{self.path}.{key}")

    def text(self, key: str, default: str) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise ConfigError(f"{self.path}.{key} must be a text, got {value!r}")
        return value

    def integer(self, key: str, default: int, *, low: int, high: int = 2**31 - 1) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(f"{self.path}.{key} must be a whole number from {low} to {high}, got {value!r}")
        return value

    def optional_integer(self, key: str, *, low: int) -> int | None:
        return self.integer(key, low, low=low) if key in self.values else None

    def span(self, key: str, default: float, *, low: float = 0.0, high: float = float("inf")) -> float:
        value = self.values.get(key)
        if value is None:
            return default
        try:
            seconds = parse_time_span(str(value))
        except ValueError as error:
            raise ConfigError(f"{self.path}.{key}: {error}") from None
        if not low <= seconds <= high:
            raise ConfigError(f"{self.path}.{key} is out of range: {value!r}")
        return seconds

    def optional_span(self, key: str, *, low: float) -> float | None:
        return self.span(key, low, low=low) if key in self.values else None
