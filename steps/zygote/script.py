"""The script's own process: from a fork of the zygote to what `python script.py` would be."""

# ruff: noqa: PTH100, PTH113, PTH118, PTH120, PTH123, PTH208
from __future__ import annotations

import builtins
import gc
import importlib
import json
import os
import signal
import site
import socket
import struct
import sys
import time
import types
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from typing import Any

Request = dict[str, Any]

PRELOAD = (
    "argparse", "ast", "base64", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "enum", "fnmatch",
    "functools", "glob", "gzip", "hashlib", "inspect", "itertools", "json", "logging", "math", "operator", "pathlib",
    "pickle", "platform", "random", "re", "shutil", "statistics", "string", "subprocess", "tempfile", "textwrap",
    "threading", "traceback", "typing", "urllib.parse", "uuid", "warnings", "zipfile",
)  # fmt: skip
"""What scripts usually import. None that remembers its first import (multiprocessing the folder); but see `become`."""

_AT_STARTUP = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_")
_AT_STARTUP_NAMES = ("LANG", "LANGUAGE", "TZ")
_CANNOT_RUN = 126


class Prepared:
    """What the zygote knows, and a script's process needs. Made before any fork.

    bare: names of the modules of a fresh interpreter. pristine: the names a main module has before its first statement.
    """

    def __init__(self, bare: frozenset[str], pristine: Mapping[str, Any]) -> None:
        for name in PRELOAD:
            importlib.import_module(name)
        self.pristine = pristine
        self.modules = frozenset(sys.modules)
        held = {name.partition(".")[0] for name in sys.modules}
        self.hidden = frozenset(held - bare - set(sys.builtin_module_names))
        self.startup = _startup(os.environ)

    def wants_fresh_interpreter(self, request: Request) -> bool:
        """Whether running in this process could be told from a fresh interpreter by more than its speed."""
        script = request["script"]
        if request["fresh"] or script is None or _startup(request["environment"]) != self.startup:
            return True
        path = os.path.join(request["folder"], script)
        if script.endswith(".pyc") or not os.path.isfile(path):
            return True
        # A module of the script's that has the name of one we hold already would not be found.
        beside = {name.partition(".")[0] for name in os.listdir(os.path.dirname(os.path.realpath(path)))}
        return not self.hidden.isdisjoint(beside)


def _startup(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that an interpreter reads when it starts."""
    return {k: v for k, v in environment.items() if k.startswith(_AT_STARTUP) or k in _AT_STARTUP_NAMES}


def enter(go: socket.socket, prepared: Prepared) -> Request:
    """Wait for the request and become its process: own session, output to the log, working folder.

    Returns a request that is to be run here; another one replaces this process, or ends it.
    """
    os.setsid()
    rehearse(prepared)
    header, descriptors, _, _ = socket.recv_fds(go, 4, 1)
    if not header:
        os._exit(0)
    request: Request = json.loads(_read(go, struct.unpack("!I", header + _read(go, 4 - len(header)))[0]))
    go.close()
    os.dup2(descriptors[0], 1)
    os.dup2(descriptors[0], 2)
    os.close(descriptors[0])
    try:
        os.chdir(request["folder"])
    except OSError as error:
        give_up(f"cannot enter the working folder: {error}")
    if prepared.wants_fresh_interpreter(request):
        replace_process(request)
    return request


def rehearse(prepared: Prepared) -> None:
    """Do what will be done, to no effect: a forked process copies each page at its first use, better now than later."""
    request = {
        "command": [],
        "arguments": [],
        "script": "x",
        "folder": ".",
        "environment": dict(os.environ),
        "fresh": False,
    }
    prepared.wants_fresh_interpreter(json.loads(json.dumps(request)))
    saved = sys.argv, sys.orig_argv, sys.path[:], sys.modules["__main__"]
    namespace = become(request, prepared.pristine)
    exec(compile("pass", "x", "exec"), namespace)  # noqa: S102
    [name for name in sys.modules if name not in prepared.modules]
    sys.argv, sys.orig_argv, sys.path[:], sys.modules["__main__"] = saved
    namespace.clear()
    gc.collect()


def _read(go: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = go.recv(size - len(parts))
        if not part:
            os._exit(0)
        parts += part
    return bytes(parts)


def give_up(reason: str) -> None:
    os.write(2, f"millstream: {reason}\n".encode(errors="backslashreplace"))
    os._exit(_CANNOT_RUN)


def replace_process(request: Request) -> None:
    """Become the command. Does not return."""
    # Python ignores these for itself; a command expects them as the system gives them.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    command = request["command"]
    try:
        os.execvpe(command[0], command, request["environment"])  # noqa: S606
    except OSError as error:
        give_up(f"cannot execute {command[0]}: {error}")


def become(request: Request, pristine: Mapping[str, Any]) -> dict[str, Any]:
    """Make this process what a fresh interpreter is before the first line of the script; returns its namespace."""
    os.environ.clear()
    os.environ.update(request["environment"])
    script = request["script"]
    path = os.path.abspath(script)
    sys.argv = [script, *request["arguments"]]
    sys.orig_argv = list(request["command"])
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    site.USER_BASE = site.USER_SITE = None
    site.getusersitepackages()
    # What logging remembers of its first import.
    logging: Any = sys.modules["logging"]
    logging._startTime = time.time_ns() if isinstance(logging._startTime, int) else time.time()
    main = types.ModuleType("__main__")
    namespace = vars(main)
    namespace.clear()
    namespace.update(pristine)
    fresh = {"__doc__": None, "__file__": path, "__loader__": SourceFileLoader("__main__", path)}
    namespace.update(fresh, __builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = main
    return namespace


def load(request: Request) -> types.CodeType:
    """The script, compiled. What cannot be is given to a fresh interpreter, which has the right words for it."""
    try:
        path = os.path.abspath(request["script"])
        with open(path, "rb") as source:
            return compile(source.read(), path, "exec", dont_inherit=True)
    except Exception:
        replace_process(request)
        raise


def without_our_frame(error: BaseException) -> BaseException:
    """As if the script had not been run by `main`."""
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)


def report(error: BaseException) -> BaseException:
    """Show an uncaught exception as the interpreter would; returns what is to be raised in its place."""
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as leave:
        return leave
    except BaseException as second:  # noqa: BLE001 - whatever the script's own hook raises
        sys.stderr.write("Error in sys.excepthook:\n")
        sys.__excepthook__(type(second), without_our_frame(second), second.__traceback__)
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, error.__traceback__)
    if isinstance(error, KeyboardInterrupt):
        # Uncaught once more, so that the interpreter ends itself by SIGINT; shown only once.
        sys.excepthook = lambda *_: None
        return error
    return SystemExit(1)
