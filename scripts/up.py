"""Runs the whole service on this machine: Azurite for storage, the Functions host, the app.

scripts/up                      until Ctrl-C, which drains it
scripts/up -- COMMAND ...       while COMMAND runs, with a service that already runs if there is one
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devhost.azurite import Azurite, AzuriteError, ensure_installed
from devhost.azurite.process import USUAL_PORTS
from devhost.errors import AppError, HostError, PortTaken
from devhost.host import Host, HostOptions
from scripts.func_host import FuncHost
from scripts.place import Place

ROOT = Path(__file__).resolve().parent.parent
USUAL_PORT = 7071
_BY_SECOND_SIGNAL = 130
_NOT_RUNNABLE = 127
# What the caller's shell may hold for other services: it must not reach this one.
_FOREIGN = (
    "AzureWebJobsStorage",
    "MILLSTREAM_TOKEN",
    "MILLSTREAM_TOKEN_SHA256",
    "MILLSTREAM_RUN_TOKEN_KEY",
    "MILLSTREAM_SECRET_KEYS",
    "MILLSTREAM_VAULT",
    "MILLSTREAM_ENDPOINT",
)


def main(arguments: list[str]) -> int:
    """Exit code: 0 stopped cleanly, or a service already runs; 1 it could not start, or had to cut something off;
    with a command, the command's."""
    options = _parser().parse_args(arguments)
    place = Place(Path(options.state).absolute())
    asked = _Asked()
    own = dict(os.environ)
    for name in _FOREIGN:
        os.environ.pop(name, None)
    try:
        with place.claim() as ours, _service(place, options, ours, asked) as service:
            if options.command:
                own |= {"MILLSTREAM_ENDPOINT": service.url, "MILLSTREAM_TOKEN": place.token()}
                code = _run(options.command, options.cwd, own)
            elif ours:
                code = _serve(service.url, place, asked)
            else:
                print(f"already running at {service.url} (started from this clone); nothing to do")
                code = 0
        code = code or (0 if service.finished else 1)
    except (AzuriteError, HostError) as error:
        trace = error.trace if isinstance(error, AppError) else ""
        print(f"{trace}{error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = _BY_SECOND_SIGNAL
    sys.stdout.flush()
    sys.stderr.flush()
    # As in devhost's own command line: threads of invocations that were cut off must not keep the process.
    os._exit(code)


@dataclass(slots=True)
class _Service:
    """`finished`: all that ran when it was stopped came to its end."""

    url: str
    finished: bool = True


class _Asked:
    """To stop, by a signal; a second one ends the process at once, and the kernel takes worker and Azurite along."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def listen(self) -> None:
        """From now on; before that a signal ends the start."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def wait(self) -> None:
        self._event.wait()

    def _receive(self, *_: object) -> None:
        if self._event.is_set():
            os._exit(_BY_SECOND_SIGNAL)
        self._event.set()


@contextmanager
def _service(place: Place, options: argparse.Namespace, ours: bool, asked: _Asked) -> Iterator[_Service]:
    """A service that runs for the length of the block."""
    if not ours:
        url = place.find_running()
        if url is None:
            raise HostError(f"another process holds {place.folder} and does not answer; end it, then try again")
        yield _Service(url)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ensure_installed(say=lambda text: print(text, flush=True))
    location, ports = (None, None) if options.in_memory else (place.data, USUAL_PORTS)
    with Azurite.start(location=location, ports=ports) as azurite:
        place.write_settings(azurite.connection_string)
        host = _start_host(place, options)
        service, driver = _Service(host.url), _start_driver(place, host.url)
        try:
            if not options.command:
                asked.listen()  # before anybody can see that the service is there, and stop it
            place.announce(host.url)
            yield service
        finally:
            place.service_file.unlink(missing_ok=True)
            driver.terminate()
            service.finished = host.stop()
            driver.wait()


def _start_host(place: Place, options: argparse.Namespace) -> Host | FuncHost:
    if options.func:
        if os.environ.get("MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS"):
            raise HostError("Core Tools ask for no key: MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS would open it to all")
        func = FuncHost(ROOT, place.settings(), options.port or 0)
        func.start()
        return func
    # A command has the terminal to itself.
    quiet = options.quiet or bool(options.command)
    if options.port is not None:
        return _start_devhost(place, options.port, quiet)
    try:
        return _start_devhost(place, USUAL_PORT, quiet)
    except PortTaken:
        return _start_devhost(place, 0, quiet)


def _start_devhost(place: Place, port: int, quiet: bool) -> Host:
    # As the real host does where storage is Azurite; in the cloud there are events instead.
    os.environ.setdefault("DEVHOST_BLOB_SCAN_SECONDS", "2")
    host = Host(
        HostOptions(
            app_dir=ROOT,
            port=port,
            settings=place.settings_file,
            ready_file=place.folder / "ready.json",
            state_dir=place.folder / "host",
            quiet=quiet,
        )
    )
    host.start()
    return host


def _start_driver(place: Place, url: str) -> subprocess.Popen[bytes]:
    """What starts the executions of computes that are not the Functions app; it ends with this process."""
    environment = {**os.environ, **place.settings(), "WEBSITE_HOSTNAME": url.partition("//")[2]}
    command = [sys.executable, "-m", "worker.driver", "--with-parent", str(os.getpid())]
    # A group of its own: Ctrl-C is ours to pass on, when the host has been drained.
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)


def _serve(url: str, place: Place, asked: _Asked) -> int:
    """Until a signal."""
    print(_banner(url, place), flush=True)
    asked.wait()
    print("\nstopping: what runs is finished first; Ctrl-C again ends it at once", flush=True)
    return 0


def _run(command: list[str], folder: str, environment: dict[str, str]) -> int:
    """Run it in the foreground, where Ctrl-C reaches it too; a SIGTERM for us is passed on."""
    try:
        process = subprocess.Popen(command, cwd=folder, env=environment)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_RUNNABLE
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return code if code >= 0 else 128 - code


def _banner(url: str, place: Place) -> str:
    return f"""
Millstream is running at {url}

  API        {url}/api, described by {url}/api/openapi.json
  token      {place.token_file}, as in: curl -H "Authorization: Bearer $(cat {_short(place.token_file)})" {url}/api/runs
  data       {place.data}
  client     Workspace.from_config() finds it from any folder of this clone
  example    .venv/bin/python examples/diabetes/pipeline.py

Ctrl-C drains it: running steps get half a minute to finish, the data stays."""


def _short(path: Path) -> str:
    return os.path.relpath(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/up", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, help="HTTP port, 0 for a free one (default: 7071 unless it is taken)")
    parser.add_argument("--func", action="store_true", help="use Azure Functions Core Tools instead of the local host")
    parser.add_argument("--quiet", action="store_true", help="print only warnings and failures")
    usual = os.environ.get("MILLSTREAM_STATE") or str(ROOT / ".millstream")
    parser.add_argument("--state", default=usual, help="folder of its token, settings and data (MILLSTREAM_STATE)")
    parser.add_argument("--in-memory", action="store_true", help="keep no data")
    parser.add_argument("--cwd", default=".", help="folder to run COMMAND in (default: where scripts/up is called)")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="run it with the service, then stop")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
