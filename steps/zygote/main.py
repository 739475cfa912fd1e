"""The zygote's program: `python main.py <descriptor of its socket>`. See the package."""

# ruff: noqa: PTH100, PTH120
from __future__ import annotations

import sys

_PRISTINE = {name: value for name, value in globals().items() if name.startswith("__")}
_BARE = frozenset(name.partition(".")[0] for name in sys.modules)

import gc  # noqa: E402
import importlib  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402

sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from steps.zygote import keeper, leave, script, tree  # noqa: E402

sys.path_importer_cache.pop(sys.path.pop(0), None)
for _name in [name for name in sys.modules if name.partition(".")[0] == "steps"]:
    del sys.modules[_name]


def preload() -> frozenset[str]:
    """Import what scripts usually want; the names of all that a bare interpreter does not hold."""
    for name in script.PRELOAD:
        importlib.import_module(name)
    held = {name.partition(".")[0] for name in sys.modules}
    return frozenset(held - _BARE - set(sys.builtin_module_names))


def serve(server: socket.socket) -> script.Request:
    """Answer the worker until it is gone. Returns only in the process of a script that is to run in it."""
    preloaded = preload()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tree.adopt_orphans()
    gc.collect()
    gc.freeze()
    keepers: set[int] = set()
    order = b"N"
    while order:
        reap(keepers)
        if order == b"N":
            request = prepare(server, keepers, preloaded)
            if request is not None:
                return request
        elif order == b"C":
            clear(keepers)
        order = hear(server)
    os._exit(0)


def hear(server: socket.socket) -> bytes:
    """The worker's next order; empty when it is gone."""
    try:
        return server.recv(1)
    except ConnectionResetError:
        return b""


def prepare(server: socket.socket, keepers: set[int], preloaded: frozenset[str]) -> script.Request | None:
    """Fork a pair and give its sockets to the worker. Without processes to be had, the worker sees them closed.

    Returns None in the zygote, never in the keeper, and a request in the process of a script.
    """
    control, far_control = socket.socketpair()
    go, far_go = socket.socketpair()
    try:
        pid = os.fork()
    except OSError:
        pid = -1
    if pid == 0:
        for other in (server, far_control, far_go):
            other.close()
        return keep(control, go, preloaded)
    keepers.add(pid)
    control.close()
    go.close()
    try:
        socket.send_fds(server, [b"P"], [far_control.fileno(), far_go.fileno()])
    except OSError:
        os._exit(0)
    far_control.close()
    far_go.close()
    return None


def keep(control: socket.socket, go: socket.socket, preloaded: frozenset[str]) -> script.Request:
    """Be a keeper, and below it the process of a script."""
    own = keeper.Keeper(control)
    try:
        in_script = own.fork()
    except OSError:
        os._exit(1)
    if in_script:
        return script.enter(go, preloaded)
    go.close()
    own.keep()
    os._exit(0)


def reap(keepers: set[int]) -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        keepers.discard(pid)


def clear(keepers: set[int]) -> None:
    """Kill what dead keepers left to us, that is everything below us that has no living keeper."""
    kept = {pid for living in keepers for pid in [living, *tree.descendants(living)]}
    tree.send(signal.SIGKILL, [pid for pid in tree.descendants(os.getpid()) if pid not in kept])


if __name__ == "__main__":
    # The script runs at the bottom of the stack, so that the interpreter itself deals with its end: exit codes,
    # threads, exit handlers, a last flush.
    _request = serve(socket.socket(fileno=int(sys.argv[1])))
    _held = frozenset(sys.modules)
    _namespace = script.become(_request, _PRISTINE)
    _code = 0
    try:
        exec(script.load(_namespace["__file__"]), _namespace)  # noqa: S102
    except SystemExit as _error:
        if not leave.is_plain(_error.code):
            raise
        _code = int(_error.code or 0)
    except BaseException as _error:  # noqa: BLE001 - all of it is shown and ends the process
        raise script.report(script.without_our_frames(_error)) from None
    _watched = leave.watch(_namespace)
    del _namespace
    leave.quickly(_code, _held, _watched)
    raise SystemExit(_code)
