"""`python -m devhost.azurite`: run Azurite until Ctrl-C or SIGTERM, or only install it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from devhost.azurite.errors import AzuriteError
from devhost.azurite.install import ensure_installed, write_lock
from devhost.azurite.process import USUAL_PORTS, Azurite


def main(arguments: list[str]) -> int:
    """Exit code 0 after a clean stop, 1 when Azurite could not be installed or started, or ended by itself."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "lock":
            write_lock()
        elif options.command == "install":
            print(ensure_installed(say=print))
        else:
            return _run(options.location, options.ready_file)
    except AzuriteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(location: Path | None, ready_file: Path | None) -> int:
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        azurite.process.terminate()

    with Azurite.start(location=location, ports=USUAL_PORTS) as azurite:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        if ready_file is not None:
            _write_ready(ready_file, azurite)
        print(azurite.connection_string, flush=True)
        azurite.process.wait()
    return 0 if stopping else 1


def _write_ready(path: Path, azurite: Azurite) -> None:
    ready = {**azurite.ports._asdict(), "connection_string": azurite.connection_string, "pid": azurite.process.pid}
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(ready))
    partial.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m devhost.azurite", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["run", "install", "lock"], default="run")
    parser.add_argument("--location", type=Path, help="folder that keeps the data (default: in memory)")
    parser.add_argument("--ready-file", type=Path, help="written once it answers: ports, connection_string, pid")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
