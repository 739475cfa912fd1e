"""Who this host is: its id in storage and its private directory on disk."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from devhost.errors import ConfigError
from devhost.settings import Settings

_ID_LENGTH = 32
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def host_id(app_dir: Path, settings: Settings) -> str:
    """The id under which leases, receipts and timers are kept: stable for one app directory on one machine.

    Raises:
        ConfigError: the AzureFunctionsWebHost__hostid setting is no such id.
    """
    given = settings.get("AzureFunctionsWebHost__hostid")
    if given:
        if len(given) > _ID_LENGTH or not _ID.fullmatch(given):
            raise ConfigError(
                f"AzureFunctionsWebHost__hostid must be 1 to {_ID_LENGTH} of a-z, 0-9 and single dashes, got {given!r}"
            )
        return given
    # Hex, so that every name made of it is valid for a queue or a blob.
    return hashlib.sha256(f"{platform.node()}\n{app_dir}".encode()).hexdigest()[:_ID_LENGTH]


def state_dir(app_dir: Path, environment: Mapping[str, str]) -> Path:
    """Where keys are kept: outside the app, so that they are neither committed nor deployed."""
    base = environment.get("XDG_STATE_HOME") or os.path.join(Path.home(), ".local", "state")  # noqa: PTH118
    return Path(base) / "devhost" / hashlib.sha256(str(app_dir).encode()).hexdigest()[:16]
