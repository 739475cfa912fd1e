"""What happens, as events for operators: one line each, in the log `millstream.events`.

In the cloud the line is JSON (`orchestrator.logs`), which infra/modules/alerts.bicep asks for. docs/operations.md names
all events. No line holds a value that a user has given, ids and names aside.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.logs import Fact as Fact
from orchestrator.ports import Effect

log = logging.getLogger("millstream.events")

RUN_ENDED: Final = "run_ended"
STEP_ENDED: Final = "step_ended"
MESSAGE_POISONED: Final = "message_poisoned"
QUEUE_LOOKED_AT: Final = "queue_looked_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell(Effect[None]):
    """Something has happened. It may be told twice: whoever does it again tells it again. Raises nothing."""

    event: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


def write(told: Tell) -> None:
    """Log the event."""
    log.info("%s", told.event, extra={"facts": {"event": told.event, **told.facts}})
