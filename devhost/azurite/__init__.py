"""Azurite, the storage emulator: installed once from a committed lock file, started on free ports, stopped cleanly.

    from devhost.azurite import Azurite

    with Azurite.start() as azurite:            # in memory; start(location=Path(...)) keeps the data
        print(azurite.connection_string)

`python -m devhost.azurite --location DIR` does the same from a shell, `python -m devhost.azurite install` only
installs.
"""

from __future__ import annotations

from devhost.azurite.errors import AzuriteError
from devhost.azurite.install import ensure_installed
from devhost.azurite.process import Azurite

__all__ = ["Azurite", "AzuriteError", "ensure_installed"]
