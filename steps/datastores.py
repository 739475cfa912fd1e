"""Names of datastores, and the containers behind them."""

from __future__ import annotations

from collections.abc import Mapping

from steps.failures import InvalidStep


def container_of(datastores: Mapping[str, str], datastore: str) -> str:
    """Raises InvalidStep."""
    try:
        return datastores[datastore]
    except KeyError:
        known = ", ".join(sorted(datastores))
        raise InvalidStep(f"There is no datastore {datastore!r}; there are: {known}.") from None
