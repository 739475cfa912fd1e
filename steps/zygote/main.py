"""The zygote's program: `python main.py <descriptor of its socket>`. See the package."""

# ruff: noqa: PTH100, PTH120
from __future__ import annotations

import sys

_PRISTINE = {name: value for name, value in globals().items() if name.startswith("__")}
_BARE = frozenset(name.partition(".")[0] for name in sys.modules)

if sys.version_info < (3, 10):  # noqa: UP036 - a step may have an interpreter of its own
    sys.exit(f"Steps need Python 3.10 or later, and {sys.executable} is {sys.version.split()[0]}.")

import contextlib  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402

sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from steps.zygote import keeper, leave, script, tree  # noqa: E402

sys.path_importer_cache.pop(sys.path.pop(0), None)
for _name in [name for name in sys.modules if name.partition(".")[0] == "steps"]:
    del sys.modules[_name]


class Zygote:
    """Serves the worker at the other end of `server`."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.prepared = script.Prepared(_BARE, _PRISTINE)
        self._keepers: set[int] = set()
        self._wake, self._wake_end = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wake_end, False)
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        tree.adopt_orphans()
        gc.collect()
        gc.freeze()

    def serve(self) -> script.Request:
        """Until the worker is gone. Returns only in the process of a script that is to run in it."""
        poller = select.poll()
        poller.register(self._server, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        order = b"N"
        while order:
            if order == b"N":
                request = self._prepare()
                if request is not None:
                    return request
            order = b"?"
            for descriptor, _ in poller.poll():
                if descriptor == self._wake:
                    self._reap()
                else:
                    order = self._hear()
        os._exit(0)

    def _hear(self) -> bytes:
        """The worker's next order; empty when it is gone."""
        try:
            return self._server.recv(1)
        except ConnectionResetError:
            return b""

    def _prepare(self) -> script.Request | None:
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
            for other in (self._server, far_control, far_go):
                other.close()
            os.close(self._wake)
            os.close(self._wake_end)
            return keep(control, go, self.prepared)
        self._keepers.add(pid)
        control.close()
        go.close()
        try:
            socket.send_fds(self._server, [b"P"], [far_control.fileno(), far_go.fileno()])
        except OSError:
            os._exit(0)
        far_control.close()
        far_go.close()
        return None

    def _reap(self) -> None:
        """Collect the dead. A keeper that did not end by itself has left its tree to us, and that is killed."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, 4096):
                pass
        is_orphaned = False
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                is_orphaned = is_orphaned or status != 0 or pid not in self._keepers
                self._keepers.discard(pid)
        if is_orphaned:
            tree.send(signal.SIGKILL, tree.descendants(os.getpid(), sparing=self._keepers))


def keep(control: socket.socket, go: socket.socket, prepared: script.Prepared) -> script.Request:
    """Be a keeper, and below it the process of a script."""
    own = keeper.Keeper(control)
    try:
        in_script = own.fork()
    except OSError:
        os._exit(1)
    if in_script:
        return script.enter(go, prepared)
    go.close()
    own.keep()
    os._exit(0)


if __name__ == "__main__":
    # The script runs at the bottom of the stack, so that the interpreter itself deals with its end: exit codes,
    # threads, exit handlers, a last flush.
    _zygote = Zygote(socket.socket(fileno=int(sys.argv[1])))
    _request = _zygote.serve()
    _code = script.load(_request)
    _namespace = script.become(_request, _PRISTINE)
    _status, _error = 0, None
    try:
        exec(_code, _namespace)  # noqa: S102
    except SystemExit as _leave:
        if not leave.is_plain(_leave.code):
            raise
        _status = int(_leave.code or 0)
    except BaseException as _caught:  # noqa: BLE001 - all of it is shown and ends the process
        _error = script.without_our_frame(_caught)
    if _error is not None:
        raise script.report(_error)
    _watched = leave.watch(_namespace)
    del _namespace
    leave.quickly(_status, _zygote.prepared.modules, _watched)
    raise SystemExit(_status)
