"""A real PostgreSQL for tests, if one is installed: on a free port, gone with its folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PASSWORD = "p@ss:w/rd?"
_START_SECONDS = 60.0


class PostgresMissing(Exception):
    """There is no PostgreSQL here, or nobody that it would run as."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """Its URL for SQLAlchemy, with the password. Raises PostgresMissing."""
    folder = _programs()
    # PostgreSQL refuses to run as root.
    other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pg-") as place:
        data, password = Path(place, "data"), Path(place, "password")
        password.write_text(PASSWORD)
        if other:
            try:
                for path in (place, password):
                    shutil.chown(path, "postgres", "postgres")
            except LookupError:
                raise PostgresMissing("there is no user postgres to run it as") from None
        user = ["-U", "me", "--pwfile", str(password), "--auth=scram-sha-256", "-E", "UTF8", "--no-sync"]
        init = [*other, str(folder / "initdb"), "-D", str(data), *user]
        subprocess.run(init, check=True, capture_output=True, cwd=place)
        port = _free_port()
        server = [*other, str(folder / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        with (Path(place) / "log").open("wb") as log:
            process = subprocess.Popen(server, stdout=log, stderr=log, cwd=place)
        try:
            _await(process, port, Path(place) / "log")
            yield f"postgresql+psycopg://me:{_quoted(PASSWORD)}@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(30)


def _programs() -> Path:
    """The folder of initdb and postgres."""
    known = [Path(found).resolve().parent for found in [shutil.which("initdb"), shutil.which("postgres")] if found]
    known += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in known:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing("PostgreSQL is not installed: apt-get install postgresql")


def _await(process: subprocess.Popen[Any], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if "ready to accept connections" in log.read_text(errors="replace"):
            return
        time.sleep(0.02)
    raise AssertionError(f"PostgreSQL did not start on port {port}: {log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
