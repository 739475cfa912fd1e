"""Finds new and changed blobs by listing the containers, as the host does in production.

One scanner per app. Each pass lists a page of every container and goes on where it stopped; a container whose end is
reached sets its high-water mark to the latest modification seen. Blobs at the mark are looked at again, because times
have whole seconds; receipts keep them from firing twice.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from azurerest.blobs import Blobs
from azurerest.blobtypes import BlobItem
from azurerest.errors import NotFound, StorageError
from devhost.blob_messages import BlobFunction
from devhost.blob_receipts import Receipts
from devhost.console import Console
from devhost.lease import CONTAINER, AloneThread, SingletonLease

_BUDGET = 10_000
_PAGE = 5_000
_START = datetime.datetime.min.replace(tzinfo=datetime.UTC)


@dataclass(slots=True, kw_only=True)
class _Sweep:
    """Where the listing of one container stands. ``done`` are versions known to have been noticed."""

    container: str
    functions: list[BlobFunction]
    mark: datetime.datetime = _START
    latest: datetime.datetime = _START
    marker: str | None = None
    settled: bool = True
    done: dict[tuple[str, str, str], datetime.datetime] = field(default_factory=dict)


class BlobScanner(AloneThread):
    """Lists the containers of ``functions`` every ``interval`` seconds and hands new blobs to ``receipts``."""

    def __init__(
        self,
        functions: Sequence[BlobFunction],
        receipts: Receipts,
        host_blobs: Blobs,
        host_id: str,
        lease: SingletonLease,
        interval: float,
        console: Console,
    ) -> None:
        self._sweeps: dict[tuple[str, str], _Sweep] = {}
        for function in functions:
            key = (function.account, function.pattern.container)
            sweep = self._sweeps.setdefault(key, _Sweep(container=key[1], functions=[]))
            sweep.functions.append(function)
        self._receipts = receipts
        self._host_blobs = host_blobs
        self._host_id = host_id
        self._interval = interval
        self._console = console
        super().__init__("blob-scan", lease)

    def _work(self) -> None:
        for (account, _), sweep in self._sweeps.items():
            sweep.mark = self._load_mark(account, sweep.container)
        while not self._stopping.is_set():
            for (account, _), sweep in self._sweeps.items():
                self._pass(account, sweep)
            self._stopping.wait(self._interval)

    def _pass(self, account: str, sweep: _Sweep) -> None:
        before = sweep.mark
        try:
            self._list(sweep)
            if sweep.mark > before:
                self._save_mark(account, sweep.container, sweep.mark)
        except NotFound:
            return
        except StorageError as error:
            self._console.warn(f"scanning container {sweep.container} failed: {error}")
            # From the start again: what was missed is at or after the mark.
            sweep.marker = None

    def _list(self, sweep: _Sweep) -> None:
        if sweep.marker is None:
            sweep.latest = _START
            sweep.settled = True
        limit = max(1, min(_PAGE, _BUDGET // len(self._sweeps)))
        page = sweep.functions[0].blobs.list(sweep.container, marker=sweep.marker, max_results=limit)
        for item in page.items:
            sweep.latest = max(sweep.latest, item.last_modified)
            if item.last_modified >= sweep.mark and not self._stopping.is_set():
                for function in sweep.functions:
                    sweep.settled &= self._notice(sweep, function, item)
        sweep.marker = page.marker
        # A blob that another host is at just now must be looked at again: the mark stays behind it.
        if page.marker is None and sweep.settled and not self._stopping.is_set() and sweep.latest > sweep.mark:
            sweep.mark = sweep.latest
            sweep.done = {key: modified for key, modified in sweep.done.items() if modified >= sweep.mark}

    def _notice(self, sweep: _Sweep, function: BlobFunction, item: BlobItem) -> bool:
        key = (function.id, item.name, item.etag)
        if key in sweep.done or function.pattern.match(sweep.container, item.name) is None:
            return True
        try:
            properties = function.blobs.head(sweep.container, item.name)
        except NotFound:
            return True
        if not self._receipts.notify(function, item.name, properties):
            return False
        sweep.done[(function.id, item.name, properties.etag)] = item.last_modified
        return True

    def _mark_name(self, account: str, container: str) -> str:
        return f"blobscaninfo/{self._host_id}/{account}/{container}/scanInfo"

    def _load_mark(self, account: str, container: str) -> datetime.datetime:
        try:
            document = json.loads(self._host_blobs.get(CONTAINER, self._mark_name(account, container)).data)
            return datetime.datetime.fromisoformat(document["LatestScan"])
        except (StorageError, ValueError, KeyError):
            return _START

    def _save_mark(self, account: str, container: str, mark: datetime.datetime) -> None:
        # A millisecond early: a blob of the same second may still come.
        early = mark - datetime.timedelta(milliseconds=1)
        body = json.dumps({"LatestScan": early.isoformat()}).encode()
        self._host_blobs.put(CONTAINER, self._mark_name(account, container), body)
