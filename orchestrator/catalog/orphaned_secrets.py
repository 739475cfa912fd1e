"""Secrets that are kept outside of the tables and that no row names: who kept them died before it wrote the row."""

from __future__ import annotations

from typing import Final

from orchestrator.catalog import attachments, registered_datastores
from orchestrator.ports import Task
from orchestrator.secrets import ForgetOthers

GRACE: Final = 86_400.0
"""Seconds within which a secret that was kept finds its row."""


def forget_orphans() -> Task[int]:
    """Delete them; how many there were. Raises Unavailable."""
    datastores = yield from registered_datastores.every()
    attached = yield from attachments.every()
    needed = {found.sealed for found in datastores} | {found.sealed for found in attached}
    return (yield from ForgetOthers(needed=frozenset(needed - {""}), older_than=GRACE))
