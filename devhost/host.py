"""The composition root: builds every part of the host, starts it, and takes it down in order."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devhost.admin import Admin, HostControls
from devhost.bindings import Bindings
from devhost.console import Console
from devhost.dispatcher import Dispatcher
from devhost.front import Front
from devhost.hostjson import HostJson, load_host_json
from devhost.http_functions import HttpFunctions
from devhost.http_server import HttpServer, listen
from devhost.identity import host_id, state_dir
from devhost.index import FunctionSpec, read_index
from devhost.keys import Keys, load_keys, write_private
from devhost.listeners import Listeners
from devhost.runner import Runner
from devhost.settings import Settings, load_settings
from devhost.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """What the command line decides. ``port`` 0 takes a free one; ``threads`` None leaves it to the app."""

    app_dir: Path
    host: str = "127.0.0.1"
    port: int = 7071
    settings: Path | None = None
    ready_file: Path | None = None
    state_dir: Path | None = None
    threads: int | None = None
    quiet: bool = False


class Host:
    """One running host. ``start`` then ``drain`` then ``stop``."""

    def __init__(self, options: HostOptions) -> None:
        """Read the app's files; nothing is started.

        Raises:
            ConfigError: a file is missing or wrong.
        """
        self.options = options
        self.console = Console(quiet=options.quiet)
        self._app_dir = options.app_dir.resolve()
        self._settings: Settings = load_settings(
            options.settings or self._app_dir / "local.settings.json", dict(os.environ)
        )
        self._host_json: HostJson = load_host_json(self._app_dir / "host.json")
        self._id = host_id(self._app_dir, self._settings)
        self._stopping = threading.Event()
        self._state = "Initializing"

    def start(self) -> None:
        """Load the app, listen, start the listeners.

        Raises:
            HostError: the app does not load, a binding is wrong, the port is taken.
        """
        if self.options.ready_file is not None:
            self.options.ready_file.unlink(missing_ok=True)
        sock = listen(self.options.host, self.options.port)
        port = sock.getsockname()[1]
        self.url = f"http://{_in_url(self.options.host)}:{port}"
        self._dispatcher = Dispatcher(
            app_dir=self._app_dir,
            environment=self._worker_environment(port),
            timeout=self._host_json.function_timeout,
            console=self.console,
        )
        try:
            self._start_parts(sock)
        except BaseException:
            sock.close()
            self._dispatcher.stop()
            raise
        self._state = "Running"
        self._write_ready_file()
        self._dispatcher.when_restarted(lambda _pid: self._write_ready_file())
        self.console.say(f"ready on {self.url}")

    def drain(self) -> None:
        """Take nothing new: listeners stop, HTTP is refused; what runs goes on."""
        if self._state == "Running":
            self._state = "Draining"
            self.console.say("draining: nothing new is taken, what runs is finished")
            self._stopping.set()
            self._front.closed = True
            self._listeners.stop()

    def stop(self) -> bool:
        """Drain, wait for what runs up to the drain limit, end. Returns whether everything had finished."""
        self.drain()
        seconds = self._settings.knobs.drain_seconds
        deadline = time.monotonic() + seconds
        self._server.stop(seconds)
        finished = self._listeners.finish(deadline)
        self._dispatcher.stop()
        self._storage.close()
        self._state = "Stopped"
        if not finished:
            self.console.warn(f"some invocations had not finished within {seconds:g} s and were cut off")
        self.console.say("stopped")
        return finished

    def _start_parts(self, sock: socket.socket) -> None:
        knobs = self._settings.knobs
        indexed = self._dispatcher.start(knobs.worker_start_seconds)
        specs = read_index(indexed, self._settings)
        directory = self.options.state_dir or state_dir(self._app_dir, os.environ)
        self._keys: Keys = load_keys(directory / "keys.json", [spec.name for spec in specs])
        self._storage = Storage(self._settings)
        as_base64 = self._host_json.queues.base64
        bindings = Bindings(self._storage, as_base64=as_base64, wake=self._wake)
        self._runner = Runner(self._dispatcher, bindings, self.console, self._stopping)
        self._listeners = Listeners(
            specs=specs,
            settings=self._settings,
            host_json=self._host_json,
            storage=self._storage,
            runner=self._runner,
            console=self.console,
            host_id=self._id,
        )
        self._start_http(sock, specs)
        self.console.say(f"functions in {self._app_dir}:")
        self.console.functions(specs, self._host_json.http.route_prefix)
        self._listeners.start()

    def _start_http(self, sock: socket.socket, specs: Sequence[FunctionSpec]) -> None:
        functions = HttpFunctions(specs, self._host_json.http, self._keys, self._runner)
        controls = HostControls(
            state=lambda: self._state, drain=self.drain, outstanding=self._dispatcher.running, run=self._run_by_hand
        )
        admin = Admin(self._id, {spec.name: spec for spec in specs}, self._keys, controls)
        self._front = Front(functions, admin.answer, self._listeners.webhooks(self._keys))
        self._server = HttpServer(sock, self._front.answer, int(self._settings.knobs.max_body_bytes))
        self._server.start()

    def _wake(self, account: str, queue: str) -> None:
        self._listeners.wake(account, queue)

    def _run_by_hand(self, spec: FunctionSpec, text: str) -> None:
        threading.Thread(target=self._listeners.run_by_hand, args=(spec, text), daemon=True).start()

    def _worker_environment(self, port: int) -> dict[str, str]:
        environment = dict(self._settings.values)
        environment["WEBSITE_HOSTNAME"] = f"{_in_url(self.options.host)}:{port}"
        environment["AzureWebJobsScriptRoot"] = str(self._app_dir)
        if self.options.threads is not None:
            environment["PYTHON_THREADPOOL_THREAD_COUNT"] = str(self.options.threads)
        return environment

    def _write_ready_file(self) -> None:
        if self.options.ready_file is None:
            return
        document = {
            "url": self.url,
            "pid": os.getpid(),
            "worker_pid": self._dispatcher.worker_pid,
            "host_id": self._id,
            "master_key": self._keys.master,
            "host_key": self._keys.host,
            "blobs_extension_key": self._keys.system,
        }
        write_private(self.options.ready_file, json.dumps(document))


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
