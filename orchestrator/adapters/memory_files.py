"""Files in memory: the interpreters of `orchestrator.files` over a MemoryAccount.

    MemoryFiles(account).install(world)

A signed URL is `memory://<container>/<name>`: there is nothing that would serve it. Its user calls `put`.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left

from orchestrator.adapters.driver import World
from orchestrator.adapters.memory import MemoryAccount
from orchestrator.core.errors import InvalidRequest
from orchestrator.files import (
    SYSTEM,
    FileItem,
    FilePage,
    FileSize,
    ListFiles,
    Part,
    ReadPart,
    SignDownload,
    Signed,
    SignUpload,
)


class MemoryFiles:
    """Thread-safe. Shares the system container's documents with the account."""

    def __init__(self, account: MemoryAccount) -> None:
        self._lock = threading.Lock()
        self._containers: dict[str, dict[str, bytes]] = {SYSTEM: account.blobs}

    def install(self, world: World) -> None:
        """Have `world` carry out the effects of `orchestrator.files`."""
        now = world.clock.now
        world.register(SignUpload, lambda effect: self._sign(effect, now()))
        world.register(SignDownload, lambda effect: f"memory://{effect.container}/{effect.name}")
        world.register(ListFiles, self.list)
        world.register(FileSize, self.size)
        world.register(ReadPart, self.read)

    def put(self, container: str, name: str, data: bytes) -> None:
        """Write a blob, as a client does with a signed URL."""
        with self._lock:
            self._containers.setdefault(container, {})[name] = data

    def list(self, effect: ListFiles) -> FilePage:
        with self._lock:
            blobs = self._containers.get(effect.container, {})
            names = sorted(name for name in blobs if name.startswith(effect.prefix))
            if effect.marker is not None and effect.marker not in blobs:
                raise InvalidRequest("This continuation was not made by the service.", field="continuation")
            start = bisect_left(names, effect.marker) if effect.marker is not None else 0
            page, rest = names[start : start + effect.limit], names[start + effect.limit :]
            items = tuple(_item(name, blobs[name]) for name in page)
            return FilePage(items=items, marker=rest[0] if rest else None)

    def size(self, effect: FileSize) -> int | None:
        data = self._get(effect.container, effect.name)
        return None if data is None else len(data)

    def read(self, effect: ReadPart) -> Part | None:
        data = self._get(effect.container, effect.name)
        return None if data is None else Part(data=data[effect.start : effect.start + effect.limit], size=len(data))

    def _get(self, container: str, name: str) -> bytes | None:
        with self._lock:
            return self._containers.get(container, {}).get(name)

    def _sign(self, effect: SignUpload, now: float) -> Signed:
        headers = {"x-ms-blob-type": "BlockBlob"}
        if not effect.replace:
            headers["If-None-Match"] = "*"
        url = f"memory://{effect.container}/{effect.name}"
        return Signed(url=url, headers=headers, expires_at=now + effect.seconds)


def _item(name: str, data: bytes) -> FileItem:
    etag = hashlib.sha256(data).hexdigest()[:16]
    return FileItem(name=name, size=len(data), etag=f'"{etag}"', last_modified=0.0)
