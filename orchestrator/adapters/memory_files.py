"""Files in memory: the interpreters of `orchestrator.files` over a MemoryAccount.

    MemoryFiles(account).install(world)

A signed URL is `memory://<container>/<name>`: there is nothing that would serve it. Its user calls `put`. Every account
of a registered datastore can be reached.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from math import floor

import msgspec

from orchestrator.adapters.driver import World
from orchestrator.adapters.memory import MemoryAccount
from orchestrator.core.errors import InvalidRequest
from orchestrator.files import (
    SYSTEM,
    DeleteFiles,
    FileHead,
    FileItem,
    FilePage,
    FileSize,
    ListFiles,
    Part,
    ReadPart,
    SignDownload,
    Signed,
    SignUpload,
    TryContainer,
)
from orchestrator.ports import WriteBlob


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the service notes of a write."""

    etag: str = '"0x0"'
    modified: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)


class MemoryFiles:
    """Thread-safe. Shares the system container's documents with the account."""

    def __init__(self, account: MemoryAccount) -> None:
        self._lock = threading.Lock()
        self._containers: dict[str, dict[str, bytes]] = {SYSTEM: account.blobs}
        self._facts: dict[tuple[str, str], _Facts] = {}
        self._versions = count(1)
        self._now = account.server_now

    def install(self, world: World) -> None:
        """Have `world` carry out the effects of `orchestrator.files`."""
        now = world.clock.now
        world.register(SignUpload, lambda effect: self._sign(effect, now()))
        world.register(SignDownload, lambda effect: f"memory://{effect.container}/{effect.name}")
        world.register(ListFiles, self.list)
        world.register(DeleteFiles, self.delete)
        world.register(FileHead, self.head)
        world.register(FileSize, self.size)
        world.register(ReadPart, self.read)
        world.register(WriteBlob, lambda write: self.put(SYSTEM, write.name, write.data))
        world.register(TryContainer, lambda _: None)

    def put(self, container: str, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Write a blob, as a client does with a signed URL. The server dates it, in whole seconds."""
        with self._lock:
            self._containers.setdefault(container, {})[name] = data
            etag, modified = f'"0x{next(self._versions):X}"', float(floor(self._now()))
            self._facts[container, name] = _Facts(etag=etag, modified=modified, metadata=metadata or {})

    def list(self, effect: ListFiles) -> FilePage:
        with self._lock:
            blobs = self._containers.get(effect.container, {})
            names = sorted(name for name in blobs if _listed(effect, name))
            if effect.marker is not None and effect.marker not in blobs:
                raise InvalidRequest("This continuation was not made by the service.", field="continuation")
            start = bisect_left(names, effect.marker) if effect.marker is not None else 0
            page, rest = names[start : start + effect.limit], names[start + effect.limit :]
            items = tuple(self._item(effect.container, name, blobs[name]) for name in page)
            at = float(floor(self._now())) if effect.container in self._containers else 0.0
            return FilePage(items=items, marker=rest[0] if rest else None, at=at)

    def delete(self, effect: DeleteFiles) -> None:
        with self._lock:
            blobs = self._containers[SYSTEM]
            for name in [name for name in blobs if name.startswith(effect.prefix)]:
                del blobs[name]

    def head(self, effect: FileHead) -> FileItem | None:
        with self._lock:
            data = self._containers.get(effect.container, {}).get(effect.name)
            if data is None:
                return None
            metadata = self._facts.get((effect.container, effect.name), _Facts()).metadata
            return msgspec.structs.replace(self._item(effect.container, effect.name, data), metadata=metadata)

    def size(self, effect: FileSize) -> int | None:
        data = self._get(effect.container, effect.name)
        return None if data is None else len(data)

    def read(self, effect: ReadPart) -> Part | None:
        data = self._get(effect.container, effect.name)
        if data is None:
            return None
        etag = self._facts.get((effect.container, effect.name), _Facts()).etag
        return Part(data=data[effect.start : effect.start + effect.limit], size=len(data), etag=etag)

    def _get(self, container: str, name: str) -> bytes | None:
        with self._lock:
            return self._containers.get(container, {}).get(name)

    def _sign(self, effect: SignUpload, now: float) -> Signed:
        headers = {"x-ms-blob-type": "BlockBlob"}
        if not effect.replace:
            headers["If-None-Match"] = "*"
        url = f"memory://{effect.container}/{effect.name}"
        return Signed(url=url, headers=headers, expires_at=now + effect.seconds)

    def _item(self, container: str, name: str, data: bytes) -> FileItem:
        facts = self._facts.get((container, name), _Facts())
        return FileItem(name=name, size=len(data), etag=facts.etag, last_modified=facts.modified)


def _listed(effect: ListFiles, name: str) -> bool:
    below = name.removeprefix(effect.prefix)
    return name.startswith(effect.prefix) and (effect.deep or "/" not in below)
