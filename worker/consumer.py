"""Takes messages of the queues of a compute and runs their steps, one after the other.

A message is kept until its step is committed and what follows it is sent; so whatever is cut off is done again. It is
hidden for a minute or so at a time: a worker that dies costs one redelivery after that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from azurerest.errors import NotFound, StorageError
from azurerest.queues import Message, Queues
from orchestrator import logs
from orchestrator.core.errors import InvalidRequest, MillstreamError, NewerVersion
from orchestrator.core.message import Delivery, Messages, decode, encode
from orchestrator.engine.deliver import deliver
from orchestrator.engine.poison import MAX_DEQUEUE_COUNT, fail_poisoned
from orchestrator.ports import Send
from worker.equipment import Equipment
from worker.held import HeldMessage, Note
from worker.turns import Turns

log = logging.getLogger("millstream.worker")

FAILURE_DELAY: Final = 5.0
"""Seconds until a message that could not be handled is shown again, as host.json says for the Functions app."""
LEFT_FOR: Final = 30.0
"""Seconds after which a message that only a newer worker understands is offered again."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """`found`: there was a message. `ran`: its step was run. `well`: it is done with, or there was none."""

    found: bool
    well: bool
    ran: bool = False


class Consumer:
    """Of these queues, the first of which go ahead, for one process. `visibility` in seconds: for how long a message is
    hidden at a time. `note`: told of the message that is held.
    """

    def __init__(
        self, equipment: Equipment, queues: Sequence[str], *, visibility: float, note: Note = lambda _: None
    ) -> None:
        self._equipment = equipment
        self._queues: Queues = equipment.world.queues
        self._turns = Turns(queues)
        self._visibility = visibility
        self._note = note
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Take nothing more; what runs is broken off, and its step left to others at once."""
        self._stopping.set()
        self._equipment.steps.stop()

    def take(self) -> Taken:
        """Handle one message, if there is one."""
        for queue in self._turns.order():
            try:
                message = self._receive(queue)
            except StorageError as error:
                log.warning("receiving from queue %s failed: %s", queue, error)
                return Taken(found=False, well=False)
            self._turns.saw(queue, found=message is not None)
            if message is not None:
                begun = self._equipment.steps.begun
                well = self._handle(queue, message)
                return Taken(found=True, well=well, ran=self._equipment.steps.begun > begun)
        return Taken(found=False, well=True)

    def _receive(self, queue: str) -> Message | None:
        """Raises StorageError."""
        try:
            found = self._queues.receive(queue, visibility=max(1, round(self._visibility)))
        except NotFound:
            return None
        return found[0] if found else None

    def once(self) -> bool:
        """Run one step. Messages of steps that others have, or that are done, are done with on the way. Whether all
        went well, be it that there was nothing to do.
        """
        while not self._stopping.is_set():
            taken = self.take()
            if not taken.found or taken.ran or not taken.well:
                return taken.well
        return True

    def serve(self, *, idle: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Handle messages until there have been none for `idle` seconds, or `stop` is called."""
        last, pause = monotonic(), _FIRST_PAUSE
        while not self._stopping.is_set():
            if self.take().found:
                last, pause = monotonic(), _FIRST_PAUSE
            elif monotonic() - last >= idle:
                return
            else:
                self._stopping.wait(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)

    def _handle(self, queue: str, message: Message) -> bool:
        with logs.about(queue=queue, message=message.id), self._held(queue, message) as held:
            try:
                self._send(self._run(message))
                held.delete()
            except NewerVersion as error:
                log.warning("left to a newer worker: %s", error.message)
                own = Send(queue=queue, body=message.body.decode(), delay=LEFT_FOR)
                self._equipment.world.run(iter(own))
                held.delete()
            except InvalidRequest as error:
                log.error("a message is dropped: %s", error.message)
                held.delete()
            except (MillstreamError, StorageError) as error:
                log.warning("the message is to be tried again: %s", error)
                held.release(FAILURE_DELAY)
                return False
        return True

    def _held(self, queue: str, message: Message) -> HeldMessage:
        return HeldMessage(self._queues, queue, message, self._visibility, self._note)

    def _run(self, message: Message) -> Messages:
        """Raises InvalidRequest for a body that is no step message."""
        own = self._equipment
        step, sent_at = decode(message.body), message.inserted_on.timestamp()
        delivery = Delivery(message_id=message.id, count=message.dequeue_count, sent_at=sent_at)
        logs.learn(run=step.run, position=step.position)
        if delivery.count > MAX_DEQUEUE_COUNT:
            log.warning("the step has failed its workers too often, and fails")
            return own.world.run(fail_poisoned(own.memory, step, delivery))
        return own.world.run(deliver(own.memory, step, delivery))

    def _send(self, messages: Messages) -> None:
        for message in messages:
            self._equipment.world.run(iter(Send(queue=message.queue, body=encode(message))))
