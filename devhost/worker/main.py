"""The worker process's main program.

Started by ``devhost.supervisor`` with one inherited socket. The main thread runs the event loop of ``async`` functions;
a reader thread takes frames; a pool of threads runs the synchronous functions. The process ends the moment the host's
end of the socket closes: like on Azure, user code gets no notice.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import msgspec

from devhost import wire
from devhost.channel import Channel
from devhost.worker import invoke, loader, logs

_PR_SET_PDEATHSIG = 1
_THREADS_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"
_THREADS_LIMIT = 1000


class Worker:
    """Answers the host's invocations."""

    def __init__(self, channel: Channel, functions: dict[str, loader.LoadedFunction]) -> None:
        self._channel = channel
        self._functions = functions
        self._pool = ThreadPoolExecutor(max_workers=thread_count(os.environ), thread_name_prefix="function")
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self) -> None:
        """Serve for ever on the calling thread."""
        asyncio.set_event_loop(self._loop)
        threading.Thread(target=self._read, name="frames", daemon=True).start()
        try:
            self._loop.run_forever()
        finally:  # an async function called sys.exit(): the process ends, as the real worker does
            os._exit(1)

    def _read(self) -> None:
        decoder = msgspec.msgpack.Decoder(wire.Invoke)
        while (frame := self._channel.receive()) is not None:
            call = decoder.decode(frame)
            function = self._functions[call.function]
            if function.is_async:
                self._loop.call_soon_threadsafe(self._start, function, call)
            else:
                self._pool.submit(self._run, function, call)
        os._exit(0)

    def _run(self, function: loader.LoadedFunction, call: wire.Invoke) -> None:
        try:
            self._answer(invoke.run(function, call))
        except BaseException:  # noqa: BLE001 - sys.exit() in a function ends the worker, and no fault may hang a call
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def _start(self, function: loader.LoadedFunction, call: wire.Invoke) -> None:
        task = self._loop.create_task(self._run_async(function, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_async(self, function: loader.LoadedFunction, call: wire.Invoke) -> None:
        self._answer(await invoke.run_async(function, call))

    def _answer(self, done: wire.Done) -> None:
        try:
            frame = msgspec.msgpack.encode(done)
        except UnicodeEncodeError as error:  # a lone surrogate in a returned text
            frame = msgspec.msgpack.encode(invoke.failed(done.id, error))
        self._channel.send(frame)


def thread_count(environment: os._Environ[str] | dict[str, str]) -> int | None:
    """Threads for synchronous functions: the setting when it is a number in 1..1000, else Python's own default."""
    text = environment.get(_THREADS_SETTING, "")
    if not text.isdigit() or not 1 <= int(text) <= _THREADS_LIMIT:
        return None
    return int(text)


def die_with_host(host_pid: int) -> None:
    """Have the kernel kill this process when the host goes, even while user code holds the interpreter lock."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != host_pid:
            os._exit(1)


def main(fd: int, app_dir: str, host_pid: int) -> None:
    """Load the app, report it, serve."""
    die_with_host(host_pid)
    channel = Channel(socket.socket(fileno=fd))

    def send_log(record: wire.Log) -> None:
        text = record.text.encode(errors="replace").decode()
        channel.send(msgspec.msgpack.encode(msgspec.structs.replace(record, text=text)))

    logs.install(send_log)
    loader.add_to_path(app_dir)
    try:
        functions, indexed = loader.load_app(app_dir)
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises is shown to the user
        message = f"{type(error).__name__}: {error}"
        channel.send(msgspec.msgpack.encode(wire.Broken(message=message, trace=traceback.format_exc())))
        sys.exit(1)
    channel.send(msgspec.msgpack.encode(wire.Ready(functions=indexed)))
    Worker(channel, functions).serve()
