"""Shows the message of a worker that has died to others. Imports what it needs when it is needed."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from worker.supervisor import Holding

log = logging.getLogger("millstream.worker")


def warn(environment: Mapping[str, str], text: str) -> None:
    """Log it in the form that the settings ask for."""
    from orchestrator import logs
    from orchestrator.settings import read

    logs.install_alone(read(environment).log_form)
    log.warning("%s", text)


def give_back(environment: Mapping[str, str], holding: Holding, delay: float) -> None:
    """Show it after `delay` seconds. Somebody else who has it by now keeps it; what fails here is mended by time."""
    from azurerest.connections import connection
    from azurerest.errors import NotFound, PreconditionFailed, StorageError
    from azurerest.queues import Queues
    from azurerest.transport import Transport

    try:
        queues = Queues(connection(environment, "AzureWebJobsStorage"), Transport())
        queues.update(holding.queue, holding.message, holding.receipt, visibility=math.ceil(delay))
    except (NotFound, PreconditionFailed):
        log.info("message %s is done with, or somebody else's by now", holding.message)
    except StorageError as error:
        log.warning("message %s could not be given back, and comes back later: %s", holding.message, error)
