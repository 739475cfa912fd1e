"""A real Azurite for tests: started on free ports, in memory, gone with the test process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from devhost import azurite as launcher
from devhost.azurite.process import ACCOUNT
from devhost.azurite.process import ACCOUNT_KEY as KEY


class AzuriteMissing(Exception):
    """Azurite cannot be installed here: there is no Node, or no registry to take it from."""


class Azurite(NamedTuple):
    """A running Azurite. *_endpoint: with the account in the path."""

    blob_endpoint: str
    queue_endpoint: str
    table_endpoint: str
    pid: int
    log: Path
    connection: str


@contextmanager
def running_azurite(
    extra: Sequence[str] = (), *, silent: bool = True, location: Path | None = None
) -> Iterator[Azurite]:
    """Start Azurite and wait until its three ports answer; end it afterwards. extra: more of its options.

    silent: without it, Azurite writes a line for every request to `Azurite.log`. location: a folder that keeps its
    data. Raises AzuriteMissing.
    """
    try:
        launcher.ensure_installed()
    except launcher.AzuriteError as error:
        raise AzuriteMissing(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        log = Path(folder) / "azurite.log"
        with launcher.Azurite.start(location=location, log=None if silent else log, options=extra) as running:
            yield Azurite(*running.endpoints, running.process.pid, log, running.connection_string)


__all__ = ["ACCOUNT", "KEY", "Azurite", "AzuriteMissing", "running_azurite"]
