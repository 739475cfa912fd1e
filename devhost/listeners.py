"""Everything that fires functions on its own: queue, blob and timer listeners, started and stopped together."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence

from devhost.console import Console
from devhost.hostjson import HostJson
from devhost.http_values import Request, Response
from devhost.index import FunctionSpec, QueueTrigger
from devhost.keys import Keys
from devhost.manual import manual_value
from devhost.queue_listener import QueueListener, QueuePolicy, QueueSource, poison_name
from devhost.queue_trigger import QueueFunction
from devhost.renewal import Renewer
from devhost.runner import Runner
from devhost.settings import Settings
from devhost.storage import Storage

_DEVELOPMENT_POLL = 2.0
_POLL = 60.0


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
        self._settings = settings
        self._host_json = host_json
        self._storage = storage
        self._runner = runner
        self._console = console
        self._host_id = host_id
        self._renewer = Renewer(settings.knobs.renewal, console.warn)
        self._by_queue: dict[tuple[str, str], list[QueueListener]] = {}
        self._queues: list[QueueListener] = []
        for spec in specs:
            if not spec.disabled and isinstance(spec.trigger, QueueTrigger):
                self._add_queue(spec, spec.trigger)

    def start(self) -> None:
        """Start them all."""
        self._renewer.start()
        for listener in self._queues:
            listener.start()

    def stop(self) -> None:
        """Take nothing new."""
        for listener in self._queues:
            listener.stop()

    def finish(self, deadline: float) -> bool:
        """Wait until what they started has ended, at most until ``deadline``; whether that came true."""
        finished = [listener.drain(deadline) for listener in self._queues]
        self._renewer.stop()
        return all(finished)

    def wake(self, account: str, queue: str) -> None:
        """A message has just been put into this queue by this host."""
        for listener in self._by_queue.get((account, queue), ()):
            listener.wake()

    def webhooks(self, keys: Keys) -> Callable[[Request], Awaitable[Response | None]]:
        """The handler of ``/runtime/webhooks``."""

        async def none(_request: Request) -> Response | None:
            return None

        return none

    def run_by_hand(self, spec: FunctionSpec, text: str) -> None:
        """Run a function once with an input text, blocking."""
        value = manual_value(spec, text)
        if value is not None:
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
            lease=max(1, round(self._settings.knobs.queue_lease_seconds)),
            max_poll=self._max_poll(),
        )
        handler = QueueFunction(spec, trigger, self._runner, as_base64=options.base64)
        listener = QueueListener(source, policy, handler, self._renewer, self._console)
        self._queues.append(listener)
        account = self._storage.account(trigger.connection).name
        self._by_queue.setdefault((account, trigger.queue), []).append(listener)

    def _max_poll(self) -> float:
        given = self._host_json.queues.max_polling_interval
        if given is not None:
            return given
        return _DEVELOPMENT_POLL if self._settings.is_development else _POLL
