"""The Blob client against Azurite, and against what the official SDK reads and writes."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from azurerest import Account, Blobs, Transport, blobfiles
from azurerest.errors import Conflict, Invalid, NotFound, PreconditionFailed

pytestmark = pytest.mark.azurite

STALE = '"0x1234"'


@pytest.fixture(scope="module")
def blobs(azurite_connection: str) -> Iterator[Blobs]:
    transport = Transport()
    yield Blobs(Account.from_connection_string(azurite_connection), transport)
    transport.close()


@pytest.fixture
def con(blobs: Blobs) -> str:
    name = f"c-{uuid.uuid4().hex}"
    assert blobs.create_container(name) is True
    return name


@pytest.fixture
def sdk(azurite_connection: str, con: str) -> Iterator[ContainerClient]:
    with ContainerClient.from_connection_string(azurite_connection, con) as client:
        yield client


def test_containers(blobs: Blobs) -> None:
    names = sorted(f"c-{uuid.uuid4().hex}" for _ in range(2))
    assert [blobs.container_exists(names[0]), *(blobs.create_container(name) for name in names)] == [False, True, True]
    assert blobs.create_container(names[0]) is False
    assert blobs.container_exists(names[0]) is True
    assert [name for name in blobs.list_containers("c-") if name in names] == names
    assert blobs.list_containers(names[1]) == [names[1]]
    assert [blobs.delete_container(name) for name in (names[0], names[0])] == [True, False]
    with pytest.raises(NotFound):
        blobs.list(names[0])


@pytest.mark.parametrize("name", ["a", "a/b c/d.txt", "ü%25&x?#+=;,'()|.é", "..a/.b", "世界/😀", "a//b", "~$@!*"])
def test_awkward_names(blobs: Blobs, con: str, sdk: ContainerClient, name: str) -> None:
    written = blobs.put(con, name, b"data")
    assert blobs.get(con, name).data == b"data"
    assert [item.name for item in blobs.list(con).items] == [name]
    assert sdk.get_blob_client(name).download_blob().readall() == b"data"
    assert blobs.head(con, name).etag == written.etag
    assert blobs.delete(con, name) is True


def test_properties(blobs: Blobs, con: str, sdk: ContainerClient) -> None:
    written = blobs.put(con, "b", b"hello", content_type="text/csv", metadata={"Author": "a b", "n": "1"})
    properties = blobs.head(con, "b")
    assert blobs.get(con, "b").properties == properties
    assert (properties.size, properties.content_type, properties.kind) == (5, "text/csv", "BlockBlob")
    assert (properties.etag, properties.last_modified) == written
    assert properties.metadata == {"author": "a b", "n": "1"}
    assert properties.md5 == base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    assert abs((properties.last_modified - datetime.now(UTC)).total_seconds()) < 60
    theirs = sdk.get_blob_client("b").get_blob_properties()
    assert (theirs.content_settings.content_type, theirs.metadata) == ("text/csv", {"author": "a b", "n": "1"})


def test_what_the_sdk_writes_is_read(blobs: Blobs, con: str, sdk: ContainerClient) -> None:
    theirs = sdk.upload_blob("x/y z", b"\x00\xff", metadata={"k": "v"}).get_blob_properties()
    got = blobs.get(con, "x/y z")
    assert (got.data, got.properties.etag, got.properties.metadata) == (b"\x00\xff", theirs.etag, {"k": "v"})


def test_conditions(blobs: Blobs, con: str) -> None:
    first = blobs.put(con, "b", b"1", if_none_match="*")
    with pytest.raises(Conflict) as caught:
        blobs.put(con, "b", b"2", if_none_match="*")
    assert caught.value.code == "BlobAlreadyExists"
    second = blobs.put(con, "b", b"2", if_match=first.etag)
    for stale in (
        lambda: blobs.put(con, "b", b"3", if_match=first.etag),
        lambda: blobs.get(con, "b", if_match=first.etag),
        lambda: blobs.delete(con, "b", if_match=first.etag),
        lambda: blobs.set_metadata(con, "b", {"a": "b"}, if_match=STALE),
        lambda: blobfiles.put_block_list(blobs, con, "b", [], if_match=STALE),
    ):
        with pytest.raises(PreconditionFailed):
            stale()
    assert blobs.get(con, "b", if_match=second.etag).data == b"2"
    assert blobs.delete(con, "b", if_match=second.etag) is True


def test_what_is_missing(blobs: Blobs, con: str) -> None:
    for missing in (
        lambda: blobs.get(con, "no"),
        lambda: blobs.head(con, "no"),
        lambda: blobs.set_metadata(con, "no", {}),
        lambda: blobs.append(con, "no", b"x"),
        lambda: blobs.put("no-such-container", "b", b""),
        lambda: blobs.lease_acquire(con, "no", 15),
    ):
        with pytest.raises(NotFound):
            missing()
    assert [blobs.delete(con, "no"), blobs.exists(con, "no")] == [False, False]


def test_a_wrong_md5_is_refused(blobs: Blobs, con: str) -> None:
    digest = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with pytest.raises(Invalid) as caught:
        blobs.put(con, "b", b"data", md5=digest)
    assert caught.value.code == "Md5Mismatch"
    assert blobs.exists(con, "b") is False


@pytest.mark.parametrize(
    ("start", "end", "data"),
    [
        (0, 5, b"01234"),
        (3, None, b"3456789"),
        (None, 2, b"01"),
        (9, 100, b"9"),
        (10, None, b""),
        (10, 20, b""),
        (1000, None, b""),
        (4, 4, b""),
    ],
)
def test_ranges(blobs: Blobs, con: str, start: int | None, end: int | None, data: bytes) -> None:
    blobs.put(con, "b", b"0123456789")
    got = blobs.get(con, "b", start=start, end=end)
    assert (got.data, got.properties.size) == (data, 10)


def test_ranges_of_an_empty_blob(blobs: Blobs, con: str) -> None:
    blobs.put(con, "b", b"")
    assert [blobs.get(con, "b").data, blobs.get(con, "b", start=0, end=10).data] == [b"", b""]
    with pytest.raises(NotFound):
        blobs.get(con, "no", start=5)


def test_listings(blobs: Blobs, con: str, sdk: ContainerClient) -> None:
    for name in ("a/1", "a/2", "a/b/3", "c", "d<&>é"):
        blobs.put(con, name, name.encode(), metadata={"m": "v"}, content_type="text/plain")
    page = blobs.list(con, delimiter="/")
    assert ([item.name for item in page.items], page.prefixes, page.marker) == (["c", "d<&>é"], ["a/"], None)
    assert [item.name for item in blobs.list(con, "a/", delimiter="/").items] == ["a/1", "a/2"]
    first = blobs.list(con, max_results=2)
    assert ([item.name for item in first.items], first.marker is None) == (["a/1", "a/2"], False)
    assert [item.name for item in blobs.list(con, marker=first.marker).items] == ["a/b/3", "c", "d<&>é"]
    items = list(blobs.list_all(con, metadata=True))
    theirs = list(sdk.list_blobs(include=["metadata"]))
    assert [(i.name, i.size, i.last_modified, i.metadata, i.content_type) for i in items] == [
        (t.name, t.size, t.last_modified, t.metadata, t.content_settings.content_type) for t in theirs
    ]
    assert items[0].etag == blobs.head(con, "a/1").etag
    assert blobs.list(con).items[0].metadata == {}


def test_metadata_is_replaced(blobs: Blobs, con: str) -> None:
    old = blobs.put(con, "b", b"x", metadata={"a": "1"})
    new = blobs.set_metadata(con, "b", {"b": "2"})
    assert new.etag != old.etag
    assert blobs.head(con, "b").metadata == {"b": "2"}


def test_appending(blobs: Blobs, con: str) -> None:
    blobs.append_create(con, "log", metadata={"m": "v"})
    assert blobs.append(con, "log", b"abc", position=0) == 3
    assert blobs.append(con, "log", b"de") == 5
    with pytest.raises(PreconditionFailed) as caught:
        blobs.append(con, "log", b"abc", position=0)
    assert caught.value.code == "AppendPositionConditionNotMet"
    got = blobs.get(con, "log", start=2)
    assert (got.data, got.properties.kind, got.properties.metadata) == (b"cde", "AppendBlob", {"m": "v"})
    with pytest.raises(Conflict):
        blobs.append_create(con, "log", if_none_match="*")
    blobs.append_create(con, "log")
    assert blobs.get(con, "log").data == b""
    assert blobs.append(con, "log", bytes(4 * 1024 * 1024)) == 4 * 1024 * 1024


def test_blocks(blobs: Blobs, con: str) -> None:
    for block_id in ("1", "2", "3"):
        blobfiles.put_block(blobs, con, "b", block_id, block_id.encode() * 3)
    assert blobs.exists(con, "b") is False
    blobfiles.put_block_list(blobs, con, "b", ["3", "1"], content_type="text/plain", metadata={"k": "v"})
    got = blobs.get(con, "b")
    assert got.data == b"333111"
    assert (got.properties.content_type, got.properties.metadata) == ("text/plain", {"k": "v"})
    with pytest.raises(Invalid):
        blobfiles.put_block_list(blobs, con, "b", ["9"])
    with pytest.raises(Conflict):
        blobfiles.put_block_list(blobs, con, "b", [], if_none_match="*")


@pytest.mark.parametrize("size", [0, 1, 1000, 1001, 2000, 3500])
def test_streams(blobs: Blobs, con: str, size: int) -> None:
    data = os.urandom(size)
    blobfiles.put_stream(blobs, con, "b", io.BytesIO(data), chunk=1000, if_none_match="*", metadata={"k": "v"})
    assert blobs.head(con, "b").metadata == {"k": "v"}
    assert b"".join(blobfiles.get_stream(blobs, con, "b", chunk=999)) == data
    sink = io.BytesIO()
    assert blobfiles.download(blobs, con, "b", sink, chunk=1000).size == size
    assert sink.getvalue() == data
    with pytest.raises(Conflict):
        blobfiles.put_stream(blobs, con, "b", io.BytesIO(data), chunk=1000, if_none_match="*")


def test_files(blobs: Blobs, con: str, sdk: ContainerClient, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(9_000_000))
    blobfiles.put_file(blobs, con, "b", path, content_type="text/x")
    assert sdk.get_blob_client("b").download_blob().readall() == path.read_bytes()
    with (tmp_path / "back").open("wb") as sink:
        properties = blobfiles.download(blobs, con, "b", sink)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    assert (properties.size, properties.content_type) == (9_000_000, "text/x")


def test_a_blob_that_changes_while_it_is_read(blobs: Blobs, con: str) -> None:
    blobs.put(con, "b", b"old old old")
    chunks = blobfiles.get_stream(blobs, con, "b", chunk=4)
    assert next(chunks) == b"old "
    blobs.put(con, "b", b"new new new")
    with pytest.raises(PreconditionFailed):
        next(chunks)


def test_copies(blobs: Blobs, con: str) -> None:
    blobs.put(con, "a b/ü", b"data", content_type="text/x", metadata={"k": "v"})
    copy = blobs.copy_from_url(con, "to", blobs.url(con, "a b/ü"))
    assert copy.status == "success"
    properties = blobs.head(con, "to")
    assert (properties.size, properties.content_type, properties.metadata) == (4, "text/x", {"k": "v"})
    assert (properties.copy_id, properties.copy_status) == copy
    with pytest.raises(Conflict):
        blobs.copy_from_url(con, "to", blobs.url(con, "a b/ü"), if_none_match="*")
    with pytest.raises(NotFound):
        blobs.copy_from_url(con, "to2", blobs.url(con, "missing"))


def test_leases(blobs: Blobs, con: str) -> None:
    blobs.put(con, "b", b"1")
    mine = str(uuid.uuid4())
    assert blobs.lease_acquire(con, "b", 60, proposed_id=mine) == mine
    assert blobs.head(con, "b").lease == "leased"
    other = str(uuid.uuid4())
    for taken in (
        lambda: blobs.lease_acquire(con, "b", 15),
        lambda: blobs.lease_renew(con, "b", other),
        lambda: blobs.lease_release(con, "b", other),
    ):
        with pytest.raises(Conflict):
            taken()
    for fenced in (
        lambda: blobs.put(con, "b", b"2"),
        lambda: blobs.put(con, "b", b"2", lease_id=other),
        lambda: blobs.delete(con, "b"),
        lambda: blobs.set_metadata(con, "b", {}),
    ):
        with pytest.raises(PreconditionFailed):
            fenced()
    blobs.put(con, "b", b"2", lease_id=mine)
    blobs.set_metadata(con, "b", {"a": "b"}, lease_id=mine)
    blobs.lease_renew(con, "b", mine)
    blobs.lease_release(con, "b", mine)
    again = blobs.lease_acquire(con, "b", -1)
    assert blobs.lease_break(con, "b") == 0
    with pytest.raises(Conflict):
        blobs.lease_renew(con, "b", again)
    assert blobs.delete(con, "b") is True


def test_a_lease_ends(blobs: Blobs, con: str) -> None:
    blobs.put(con, "b", b"1")
    blobs.lease_acquire(con, "b", -1)
    assert 1 <= blobs.lease_break(con, "b", period=1) <= 1
    assert blobs.head(con, "b").lease == "breaking"
    _until(lambda: blobs.head(con, "b").lease == "broken")
    blobs.lease_acquire(con, "b", 15)


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ranges_into_a_buffer(blobs: Blobs, con: str) -> None:
    data = os.urandom(300_000)
    etag = blobs.put(con, "b", data).etag
    buffer = bytearray(200_000)
    got, properties = blobfiles.get_into(blobs, con, "b", memoryview(buffer), start=50_000)
    assert (got, properties.size, bytes(buffer)) == (200_000, 300_000, data[50_000:250_000])
    got, _ = blobfiles.get_into(blobs, con, "b", memoryview(buffer), start=299_000, if_match=etag)
    assert (got, bytes(buffer[:1000])) == (1000, data[299_000:])
    assert blobfiles.get_into(blobs, con, "b", memoryview(buffer), start=300_000)[0] == 0
    blobs.put(con, "b", b"")
    got, properties = blobfiles.get_into(blobs, con, "b", memoryview(buffer))
    assert (got, properties.size) == (0, 0)
    with pytest.raises(PreconditionFailed):
        blobfiles.get_into(blobs, con, "b", memoryview(buffer), if_match=etag)
