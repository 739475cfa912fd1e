"""How many messages wait on a queue, told by Azure storage."""

from __future__ import annotations

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
            return Backlog(total=total, visible=len(world.queues.peek(asked.queue, MAX_RECEIVE)) if total else 0)
        except NotFound:
            return Backlog(total=0, visible=0)
        except StorageError as fault:
            raise Unavailable(f"Queue {asked.queue} did not answer: {fault}") from fault

    world.register(CountMessages, count)
