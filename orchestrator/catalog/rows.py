"""Where the catalog lies: one table, one partition a kind, and keys that sort as people want to see them."""

from __future__ import annotations

from orchestrator.engine.rows import CATALOG as CATALOG
from orchestrator.pages import Range

VERSION = 1


def span(kind: str, prefix: str) -> Range:
    """The rows of a kind whose keys begin with `prefix`, which is ASCII."""
    return Range(table=CATALOG, pk=kind, first=prefix, last=prefix[:-1] + chr(ord(prefix[-1]) + 1))


def newest_first(at: float, name: str) -> str:
    """A key that sorts later moments (epoch seconds) before earlier ones."""
    return f"{10**14 - int(at * 1000):014d}|{name}"
