"""The command line: ``python -m devhost [APP_DIR]``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from devhost.errors import AppError, HostError, PortTaken
from devhost.host import Host, HostOptions

EXIT_OK = 0
EXIT_CUT_OFF = 1
EXIT_CONFIG = 2
EXIT_APP = 3
EXIT_PORT = 4
_EXIT_BY_SECOND_SIGNAL = 130


def main(argv: Sequence[str]) -> int:
    """Run a host until SIGTERM or Ctrl-C.

    Exit codes: 0 stopped and everything finished; 1 stopped, but something was cut off; 2 a file, setting or binding
    is wrong; 3 the app cannot be loaded; 4 the port is taken; 130 a second Ctrl-C.
    """
    options = _options(_parser().parse_args(argv))
    try:
        host = Host(options)
        signals = _Signals()
        host.start()
    except AppError as error:
        return _fail(EXIT_APP, f"{error}", error.trace)
    except PortTaken as error:
        return _fail(EXIT_PORT, str(error))
    except HostError as error:
        return _fail(EXIT_CONFIG, str(error))
    signals.wait()
    finished = host.stop()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that wait for invocations which were cut off must neither keep the process nor release their messages.
    os._exit(EXIT_OK if finished else EXIT_CUT_OFF)


class _Signals:
    """The first SIGTERM or SIGINT asks for a stop, the second one ends the process on the spot."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def wait(self) -> None:
        """Block until a stop is asked for."""
        self._asked.wait()

    def _receive(self, _number: int, _frame: object) -> None:
        if self._asked.is_set():
            # The kernel takes the worker with us: it is bound to this process.
            os._exit(_EXIT_BY_SECOND_SIGNAL)
        self._asked.set()


def _fail(code: int, message: str, trace: str = "") -> int:
    print(f"{trace.rstrip()}\n{message}" if trace else message, file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="devhost", description="A local Azure Functions host for Python v2 apps.")
    parser.add_argument("app_dir", nargs="?", default=".", metavar="APP_DIR", help="folder of function_app.py")
    parser.add_argument("--port", type=int, default=7071, help="HTTP port, 0 for a free one (default 7071)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--settings", help="settings file (default APP_DIR/local.settings.json)")
    parser.add_argument("--ready-file", help="written as JSON, atomically, once requests are taken")
    parser.add_argument("--state-dir", help="where the access keys are kept (default: a private folder per app)")
    parser.add_argument("--workers-threads", type=int, help="threads for synchronous functions")
    parser.add_argument("--quiet", action="store_true", help="print only warnings and failures")
    return parser


def _options(args: argparse.Namespace) -> HostOptions:
    def path(text: str | None) -> Path | None:
        return Path(text) if text else None

    return HostOptions(
        app_dir=Path(args.app_dir),
        host=args.host,
        port=args.port,
        settings=path(args.settings),
        ready_file=path(args.ready_file),
        state_dir=path(args.state_dir),
        threads=args.workers_threads,
        quiet=args.quiet,
    )
