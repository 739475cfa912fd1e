"""A real MariaDB for tests, if one is installed: on a free port, over TLS as well, gone with its folder."""

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
from typing import NamedTuple
from urllib.parse import quote

import trustme

PASSWORD = "p@ss:w/rd?'"
_START_SECONDS = 60.0


class MariaDbMissing(Exception):
    """There is no MariaDB here, or nobody that it would run as."""


class MariaDb(NamedTuple):
    """A database "shop" on 127.0.0.1, of the user "me". authority: PEM file of who signed its certificate."""

    port: int
    authority: Path

    @property
    def url(self) -> str:
        """For SQLAlchemy, with the password, without TLS."""
        return f"mysql+pymysql://me:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/shop"


@contextmanager
def running_mariadb() -> Iterator[MariaDb]:
    """Raises MariaDbMissing."""
    install, server = _program("mariadb-install-db"), _program("mariadbd")
    # As root it would run, too, but asks for a user to be named.
    other = ["runuser", "-u", "mysql", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="maria-") as place:
        _certify(Path(place))
        (Path(place) / "init.sql").write_text(
            "CREATE DATABASE shop CHARACTER SET utf8mb4;\n"
            f"CREATE USER me@'%' IDENTIFIED BY '{PASSWORD.replace(chr(39), chr(39) * 2)}';\n"
            "GRANT ALL ON shop.* TO me@'%';\n"
        )
        if other:
            try:
                for path in (Path(place), *Path(place).iterdir()):
                    shutil.chown(path, "mysql", "mysql")
            except LookupError:
                raise MariaDbMissing("there is no user mysql to run it as") from None
        data = ["--no-defaults", f"--datadir={place}/data"]
        made = [*other, install, *data, "--skip-test-db", "--auth-root-authentication-method=normal"]
        subprocess.run(made, check=True, capture_output=True, cwd=place)
        port = _free_port()
        run = [*other, server, *data, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={place}/socket"]
        run += [f"--pid-file={place}/pid", f"--init-file={place}/init.sql", "--skip-name-resolve"]
        run += ["--innodb-flush-method=nosync", "--innodb-buffer-pool-size=16M", "--skip-log-bin"]
        run += [f"--ssl-ca={place}/ca.pem", f"--ssl-cert={place}/cert.pem", f"--ssl-key={place}/key.pem"]
        with (Path(place) / "log").open("wb") as log:
            process = subprocess.Popen(run, stdout=log, stderr=log, cwd=place)
        try:
            _await(process, port, Path(place) / "log")
            yield MariaDb(port, Path(place) / "ca.pem")
        finally:
            process.terminate()
            process.wait(30)


def _certify(folder: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MariaDbMissing("MariaDB is not installed: apt-get install mariadb-server")
    return found


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if f"port: {port}" in log.read_text(errors="replace"):
            return
        time.sleep(0.02)
    raise AssertionError(f"MariaDB did not start on port {port}: {log.read_text(errors='replace')}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
