"""What a step costs in storage transactions, counted on the wire: the engine on a real Azurite, user code left out.

    python -m bench.transactions [--hosts 1 4] [--connection STRING]

Every HTTP request to the service counts, whatever its answer, under what it was for; receives apart, since they depend
on how busy the queue is. A host here receives as the Functions host does (batches of 16 while at most 8 messages run;
an idle one every 0.1 s, less and less often, and at once when it has sent a message itself), with a memory of its own;
steps end as soon as they are performed. Without --connection an Azurite is started for the run.
"""

from __future__ import annotations

import argparse
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

from azurerest import Account, Call, Message, Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.core import message as messages
from orchestrator.core.message import Delivery
from orchestrator.core.result import OutputData, StepResult
from orchestrator.core.run import RunInfo
from orchestrator.engine.deliver import deliver
from orchestrator.engine.lease import Perform
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.engine.reading import fresh_head
from orchestrator.engine.start import start
from orchestrator.ports import Effect, Send
from tests.azurite import running_azurite
from tests.simulation.graphs import Graph, chain, fan, layers
from tests.simulation.kinds import kind_of

BATCH: Final = 16
THRESHOLD: Final = 8
LEASE: Final = 600
POLLING: Final = (0.1, 2.0)
RECEIVE: Final = "receive"
DEADLINE: Final = 300.0
GOALS: Final[tuple[tuple[Graph, float], ...]] = (
    (chain(200), 5.3),
    (fan(300), 6.3),
    (layers(40, 10), 6.5),
    (layers(40, 10, reach=3), 6.5),
)


class Count:
    """Requests by what they were for, from all threads."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._now = threading.local()

    @contextmanager
    def as_(self, kind: str) -> Iterator[None]:
        """What this thread asks for in here is `kind`."""
        before = getattr(self._now, "kind", "other")
        self._now.kind = kind
        try:
            yield
        finally:
            self._now.kind = before

    def observe(self, call: Call) -> None:
        del call
        with self._lock:
            self.counts[getattr(self._now, "kind", "other")] += 1


class CountedWorld(AzureWorld):
    """Tells the count what each effect is for."""

    def __init__(self, account: Account, transport: Transport, count: Count) -> None:
        self._count = count
        super().__init__(account, transport)

    def register(self, kind: type[Any], interpreter: Callable[[Any], Any]) -> None:
        def counted(effect: Effect[Any]) -> Any:
            with self._count.as_(kind_of(effect)):
                return interpreter(effect)

        super().register(kind, counted)


class Host:
    """One process's worth of deliveries, in threads."""

    def __init__(self, world: CountedWorld, count: Count, queue: str) -> None:
        self._world = world
        self._count = count
        self._queue = queue
        self.memory = ProcessMemory(EngineSettings(queue=queue))
        self._pool = ThreadPoolExecutor(BATCH + THRESHOLD)
        self._running: set[Future[None]] = set()
        self._stopped = False
        self._woken = threading.Event()
        self._listener = threading.Thread(target=self._listen)
        world.register(Perform, performed)

    def __enter__(self) -> Host:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._woken.set()
        self._listener.join()
        self._pool.shutdown()
        for done in self._running:
            done.result()

    def _listen(self) -> None:
        wait, longest = POLLING
        while not self._stopped:
            failed = next((done for done in self._running if done.done() and done.exception()), None)
            if failed is not None:
                failed.result()
            self._running = {future for future in self._running if not future.done()}
            batch: list[Message] = []
            self._woken.clear()
            if len(self._running) <= THRESHOLD:
                with self._count.as_(RECEIVE):
                    batch = self._world.queues.receive(self._queue, BATCH, LEASE)
            self._running |= {self._pool.submit(self._invoke, message) for message in batch}
            if batch:
                wait = POLLING[0]
            elif not self._woken.wait(wait):
                wait = min(2 * wait, longest)

    def _invoke(self, message: Message) -> None:
        delivery = Delivery(message_id=message.id, count=message.dequeue_count)
        self.send(self._world.run(deliver(self.memory, messages.decode(message.body), delivery)))
        with self._count.as_("delete"):
            self._world.queues.delete(self._queue, message.id, message.pop_receipt)
        self._woken.set()

    def send(self, sent: Sequence[messages.StepMessage]) -> None:
        """The queue output binding."""
        for message in sent:
            self._world.run(_ask(Send(queue=message.queue, body=messages.encode(message))))
            self._woken.set()


def _ask(effect: Effect[Any]) -> Any:
    return (yield from effect)


def performed(perform: Perform) -> StepResult:
    """User code that takes no time."""
    job = perform.job
    outputs = {p.name: OutputData(datastore=p.datastore, prefix=f"{job.prefix}/{p.name}") for p in job.step.outputs}
    return StepResult(outputs=outputs)


def play(account: Account, graph: Graph, hosts: int) -> tuple[Counter[str], float]:
    """Run the graph; the requests by kind, and seconds from the start to the last answer."""
    count, queue = Count(), f"q{uuid.uuid4().hex}"
    transport = Transport(observer=count.observe, max_idle=256)
    worlds = [CountedWorld(account, transport, count) for _ in range(hosts)]
    worlds[0].queues.create(queue)
    homes(worlds[0])
    count.counts.clear()
    listeners = [Host(world, count, queue) for world in worlds]
    info = RunInfo(id=uuid.uuid4().hex, experiment="bench", definition=graph.plan.address, submitted_at=time.time())
    began = time.monotonic()
    started = worlds[0].run(start(listeners[0].memory, info, graph.plan, graph.document))
    listeners[0].send(started.messages)
    watch = AzureWorld(account)
    for listener in listeners:
        listener.__enter__()
    try:
        _wait_for_the_end(watch, info.id)
    finally:
        for listener in listeners:
            listener.__exit__()
    seconds = time.monotonic() - began
    transport.close()
    return count.counts, seconds


def homes(world: AzureWorld) -> None:
    """Tables and container are there before anything is counted."""
    for table in ("runs", "index"):
        world.tables.create(table)
    world.blobs.create_container("millstream")


def _wait_for_the_end(world: AzureWorld, run: str) -> None:
    memory, deadline = ProcessMemory(), time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        known = world.run(fresh_head(memory, run))
        if known is not None and known.head.status.terminal:
            assert known.head.status.value == "Completed", known.head.status
            return
        time.sleep(0.05)
    raise TimeoutError(f"run {run} did not end within {DEADLINE:.0f} s")


def report(graph: Graph, hosts: int, goal: float, counts: Counter[str], seconds: float) -> None:
    steps = len(graph.parents)
    receives = counts.pop(RECEIVE, 0)
    each = counts.total() / steps
    verdict = "ok" if each <= goal else "OVER"
    print(f"\n{graph.name} on {hosts}: {each:.2f} transactions a step (goal {goal}: {verdict})")
    print(f"  {steps} steps in {seconds:.2f} s; {receives / steps:.2f} receives a step")
    small = Counter({kind: n for kind, n in counts.items() if n < 0.01 * steps})
    for kind, number in (counts - small).most_common():
        print(f"  {kind:<16}{number / steps:8.2f}")
    if small:
        print(f"  {'the rest':<16}{small.total() / steps:8.2f}  ({', '.join(f'{k} {n}' for k, n in small.items())})")


@contextmanager
def connection_of(given: str | None) -> Iterator[str]:
    if given is not None:
        yield given
        return
    with running_azurite() as server:
        yield server.connection


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.transactions", description="Storage transactions a step, counted.")
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 4], help="how many hosts share the work (1 4)")
    parser.add_argument("--connection", help="a storage account instead of a new Azurite")
    options = parser.parse_args()
    with connection_of(options.connection) as connection:
        account = Account.from_connection_string(connection)
        for graph, goal in GOALS:
            for hosts in options.hosts:
                counts, seconds = play(account, graph, hosts)
                report(graph, hosts, goal, counts, seconds)


if __name__ == "__main__":
    main()
