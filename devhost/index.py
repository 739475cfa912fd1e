"""The functions of the app as the host sees them: triggers and bindings with their properties checked and resolved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from azurerest.errors import Invalid
from azurerest.names import queue_path
from devhost.errors import ConfigError
from devhost.hostjson import parse_time_span
from devhost.settings import Settings
from devhost.wire import IndexedFunction

DEFAULT_CONNECTION = "AzureWebJobsStorage"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """``route`` is the template without the prefix; ``methods`` empty means every method."""

    name: str
    route: str
    methods: frozenset[str]
    auth_level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrigger:
    """``binary`` hands the body over as bytes."""

    name: str
    queue: str
    connection: str
    binary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobTrigger:
    """``path`` is ``container/pattern``; ``event_grid`` functions are fed by the webhook instead of the scanner."""

    name: str
    path: str
    connection: str
    event_grid: bool
    text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerTrigger:
    """``schedule`` is the resolved NCRONTAB text."""

    name: str
    schedule: str
    run_on_startup: bool
    use_monitor: bool


Trigger = HttpTrigger | QueueTrigger | BlobTrigger | TimerTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOutput:
    """The HTTP response; ``name`` is ``$return`` or a parameter."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOutput:
    """``queue`` may hold ``{expressions}``."""

    name: str
    queue: str
    connection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobBinding:
    """A blob read before, or written after, the function. ``path`` may hold ``{expressions}``."""

    name: str
    path: str
    connection: str
    text: bool


Output = HttpOutput | QueueOutput | BlobBinding


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """``@app.retry``: ``limit`` tries more (-1 for ever), waiting between ``minimum`` and ``maximum`` seconds."""

    limit: int
    minimum: float
    maximum: float
    exponential: bool

    def delay(self, attempt: int) -> float:
        """Seconds to wait before retry number ``attempt`` (from 1)."""
        if not self.exponential:
            return self.minimum
        return min(self.maximum, self.minimum * 2.0 ** min(attempt - 1, 30))


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """One function of the app. ``retry`` is None for all triggers but timers: the host honours it for those alone."""

    name: str
    trigger: Trigger
    inputs: tuple[BlobBinding, ...]
    outputs: tuple[Output, ...]
    retry: RetryPolicy | None
    retry_ignored: bool
    disabled: bool

    @property
    def does_io(self) -> bool:
        """Whether its bindings read or write storage around the call."""
        return bool(self.inputs) or any(not isinstance(output, HttpOutput) for output in self.outputs)

    @property
    def kind(self) -> str:
        """The trigger in one word."""
        return type(self.trigger).__name__.removesuffix("Trigger").lower()


def read_index(indexed: Sequence[IndexedFunction], settings: Settings) -> tuple[FunctionSpec, ...]:
    """Check and resolve what the worker indexed.

    Raises:
        ConfigError: a binding this host cannot serve, or a ``%SETTING%`` that is not set.
    """
    return tuple(_function(one, settings) for one in indexed)


def _function(indexed: IndexedFunction, settings: Settings) -> FunctionSpec:
    name = indexed.name
    triggers: list[Trigger] = []
    inputs: list[BlobBinding] = []
    outputs: list[Output] = []
    for raw in indexed.bindings:
        binding = _Raw(raw, f"function {name}, binding {raw.get('name')}", settings)
        kind = binding.text("type")
        if kind in _TRIGGERS:
            triggers.append(_TRIGGERS[kind](binding, name))
        elif kind in ("http", "queue", "blob") and binding.text("direction") == "OUT":
            outputs.append(_output(kind, binding))
        elif kind == "blob":
            inputs.append(_blob(binding))
        else:
            raise ConfigError(
                f"{binding.where}: the local host has no {kind!r} binding; it has http, queue, blob and timer"
            )
    trigger = triggers[0]
    retry = _retry(name, indexed.retry)
    return FunctionSpec(
        name=name,
        trigger=trigger,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        retry=retry if isinstance(trigger, TimerTrigger) else None,
        retry_ignored=retry is not None and not isinstance(trigger, TimerTrigger),
        disabled=settings.flag(f"AzureWebJobs.{name}.Disabled"),
    )


@dataclass(frozen=True, slots=True)
class _Raw:
    values: dict[str, Any]
    where: str
    settings: Settings

    def text(self, key: str, default: str = "") -> str:
        return self.settings.resolve(str(self.values.get(key, default)), where=self.where)

    def literal(self, key: str, default: str) -> str:
        """A property that names a setting is used as it stands."""
        return str(self.values.get(key) or default)

    def flag(self, key: str, *, default: bool) -> bool:
        return bool(self.values.get(key, default))

    @property
    def data_type(self) -> str:
        return str(self.values.get("dataType", "")).upper()


def _http_trigger(raw: _Raw, function: str) -> HttpTrigger:
    methods = raw.values.get("methods") or []
    level = raw.text("authLevel", "FUNCTION").lower()
    if level not in ("anonymous", "function", "admin"):
        raise ConfigError(f"{raw.where}: unknown authLevel {level!r}")
    return HttpTrigger(
        name=raw.text("name"),
        route=raw.text("route", function).strip("/"),
        methods=frozenset(str(method).upper() for method in methods),
        auth_level=level,
    )


def _queue_trigger(raw: _Raw, _function: str) -> QueueTrigger:
    queue = raw.text("queueName").lower()
    try:
        queue_path(queue)
    except Invalid as error:
        raise ConfigError(f"{raw.where}: {error.message}") from None
    return QueueTrigger(
        name=raw.text("name"),
        queue=queue,
        connection=raw.literal("connection", DEFAULT_CONNECTION),
        binary=raw.data_type == "BINARY",
    )


def _blob_trigger(raw: _Raw, _function: str) -> BlobTrigger:
    return BlobTrigger(
        name=raw.text("name"),
        path=raw.text("path").strip("/"),
        connection=raw.literal("connection", DEFAULT_CONNECTION),
        event_grid=raw.text("source").replace("_", "").lower() == "eventgrid",
        text=raw.data_type == "STRING",
    )


def _timer_trigger(raw: _Raw, _function: str) -> TimerTrigger:
    return TimerTrigger(
        name=raw.text("name"),
        schedule=raw.text("schedule"),
        run_on_startup=raw.flag("runOnStartup", default=False),
        use_monitor=raw.flag("useMonitor", default=True),
    )


_TRIGGERS: dict[str, Callable[[_Raw, str], Trigger]] = {
    "httpTrigger": _http_trigger,
    "queueTrigger": _queue_trigger,
    "blobTrigger": _blob_trigger,
    "timerTrigger": _timer_trigger,
}


def _output(kind: str, raw: _Raw) -> Output:
    if kind == "http":
        return HttpOutput(name=raw.text("name"))
    if kind == "queue":
        return QueueOutput(
            name=raw.text("name"),
            queue=raw.text("queueName"),
            connection=raw.literal("connection", DEFAULT_CONNECTION),
        )
    return _blob(raw)


def _blob(raw: _Raw) -> BlobBinding:
    path = raw.text("path").strip("/")
    if "/" not in path:
        raise ConfigError(f"{raw.where}: path must be container/blob, got {path!r}")
    return BlobBinding(
        name=raw.text("name"),
        path=path,
        connection=raw.literal("connection", DEFAULT_CONNECTION),
        text=raw.data_type == "STRING",
    )


def _retry(function: str, raw: dict[str, Any] | None) -> RetryPolicy | None:
    if raw is None:
        return None
    try:
        limit = int(raw["max_retry_count"])
        exponential = raw["strategy"] == "exponential_backoff"
        first = raw.get("minimum_interval" if exponential else "delay_interval") or "00:00:00"
        last = raw.get("maximum_interval") or first
        return RetryPolicy(
            limit=limit, minimum=parse_time_span(first), maximum=parse_time_span(last), exponential=exponential
        )
    except (KeyError, ValueError) as error:
        raise ConfigError(f"function {function}: bad retry policy: {error}") from None
