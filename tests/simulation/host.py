"""A Functions host as the protocol meets it: at-least-once delivery, late renewals, poison queues, abrupt ends.

Numbers are the real host's: batches of 16 while at most half as many run, a lease of 10 minutes renewed every 5, five
deliveries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from orchestrator.adapters.memory_queues import QueuedMessage
from orchestrator.core import message as messages
from orchestrator.core import notice as notices
from orchestrator.core.compute import urgent_of
from orchestrator.core.job import Job
from orchestrator.core.message import Delivery, StepMessage
from orchestrator.core.result import Deferral, Expansion, OutputData, StepError, StepResult
from orchestrator.core.states import RunStatus
from orchestrator.engine.cancel import is_over
from orchestrator.engine.deliver import deliver
from orchestrator.engine.lease import GivenBack, Perform, beat
from orchestrator.engine.notify import notify
from orchestrator.engine.poison import MAX_DEQUEUE_COUNT, fail_poisoned
from orchestrator.engine.reading import definition_blob
from orchestrator.ports import Send, WriteBlob
from steps import looking
from tests.simulation.graphs import Script
from tests.simulation.process import (
    EXPECTED,
    Activity,
    Call,
    Die,
    HostCall,
    Process,
    ServiceCall,
    Sleep,
    Steps,
    Surroundings,
)

LEASE: Final = 600.0
FUNCTION_TIMEOUT: Final = 1800.0
HEARTBEAT: Final = 30.0


@dataclass(slots=True, eq=False)
class Invocation:
    """A message being handled. `message` changes when it is renewed."""

    queue: str
    message: QueuedMessage
    ended: bool = False


class Host:
    """One instance of the app.

    batch: host.json's batchSize. retry_after: its visibilityTimeout, the pause before a failed message comes again.
    restart_after: how long a killed host is away, at least and at most. evictions: how likely a step is broken off
    and given back.
    """

    def __init__(
        self,
        around: Surroundings,
        number: int,
        *,
        skew: float,
        batch: int,
        retry_after: float,
        restart_after: tuple[float, float],
        evictions: float = 0.0,
    ) -> None:
        self.around = around
        self.name = f"host{number}"
        self._skew = skew
        self.batch = batch
        self._retry_after = retry_after
        self._restart_after = restart_after
        self._evictions = evictions
        self._queue = around.settings.queue
        self.urgent_queue = urgent_of(self._queue)
        self.step_queues = (self.urgent_queue, self._queue)
        self._lives = 0
        self.calls_queue = around.settings.webhook_queue
        triggers = (*self.step_queues, self.calls_queue) if self.calls_queue else self.step_queues
        self.poison_of = {queue: f"{queue}-poison" for queue in triggers}
        self.running: dict[str, list[Invocation]] = {queue: [] for pair in self.poison_of.items() for queue in pair}
        self.process = self._new_process()

    def _new_process(self) -> Process:
        self._lives += 1
        name = f"{self.name}.{self._lives}"
        return Process(self.around, name, skew=self._skew, perform=self._perform, on_death=self._died)

    @property
    def up(self) -> bool:
        return self.process.alive and self.process.frozen_until <= self.around.loop.now

    def has_room(self, queue: str) -> bool:
        return self.up and len(self.running[queue]) <= self.batch // 2

    # Deliveries

    def receive(self, queue: str) -> int:
        """Take a batch and start handling it. Returns its size."""
        batch = self.around.storage.receive(queue, self.batch, LEASE)
        for message in batch:
            invocation = Invocation(queue, message)
            self.running[queue].append(invocation)
            self.around.loop.after(LEASE / 2, partial(self._renew, self.process, invocation))
            name = f"{self._doing(queue, message.body)} {message.id}#{message.count}"
            self.process.spawn(name, self._invoke(self.process, invocation))
        return len(batch)

    def _doing(self, queue: str, body: str) -> str:
        if self._is_of_steps(queue):
            step = messages.decode(body)
            return f"{'deliver' if queue in self.poison_of else 'poison'} {step.position}"
        return "call" if queue == self.calls_queue else "forget call"

    def _is_of_steps(self, queue: str) -> bool:
        return queue.removesuffix("-poison") in self.step_queues

    def _invoke(self, process: Process, invocation: Invocation) -> Steps:
        message = invocation.message
        if invocation.queue in self.poison_of and message.count > MAX_DEQUEUE_COUNT:
            yield from self._give_up(invocation)
            self._end(invocation)
            return
        delivery = Delivery(message_id=message.id, count=message.count)
        try:
            yield from self._function(process, invocation.queue, message.body, delivery)
        except EXPECTED as error:
            self.around.note(process.name, "", f"the function failed: {error}")
            yield from self._failed(invocation)
        else:
            yield from quietly(self._delete(invocation))
        self._end(invocation)

    def _function(self, process: Process, queue: str, body: str, delivery: Delivery) -> Steps:
        """The functions of the app, one for each queue."""
        if queue == self.calls_queue:
            yield Call(notify(process.memory, notices.decode(body), delivery))
        elif self._is_of_steps(queue):
            handle = deliver if queue in self.poison_of else fail_poisoned
            yield from send_all((yield Call(handle(process.memory, messages.decode(body), delivery))))

    def _failed(self, invocation: Invocation) -> Steps:
        """The function raised: again later, or to the poison queue. A poison message just waits for its lease."""
        if invocation.queue not in self.poison_of:
            return
        if invocation.message.count >= MAX_DEQUEUE_COUNT:
            yield from self._give_up(invocation)
            return
        yield from quietly(HostCall("give back", partial(self._show, invocation, self._retry_after)))

    def _give_up(self, invocation: Invocation) -> Steps:
        try:
            yield Send(queue=self.poison_of[invocation.queue], body=invocation.message.body)
            yield self._delete(invocation)
        except EXPECTED:
            return

    def _delete(self, invocation: Invocation) -> HostCall:
        storage = self.around.storage
        return HostCall("delete", lambda: storage.delete(invocation.queue, invocation.message))

    def _show(self, invocation: Invocation, visibility: float) -> None:
        shown = self.around.storage.give_back(invocation.queue, invocation.message, visibility)
        invocation.message = shown or invocation.message

    def _end(self, invocation: Invocation) -> None:
        invocation.ended = True
        self.running[invocation.queue].remove(invocation)
        self.around.storage.on_visible(invocation.queue, 0.0)

    def _renew(self, process: Process, invocation: Invocation) -> None:
        """Renew the lease while the function runs; after a refusal never again, though the function goes on."""
        again = partial(self._renew, process, invocation)
        if invocation.ended or not process.when_awake(again):
            return
        renewed = self.around.storage.renew(invocation.queue, invocation.message, LEASE)
        if renewed is not None:
            invocation.message = renewed
            self.around.loop.after(LEASE / 2, again)

    # Death

    def _died(self, how: str) -> None:
        """How a death shows on the queue. "killed": host and all; "worker": the host sees it; "ghost": it does not."""
        lost = [invocation for line in self.running.values() for invocation in line]
        for line in self.running.values():
            line.clear()
        for invocation in lost:
            invocation.ended = True
            if how == "worker":
                self.around.loop.after(0.1, partial(self._release, invocation))
            elif how == "ghost":
                self.around.storage.renew(invocation.queue, invocation.message, FUNCTION_TIMEOUT)
        wait = self.around.random.uniform(*self._restart_after) if how == "killed" else 2.0
        self.around.loop.after(wait, self.restart)

    def _release(self, invocation: Invocation) -> None:
        storage = self.around.storage
        if invocation.queue not in self.poison_of:
            return
        if invocation.message.count < MAX_DEQUEUE_COUNT:
            storage.give_back(invocation.queue, invocation.message, self._retry_after)
        elif storage.delete(invocation.queue, invocation.message):
            storage.apply(Send(queue=self.poison_of[invocation.queue], body=invocation.message.body))

    def restart(self) -> None:
        if not self.process.alive:
            self.process = self._new_process()
            self.around.note(self.process.name, "", "starts")
            for queue in self.running:
                self.around.storage.on_visible(queue, 0.0)

    # User code

    def _perform(self, process: Process, perform: Perform, activity: Activity) -> Steps:
        """A step worker: it beats the lease, heeds a cancel at each beat, and does what the script says."""
        checker, job, lease = self.around.storage.checker, perform.job, perform.lease
        checker.executes(perform, process.name, activity.began)
        script = checker.runs[job.run].graph.scripts[job.position]
        if job.called_off:
            return (yield from self._call_off(job))
        left = 0.05 if looking.at_work(job) else script.seconds
        if lease.claim.crashes < script.crashes:
            yield Sleep(min(left, HEARTBEAT) / 2)
            yield Die()
        if self._evictions and self.around.random.random() < self._evictions:
            yield Sleep(self.around.random.uniform(0, min(left, HEARTBEAT)))
            return GivenBack()
        while left > HEARTBEAT:
            yield Sleep(HEARTBEAT)
            left -= HEARTBEAT
            try:
                if not (yield Call(beat(lease))) or (yield Call(is_over(process.memory, job.run))):
                    return None
            except EXPECTED:
                continue
        yield Sleep(left)
        if script.remote:
            state = yield from self._serve(job, script)
            if state is not None:
                return state
        if job.children is not None and job.children.status is not RunStatus.COMPLETED:
            return StepResult(error=StepError(code="ChildFailed", message="as its child has"), retryable=False)
        graph = checker.runs[job.run].graph
        inner, rounds = graph.composites.get(job.position), graph.rounds.get(job.position, 1)
        done = job.children.join["round"] if job.children is not None else 0
        if inner is not None and done < rounds:
            yield WriteBlob(name=definition_blob(inner.plan.address), data=inner.document)
            expansion = Expansion(
                definition=inner.plan.address,
                steps=inner.plan.size,
                window=inner.window,
                keep_going=inner.keep_going,
                join={"filler": "x" * script.size, "round": done + 1},
            )
            return StepResult(expansion=expansion)
        if lease.claim.retries < script.failures:
            return StepResult(error=StepError(code="ScriptFailed", message="as the script says"))
        outputs: dict[str, OutputData] = {}
        for port in job.step.outputs:
            prefix = f"{job.prefix}/{port.name}"
            checker.uploaded.add(prefix)
            outputs[port.name] = OutputData(datastore=port.datastore, prefix=prefix)
        filler = {"filler": "x" * script.size} if script.size else {}
        return StepResult(outputs=outputs, properties={"made": "yes", **filler})

    def _serve(self, job: Job, script: Script) -> Steps:
        """Submit, or look: None when the service has done its work."""
        services, token = self.around.storage.services, _token(job)
        handle = job.deferred.deferral.handle if job.deferred is not None else {}
        try:
            if not handle:
                place = (job.run, job.position)
                yield ServiceCall("submit", lambda: services.submit(token, place, script.remote))
                return StepResult(deferral=Deferral(handle={"token": token}))
            over = yield ServiceCall("look", lambda: services.look(str(handle["token"])))
        except EXPECTED:
            return StepResult(deferral=Deferral(handle=handle))
        return None if over else StepResult(deferral=Deferral(handle=handle))

    def _call_off(self, job: Job) -> Steps:
        services, token = self.around.storage.services, _token(job)
        handle = job.deferred.deferral.handle if job.deferred is not None else {}
        try:
            if not handle:
                # Only who submits is told the number, so whoever is about to submit will find a cancelled job.
                yield ServiceCall("submit", lambda: services.submit(token, (job.run, job.position), 1e9))
            yield ServiceCall("cancel", lambda: services.cancel(token))
        except EXPECTED:
            return StepResult(deferral=Deferral(handle=handle))
        return StepResult()


def _token(job: Job) -> str:
    """As the worker makes it."""
    return f"{job.run}|{job.step.id}|{job.retries}"


def quietly(call: HostCall) -> Steps:
    """What the host does not insist on: the message comes back when its lease ends."""
    try:
        yield call
    except EXPECTED:
        return


def send_all(step_messages: Iterable[StepMessage]) -> Steps:
    """The queue output binding: after the function has returned, one message at a time."""
    for message in step_messages:
        yield Send(queue=message.queue, body=messages.encode(message))


class Dispatcher:
    """Brings visible messages to hosts that have room, a polling interval late."""

    def __init__(self, around: Surroundings, hosts: list[Host], *, polling: float) -> None:
        self._around = around
        self._hosts = hosts
        self._polling = polling
        self._soon: set[str] = set()
        around.storage.on_visible = self.announce

    def announce(self, queue: str, delay: float) -> None:
        if delay > 0:
            # A millisecond more: the sum of a date and a delay is rounded.
            self._around.loop.after(delay + 0.001, partial(self.announce, queue, 0.0))
        elif queue not in self._soon:
            self._soon.add(queue)
            wait = self._around.random.uniform(0, self._polling)
            self._around.loop.after(wait, partial(self._dispatch, queue))

    def _dispatch(self, queue: str) -> None:
        self._soon.discard(queue)
        free = [host for host in self._hosts if host.has_room(queue)]
        while free:
            host = self._around.random.choice(free)
            if host.receive(queue) < host.batch:
                return
            free = [other for other in free if other.has_room(queue)]
        if not any(host.up for host in self._hosts):
            # Nobody is there: look again when somebody may be.
            self._around.loop.after(1.0, partial(self.announce, queue, 0.0))
