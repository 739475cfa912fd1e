"""What the worker asks of storage, of both stores."""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from azurerest import Account, Blobs, Busy, Files, Transport, Unanswered
from azurerest.auth import SharedAccessSignature
from azurerest.sas import share_query
from steps.azure_store import AzureStore
from steps.memory_store import MemoryStore
from steps.parts import PART
from steps.patience import WAITS
from steps.share_store import GROWTH, ShareStore
from steps.store import BlobExists, BlobMissing, Listed, Store, StoreFailed
from tests.fileshare_standin import ACCOUNT, Shares, running_shares

CONTAINER = "steps-store"


@pytest.fixture(scope="module")
def blobs(azurite_connection: str) -> Iterator[Blobs]:
    transport = Transport()
    blobs = Blobs(Account.from_connection_string(azurite_connection), transport)
    blobs.create_container(CONTAINER)
    yield blobs
    transport.close()


@pytest.fixture
def shares() -> Iterator[Shares]:
    with running_shares() as shares:
        shares.shares[CONTAINER] = {}
        yield shares


@pytest.fixture
def share_store(shares: Shares) -> Iterator[ShareStore]:
    transport = Transport()
    yield ShareStore(shares.files(transport))
    transport.close()


@pytest.fixture(params=["memory", "azure", "share"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore(CONTAINER)
    if request.param == "share":
        found: Store = request.getfixturevalue("share_store")
        return found
    return AzureStore(request.getfixturevalue("blobs"))


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


def read(store: Store, name: str) -> bytes:
    sink = io.BytesIO()
    store.download(CONTAINER, name, sink)
    return sink.getvalue()


def test_put_and_download(store: Store, prefix: str) -> None:
    for name, data in ((f"{prefix}/a b/ž#%", b"1"), (f"{prefix}/empty", b"")):
        store.put(CONTAINER, name, data, content_type="text/plain")
        assert read(store, name) == data
    store.put(CONTAINER, f"{prefix}/empty", b"again")
    assert read(store, f"{prefix}/empty") == b"again"


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024, 20_000_001])
def test_upload_of_any_size(store: Store, prefix: str, size: int) -> None:
    data = os.urandom(size)
    store.upload(CONTAINER, prefix, io.BytesIO(data))
    assert read(store, prefix) == data


def test_a_share_keeps_no_logs(share_store: ShareStore) -> None:
    with pytest.raises(StoreFailed, match="not kept in a file share"):
        share_store.append(CONTAINER, "x", b"1", 0)


def test_append_adds_and_repeating_is_harmless(store: Store, prefix: str) -> None:
    if isinstance(store, ShareStore):
        pytest.skip("a share keeps no logs")
    store.append(CONTAINER, prefix, b"one ", 0)
    store.append(CONTAINER, prefix, b"one ", 0)
    store.append(CONTAINER, prefix, b"two", 4)
    store.append(CONTAINER, prefix, b"two", 4)
    assert read(store, prefix) == b"one two"
    with pytest.raises(StoreFailed):
        store.append(CONTAINER, prefix, b"three", 3)
    assert read(store, prefix) == b"one two"


def test_list_is_by_prefix_and_in_order(store: Store, prefix: str) -> None:
    names = [f"{prefix}/{name}" for name in ("b", "a/x", "a.y" if isinstance(store, ShareStore) else "a", "ab/y")]
    for name in names:
        store.put(CONTAINER, name, name.encode())
    found = list(store.list(CONTAINER, f"{prefix}/"))
    assert [(it.name, it.size) for it in found] == [(name, len(name.encode())) for name in sorted(names)]
    assert [it.name for it in store.list(CONTAINER, f"{prefix}/a/")] == [f"{prefix}/a/x"]
    assert [store.find(CONTAINER, name) for name in sorted(names)] == found
    assert list(store.list(CONTAINER, f"{prefix}/none")) == []


def test_the_etag_changes_with_the_content(store: Store, prefix: str) -> None:
    assert store.find(CONTAINER, prefix) is None
    assert store.find("no-such-container", prefix) is None
    store.put(CONTAINER, prefix, b"1")
    first = store.find(CONTAINER, prefix)
    store.put(CONTAINER, prefix, b"2")
    second = store.find(CONTAINER, prefix)
    assert isinstance(first, Listed) and isinstance(second, Listed)
    assert first.etag and first.etag != second.etag
    assert first.modified is not None


def test_a_copy_replaces_only_what_it_may(store: Store, prefix: str) -> None:
    def copy(name: str, owner: str, *, replace: bool) -> bytes:
        store.copy(CONTAINER, f"{prefix}/{name}", f"{prefix}/kept/ž", owner=owner, replace=replace)
        return read(store, f"{prefix}/kept/ž")

    for name in ("a ž", "b"):
        store.put(CONTAINER, f"{prefix}/{name}", name.encode())
    assert copy("a ž", "run_step", replace=False) == "a ž".encode()
    assert copy("b", "run_step", replace=False) == b"b"
    with pytest.raises(BlobExists):
        copy("a ž", "other_step", replace=False)
    assert read(store, f"{prefix}/kept/ž") == b"b"
    assert copy("a ž", "other_step", replace=True) == "a ž".encode()
    with pytest.raises(BlobMissing):
        copy("none", "other_step", replace=True)


def test_what_is_missing(store: Store, prefix: str) -> None:
    sink = io.BytesIO()
    with pytest.raises(BlobMissing):
        store.download(CONTAINER, prefix, sink)
    with pytest.raises(BlobMissing):
        store.download("no-such-container", prefix, sink)
    with pytest.raises(BlobMissing):
        list(store.list("no-such-container", ""))
    assert sink.getvalue() == b""


class LosesAnswers:
    """The real service, of which the first answers to each kind of write are lost (`applied`) or refused for load."""

    def __init__(self, blobs: Blobs, *, applied: bool, times: int) -> None:
        self._blobs = blobs
        self._applied = applied
        self._times = times
        self._left: dict[str, int] = {}
        self.service = blobs.service

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._blobs, name)
        if name not in ("put", "append", "append_create"):
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._left.setdefault(name, self._times) == 0:
                return real(*args, **kwargs)
            self._left[name] -= 1
            if not self._applied:
                raise Busy("too much to do", status=503)
            real(*args, **kwargs)
            raise Unanswered("the answer was lost")

        return call


@pytest.mark.parametrize("applied", [True, False])
def test_lost_answers_and_refusals_for_load_are_made_up_for(blobs: Blobs, prefix: str, applied: bool) -> None:
    waits: list[float] = []
    store = AzureStore(LosesAnswers(blobs, applied=applied, times=1), sleep=waits.append)  # type: ignore[arg-type]
    store.put(CONTAINER, f"{prefix}/put", b"x")
    store.upload(CONTAINER, f"{prefix}/upload", io.BytesIO(b"y"))
    store.append(CONTAINER, f"{prefix}/log", b"one ", 0)
    store.append(CONTAINER, f"{prefix}/log", b"two", 4)
    assert read(store, f"{prefix}/log") == b"one two"
    assert read(store, f"{prefix}/upload") == b"y"
    assert len(waits) == 3


def test_a_service_that_stays_silent_is_given_up(blobs: Blobs, prefix: str) -> None:
    waits: list[float] = []
    store = AzureStore(LosesAnswers(blobs, applied=False, times=100), sleep=waits.append)  # type: ignore[arg-type]
    with pytest.raises(StoreFailed, match="too much to do"):
        store.put(CONTAINER, prefix, b"x")
    assert len(waits) == len(WAITS)


def test_a_part_that_fails_is_repeated_alone(azurite_connection: str, prefix: str) -> None:
    """Large blobs are not begun anew: every other part travels once."""
    transport = Transport()
    blobs = Blobs(Account.from_connection_string(azurite_connection), transport)
    failing = iter([False, True, True, False, True])
    calls: list[str] = []
    send = transport.send

    def flaky(service: str, origin: Any, verb: str, path: str, head: bytes, *args: Any, **kwargs: Any) -> Any:
        if b"comp=block&" in head or b"x-ms-range" in head:
            calls.append(verb)
            if next(failing, False):
                raise Unanswered("the connection broke")
        return send(service, origin, verb, path, head, *args, **kwargs)

    transport.send = flaky  # type: ignore[method-assign]
    store = AzureStore(blobs, sleep=lambda _: None)
    data = os.urandom(4 * PART + 1)
    store.upload(CONTAINER, prefix, io.BytesIO(data))
    assert len(calls) == 5 + 3
    calls.clear()
    failing = iter([False, False, True])
    sink = io.BytesIO()
    store.download(CONTAINER, prefix, sink)
    assert sink.getvalue() == data
    assert len(calls) == 1 + 4 + 1
    transport.close()


def test_a_blob_that_is_replaced_while_it_is_read(blobs: Blobs, prefix: str) -> None:
    store = AzureStore(blobs, sleep=lambda _: None)
    store.upload(CONTAINER, prefix, io.BytesIO(bytes(3 * PART)))

    class Sink(io.BytesIO):
        def write(self, data: Any) -> int:
            if not self.tell():
                blobs.put(CONTAINER, prefix, b"other")
            return super().write(data)

    with pytest.raises(StoreFailed, match="replaced while it was read"):
        store.download(CONTAINER, prefix, Sink())


def test_a_file_of_a_share_is_whole_whatever_answers_are_lost(shares: Shares, prefix: str) -> None:
    """Of each kind of write the first answer is lost, after the write was done."""
    lost: set[str] = set()
    waits: list[float] = []

    def lose(verb: str, path: str, query: str) -> bool:
        kind = f"{path.count('.tmp')} {re.sub('include=.*', '', query)}"
        first = verb == "PUT" and kind not in lost
        lost.add(kind)
        return first

    shares.lose = lose
    transport = Transport()
    store = ShareStore(shares.files(transport), sleep=waits.append)
    data = os.urandom(GROWTH + 5)
    store.upload(CONTAINER, f"{prefix}/a/b", io.BytesIO(data))
    for replace in (False, True):
        store.copy(CONTAINER, f"{prefix}/a/b", f"{prefix}/c/d", owner="run", replace=replace)
    assert read(store, f"{prefix}/c/d") == data
    assert len(waits) >= 5
    assert [it.name for it in store.list(CONTAINER, "")] == [f"{prefix}/a/b", f"{prefix}/c/d"]
    assert [it.owner for it in store.list(CONTAINER, "", owners=True)] == ["", "run"]
    assert not [name for name in shares.shares[CONTAINER] if name.endswith(".tmp")]
    transport.close()


def test_what_is_broken_off_leaves_nothing_in_a_share(shares: Shares, share_store: ShareStore) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("no disk")
            return super().read(size)

    share_store.put(CONTAINER, "x", b"old")
    source = Broken(b"n" * 5_000_000)
    with pytest.raises(OSError, match="no disk"):
        share_store.upload(CONTAINER, "x", source)
    assert sorted(shares.shares[CONTAINER]) == ["x"]
    assert read(share_store, "x") == b"old"


def test_a_share_by_its_sas_tells_nobody_the_sas(shares: Shares, share_store: ShareStore, prefix: str) -> None:
    transport = Transport()
    expiry = datetime.now(UTC) + timedelta(hours=1)
    query = share_query(shares.files(transport), CONTAINER, permissions="rcwdl", expiry=expiry, protocol="https,http")
    credential = SharedAccessSignature(query)
    store = ShareStore(Files(Account(ACCOUNT, "", "", "", credential, shares.endpoint), transport))
    data = os.urandom(5_000_000)
    store.upload(CONTAINER, f"{prefix}/a", io.BytesIO(data))
    store.copy(CONTAINER, f"{prefix}/a", f"{prefix}/b", owner="run", replace=False)
    assert read(store, f"{prefix}/b") == data
    with pytest.raises(BlobExists):
        store.copy(CONTAINER, f"{prefix}/a", f"{prefix}/b", owner="other", replace=False)
    assert shares.copied == []
    share_store.copy(CONTAINER, f"{prefix}/a", f"{prefix}/b", owner="other", replace=True)
    assert len(shares.copied) == 1
    transport.close()


def test_a_file_of_a_share_that_changes_while_it_is_read(shares: Shares, share_store: ShareStore) -> None:
    class Changing(io.BytesIO):
        def write(self, data: Any) -> int:
            shares.file(CONTAINER, "x").etag = shares.etag()
            return super().write(data)

    share_store.put(CONTAINER, "x", b"x" * 5_000_000)
    with pytest.raises(StoreFailed, match="replaced while it was read"):
        share_store.download(CONTAINER, "x", Changing())


def test_a_folder_of_a_share_is_no_file(share_store: ShareStore) -> None:
    share_store.put(CONTAINER, "a/b", b"x")
    assert share_store.find(CONTAINER, "a") is None
    with pytest.raises(StoreFailed):
        share_store.put(CONTAINER, "a", b"x")
    with pytest.raises(StoreFailed, match="cannot hold"):
        share_store.put(CONTAINER, "a?", b"x")
    with pytest.raises(BlobMissing):
        share_store.put("no-such-share", "a", b"x")
