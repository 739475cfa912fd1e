"""Everything that fires functions on its own: queue, blob and timer listeners, started and stopped together."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from azurerest.errors import StorageError
from devhost.blob_listeners import BlobParts, blob_functions, build_blobs
from devhost.blob_webhook import BlobWebhook
from devhost.console import Console
from devhost.errors import ConfigError
from devhost.hostjson import HostJson
from devhost.http_values import Request, Response
from devhost.index import DEFAULT_CONNECTION, FunctionSpec, QueueTrigger, TimerTrigger
from devhost.keys import Keys
from devhost.lease import SingletonLease
from devhost.manual import manual_value
from devhost.ncrontab import parse_schedule
from devhost.queue_listener import QueueListener, QueuePolicy, QueueSource, poison_name
from devhost.queue_trigger import QueueFunction
from devhost.renewal import Renewer
from devhost.runner import Runner
from devhost.settings import Settings
from devhost.storage import Storage
from devhost.timer_listener import TimerListener
from devhost.timer_status import TimerStatusStore

_DEVELOPMENT_POLL = 2.0
_POLL = 60.0


class Listener(Protocol):
    """One source of invocations."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """Take nothing new."""

    def drain(self, deadline: float) -> bool:
        """Wait for what was taken, at most until ``deadline`` (monotonic); whether it has ended."""


class Listeners:
    """All listeners of the app."""

    def __init__(
        self,
        *,
        specs: Sequence[FunctionSpec],
        settings: Settings,
        host_json: HostJson,
        storage: Storage,
        runner: Runner,
        console: Console,
        host_id: str,
    ) -> None:
        """Build them; nothing is started.

        Raises:
            ConfigError: a connection, path or schedule is wrong.
        """
        self._settings = settings
        self._host_json = host_json
        self._storage = storage
        self._runner = runner
        self._console = console
        self._host_id = host_id
        self._renewer = Renewer(settings.knobs.renewal, console.warn)
        self._by_queue: dict[tuple[str, str], list[QueueListener]] = {}
        self._listeners: list[Listener] = []
        self._blobs = self._add_blobs(specs)
        for spec in specs:
            if spec.disabled:
                continue
            if isinstance(spec.trigger, QueueTrigger):
                self._add_queue(spec, spec.trigger)
            elif isinstance(spec.trigger, TimerTrigger):
                self._add_timer(spec, spec.trigger)

    def start(self) -> None:
        """Start them all."""
        self._renewer.start()
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Take nothing new."""
        for listener in self._listeners:
            listener.stop()

    def finish(self, deadline: float) -> bool:
        """Wait until what they started has ended, at most until ``deadline``; whether that came true."""
        finished = [listener.drain(deadline) for listener in self._listeners]
        self._renewer.stop()
        return all(finished)

    def wake(self, account: str, queue: str) -> None:
        """A message has just been put into this queue by this host."""
        for listener in self._by_queue.get((account, queue), ()):
            listener.wake()

    def webhooks(self, keys: Keys) -> Callable[[Request], Awaitable[Response | None]]:
        """The handler of ``/runtime/webhooks``."""
        blobs = self._blobs
        if blobs is None:
            return _no_webhook
        return BlobWebhook(blobs.functions, blobs.queue, keys, self._console).answer

    def run_by_hand(self, spec: FunctionSpec, text: str) -> None:
        """Run a function once with an input text, blocking."""
        try:
            value = manual_value(spec, text, self._blobs.functions if self._blobs else {})
        except (ConfigError, StorageError) as error:
            self._console.warn(f"function {spec.name} cannot be run by hand: {error}")
            return
        self._runner.run(spec, value)

    def _add_queue(self, spec: FunctionSpec, trigger: QueueTrigger) -> None:
        options = self._host_json.queues
        source = QueueSource(
            queues=self._storage.queues(trigger.connection), name=trigger.queue, poison=poison_name(trigger.queue)
        )
        policy = QueuePolicy(
            batch_size=options.batch_size,
            threshold=options.threshold(os.cpu_count() or 1),
            max_dequeue_count=options.max_dequeue_count,
            failure_delay=int(options.visibility_timeout),
            lease=self._settings.knobs.lease,
            max_poll=self._max_poll(),
        )
        handler = QueueFunction(spec, trigger, self._runner, as_base64=options.base64)
        listener = QueueListener(source, policy, handler, self._renewer, self._console)
        self._listeners.append(listener)
        account = self._storage.account(trigger.connection).name
        self._by_queue.setdefault((account, trigger.queue), []).append(listener)

    def _add_timer(self, spec: FunctionSpec, trigger: TimerTrigger) -> None:
        schedule = parse_schedule(trigger.schedule, where=f"function {spec.name}")
        blobs = self._storage.blobs(DEFAULT_CONNECTION)
        knobs = self._settings.knobs
        lease = SingletonLease(
            blobs,
            self._host_id,
            f"Host.Functions.{spec.name}.Listener",
            seconds=knobs.timer_lock_seconds,
            retry_seconds=knobs.lock_retry_seconds,
            break_dead=bool(knobs.break_dead_locks),
            console=self._console,
        )
        monitored = trigger.use_monitor and schedule.is_monitored(time.time())
        self._listeners.append(
            TimerListener(
                schedule,
                lambda value: self._runner.run(spec, value),
                lease,
                TimerStatusStore(blobs, self._host_id, spec.name) if monitored else None,
                self._console,
                run_on_startup=trigger.run_on_startup,
            )
        )

    def _add_blobs(self, specs: Sequence[FunctionSpec]) -> BlobParts | None:
        functions = blob_functions(specs, self._storage)
        if not functions:
            return None
        parts = build_blobs(
            functions,
            options=self._host_json.blobs,
            knobs=self._settings.knobs,
            max_poll=self._max_poll(),
            storage=self._storage,
            runner=self._runner,
            renewer=self._renewer,
            console=self._console,
            host_id=self._host_id,
        )
        self._listeners.append(parts.listener)
        if parts.scanner is not None:
            self._listeners.append(parts.scanner)
        return parts

    def _max_poll(self) -> float:
        given = self._host_json.queues.max_polling_interval
        if given is not None:
            return given
        return _DEVELOPMENT_POLL if self._settings.is_development else _POLL


async def _no_webhook(_request: Request) -> Response | None:
    return None
