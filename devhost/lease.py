"""A lock that only one host in all holds: a blob lease, renewed at half of its time."""

from __future__ import annotations

import os
import platform
import threading
import time
from abc import ABC, abstractmethod

from azurerest.blobs import Blobs
from azurerest.errors import Conflict, NotFound, PreconditionFailed, StorageError
from devhost.console import Console

CONTAINER = "azure-webjobs-hosts"


class SingletonLease:
    """The lease of ``locks/<host>/<name>``. ``break_dead`` takes over from a process of this machine that is gone."""

    def __init__(
        self,
        blobs: Blobs,
        host_id: str,
        name: str,
        *,
        seconds: float,
        retry_seconds: float,
        break_dead: bool,
        console: Console,
    ) -> None:
        self._blobs = blobs
        self._name = f"locks/{host_id}/{name}"
        self._seconds = round(seconds)
        self._retry = retry_seconds
        self._break_dead = break_dead
        self._console = console
        self._id = ""
        self._released = threading.Event()

    def acquire(self, stopping: threading.Event) -> bool:
        """Wait for the lease; False when ``stopping`` came first."""
        while not stopping.is_set():
            try:
                if self._take():
                    self._hold()
                    return True
                wait = self._retry
            except StorageError as error:
                self._console.warn(f"lock {self._name}: {error}")
                wait = min(5.0, self._retry)
            stopping.wait(wait)
        return False

    def release(self) -> None:
        """Give it up."""
        self._released.set()
        try:
            self._blobs.lease_release(CONTAINER, self._name, self._id)
        except StorageError:  # lost already, or it ends by itself
            return

    def _take(self) -> bool:
        self._ensure_blob()
        try:
            self._id = self._blobs.lease_acquire(CONTAINER, self._name, self._seconds)
        except (Conflict, PreconditionFailed):
            if self._break_dead and self._owner_is_dead():
                self._blobs.lease_break(CONTAINER, self._name)
                self._id = self._blobs.lease_acquire(CONTAINER, self._name, self._seconds)
            else:
                return False
        owner = {"machine": platform.node(), "pid": str(os.getpid())}
        self._blobs.set_metadata(CONTAINER, self._name, owner, lease_id=self._id)
        return True

    def _ensure_blob(self) -> None:
        try:
            self._blobs.put(CONTAINER, self._name, b"", if_none_match="*")
        except NotFound:
            self._blobs.create_container(CONTAINER)
            self._blobs.put(CONTAINER, self._name, b"", if_none_match="*")
        except (Conflict, PreconditionFailed):  # it exists; 412 when it is leased as well
            return

    def _owner_is_dead(self) -> bool:
        owner = self._blobs.head(CONTAINER, self._name).metadata
        if owner.get("machine") != platform.node() or not owner.get("pid", "").isdigit():
            return False
        try:
            os.kill(int(owner["pid"]), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def _hold(self) -> None:
        self._released.clear()
        threading.Thread(target=self._renew, name="lease", daemon=True).start()

    def _renew(self) -> None:
        while not self._released.wait(self._seconds / 2):
            try:
                self._blobs.lease_renew(CONTAINER, self._name, self._id)
            except (Conflict, PreconditionFailed, NotFound):
                # As in the real host the listener runs on: another host may now run the same occurrence.
                self._console.warn(f"lock {self._name} is lost to another host")
                return
            except StorageError as error:
                self._console.warn(f"lock {self._name}: {error}")


class AloneThread(ABC):
    """Work in a thread of its own, which one host in all does: the one that holds the lease."""

    def __init__(self, name: str, lease: SingletonLease) -> None:
        self._lease = lease
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start waiting for the lock, then work."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way runs on."""
        self._stopping.set()

    def drain(self, deadline: float) -> bool:
        """Wait for what is under way, at most until ``deadline`` (monotonic); whether it has ended."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        if not self._lease.acquire(self._stopping):
            return
        try:
            self._work()
        finally:
            self._lease.release()

    @abstractmethod
    def _work(self) -> None:
        """Until ``_stopping`` is set."""
