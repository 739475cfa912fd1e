"""One running Azurite: started on ports that are free, awaited until its three services listen, stopped by SIGTERM."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from devhost.azurite.errors import AzuriteError
from devhost.azurite.install import PACKAGE, ensure_installed
from devhost.azurite.node import find_node

# Azurite's published development account; it opens nothing but an emulator on this machine.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (https?)://\S+:(\d+)")
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class Ports(NamedTuple):
    """The TCP ports of the blob, queue and table services."""

    blob: int
    queue: int
    table: int


USUAL_PORTS = Ports(blob=10000, queue=10001, table=10002)
# With port 0 the system chooses, and Azurite prints what it got.
ANY_PORTS = Ports(blob=0, queue=0, table=0)


@dataclass(slots=True, kw_only=True)
class Azurite:
    """A running Azurite and its address. Use as a context manager, or call stop().

    It ends with the process that started it, however that one ends.
    """

    ports: Ports
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    scheme: str = "http"

    @classmethod
    def start(
        cls,
        *,
        location: Path | None = None,
        ports: Ports | None = None,
        log: Path | None = None,
        options: Sequence[str] = (),
    ) -> Self:
        """Install Azurite if need be and start it.

        Args:
            location: folder that keeps the data; None keeps it in memory.
            ports: the ports to use if all three are free; otherwise, and with None, any free ones.
            log: file for what it prints, then a line for every request; None keeps it silent.
            options: more of its own options.

        Raises:
            AzuriteError: it could not be installed, or did not answer within a minute.
        """
        script, node = ensure_installed(), find_node().executable
        keep = ["--inMemoryPersistence"] if location is None else ["--location", str(location)]
        silent = ["--silent"] if log is None else []
        command = [str(node), str(PACKAGE / "launcher.cjs"), str(script), *keep, *silent, *options]
        if ports is not None and all(_is_free(port) for port in ports):
            azurite = cls._spawn(command, ports, log)
            if azurite._wait_until_ready():
                return azurite
            azurite._abandon()
        azurite = cls._spawn(command, ANY_PORTS, log)
        if azurite._wait_until_ready():
            return azurite
        raise AzuriteError(f"Azurite did not start: {azurite._abandon().strip() or 'it printed nothing'}")

    @property
    def endpoints(self) -> tuple[str, str, str]:
        """The URLs of blob, queue and table, with the account in the path."""
        blob, queue, table = (f"{self.scheme}://127.0.0.1:{port}/{ACCOUNT}" for port in self.ports)
        return blob, queue, table

    @property
    def connection_string(self) -> str:
        """What an application puts in AzureWebJobsStorage."""
        blob, queue, table = self.endpoints
        return (
            f"DefaultEndpointsProtocol={self.scheme};AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={blob};QueueEndpoint={queue};TableEndpoint={table};"
        )

    def stop(self) -> None:
        """End it, and wait until it has saved what it keeps."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_SECONDS)
        self._abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @classmethod
    def _spawn(cls, command: list[str], ports: Ports, log: Path | None) -> Self:
        options = ["--skipApiVersionCheck", "--disableTelemetry"]
        for name, port in zip(Ports._fields, ports, strict=True):
            options += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port)]
        output = tempfile.TemporaryFile() if log is None else log.open("w+b")  # noqa: SIM115 - closed by _abandon
        process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C in a terminal reaches the whole foreground group, and Azurite must outlive the host's drain.
            start_new_session=True,
        )
        return cls(ports=ports, process=process, output=output)

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            listening = _LISTENING.findall(self._said())
            if len(listening) == len(Ports._fields):
                self.ports = Ports(**{name.lower(): int(port) for name, _, port in listening})
                self.scheme = listening[0][1]
                return True
            time.sleep(0.01)
        return False

    def _said(self) -> str:
        # pread: the child writes at the offset that this descriptor shares with it.
        return os.pread(self.output.fileno(), 1 << 20, 0).decode(errors="replace")

    def _abandon(self) -> str:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        said = self._said()
        self.output.close()
        return said


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
