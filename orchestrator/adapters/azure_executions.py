"""How many messages wait on a queue, told by Azure storage."""

from __future__ import annotations

from datetime import UTC, datetime

from azurerest import StorageError
from azurerest.errors import NotFound
from azurerest.queues import MAX_RECEIVE
from orchestrator.adapters.azure import AzureWorld
from orchestrator.core.errors import Unavailable
from orchestrator.executions import Backlog, CountMessages


def install(world: AzureWorld) -> None:
    """Have `world` count messages."""

    def count(asked: CountMessages) -> Backlog:
        try:
            total = world.queues.approximate_count(asked.queue)
            seen = world.queues.peek(asked.queue, MAX_RECEIVE) if total else []
            now = datetime.now(UTC)
            oldest = max(((now - message.inserted_on).total_seconds() for message in seen), default=0.0)
            return Backlog(total=total, visible=len(seen), oldest=max(0.0, oldest))
        except NotFound:
            return Backlog(total=0, visible=0)
        except StorageError as fault:
            raise Unavailable(f"Queue {asked.queue} did not answer: {fault}") from fault

    world.register(CountMessages, count)
