"""What can go wrong with Azurite."""

from __future__ import annotations


class AzuriteError(Exception):
    """Azurite could not be installed or started; the text says what to do."""
