"""What `orchestrator.files` promises, asked of every world that keeps files."""

from __future__ import annotations

import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import pytest

from azurerest.account import Account
from azurerest.transport import Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.azure_files import AzureFiles
from orchestrator.adapters.containers import Containers
from orchestrator.adapters.driver import World
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.core.datastore import Datastore
from orchestrator.core.errors import InvalidRequest, Unavailable
from orchestrator.core.secret import Secret
from orchestrator.files import (
    SYSTEM,
    DeleteFiles,
    FileHead,
    FilePage,
    FileSize,
    ListFiles,
    Part,
    ReadPart,
    SignDownload,
    Signed,
    SignUpload,
)
from orchestrator.ports import Effect, WriteBlob

T = TypeVar("T")
Put = Callable[[str, bytes], None]


def fail(name: str) -> tuple[Datastore, Secret]:
    raise AssertionError(f"nobody has registered {name}")


@pytest.fixture
def azure(azurite_connection: str) -> Iterator[AzureWorld]:
    transport = Transport()
    world = AzureWorld(Account.from_connection_string(azurite_connection), transport)
    AzureFiles(Containers(world.blobs, find=fail)).install(world)
    yield world
    transport.close()


@pytest.fixture(params=["memory", pytest.param("azure", marks=pytest.mark.azurite)])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "azure":
        found: AzureWorld = request.getfixturevalue("azure")
        return found
    world = MemoryWorld()
    MemoryFiles(world.account).install(world)
    return world


@pytest.fixture
def container() -> str:
    return f"c{uuid.uuid4().hex}"


@pytest.fixture
def put(world: World, container: str) -> Put:
    if isinstance(world, AzureWorld):
        blobs = world.blobs
        blobs.create_container(container)
        return lambda name, data: blobs.put(container, name, data) and None
    assert isinstance(world, MemoryWorld)
    files = MemoryFiles(world.account)
    files.install(world)
    return lambda name, data: files.put(container, name, data)


def ask(world: World, effect: Effect[T]) -> T:
    return world.run(iter(effect))


def listed(page: FilePage) -> list[tuple[str, int]]:
    return [(item.name, item.size) for item in page.items]


def test_a_container_that_is_not_there_is_empty(world: World, container: str) -> None:
    assert ask(world, ListFiles(container=container, prefix="")) == FilePage(items=(), marker=None)
    assert ask(world, FileSize(container=container, name="x")) is None
    assert ask(world, ReadPart(container=container, name="x", start=0, limit=9)) is None


def test_files_are_listed_by_prefix_and_in_name_order(world: World, container: str, put: Put) -> None:
    for name in ("b/2", "b/1", "a", "b1", "ü/x"):
        put(name, name.encode())
    assert listed(ask(world, ListFiles(container=container, prefix="b/"))) == [("b/1", 3), ("b/2", 3)]
    assert [name for name, _ in listed(ask(world, ListFiles(container=container, prefix="")))] == [
        "a",
        "b/1",
        "b/2",
        "b1",
        "ü/x",
    ]


def test_a_listing_comes_in_pages(world: World, container: str, put: Put) -> None:
    names = [f"f{number}" for number in range(5)]
    for name in names:
        put(name, b"")
    found: list[str] = []
    marker: str | None = None
    while True:
        page = ask(world, ListFiles(container=container, prefix="f", limit=2, marker=marker))
        found += [item.name for item in page.items]
        marker = page.marker
        if marker is None:
            break
    assert found == names


def test_sizes(world: World, container: str, put: Put) -> None:
    put("empty", b"")
    put("some", b"12345")
    assert ask(world, FileSize(container=container, name="empty")) == 0
    assert ask(world, FileSize(container=container, name="some")) == 5
    assert ask(world, FileSize(container=container, name="none")) is None


@pytest.mark.parametrize(
    ("start", "limit", "data"),
    [(0, 100, b"0123456789"), (0, 3, b"012"), (4, 3, b"456"), (8, 9, b"89"), (10, 5, b""), (99, 5, b"")],
)
def test_parts(world: World, container: str, put: Put, start: int, limit: int, data: bytes) -> None:
    put("digits", b"0123456789")
    part = ask(world, ReadPart(container=container, name="digits", start=start, limit=limit))
    assert part == Part(data=data, size=10)


def test_parts_of_nothing(world: World, container: str, put: Put) -> None:
    put("empty", b"")
    part = ask(world, ReadPart(container=container, name="empty", start=0, limit=9))
    assert part == Part(data=b"", size=0)


def test_a_made_up_marker_is_the_callers_fault_or_harmless(world: World, container: str, put: Put) -> None:
    put("a", b"")
    try:
        page = ask(world, ListFiles(container=container, prefix="", marker="no such marker"))
    except InvalidRequest as error:
        assert error.field == "continuation"
    else:
        assert [item.name for item in page.items] in ([], ["a"])


def test_an_upload_is_described(world: World, container: str) -> None:
    signed = ask(world, SignUpload(container=container, name="x", seconds=60))
    assert signed.headers["x-ms-blob-type"] == "BlockBlob"
    assert signed.headers["If-None-Match"] == "*"
    replacing = ask(world, SignUpload(container=container, name="x", seconds=60, replace=True))
    assert "If-None-Match" not in replacing.headers


def send(url: str, *, method: str, data: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def upload(signed: Signed, data: bytes) -> int:
    status: int = send(signed.url, method="PUT", data=data, headers=signed.headers)[0]
    return status


@pytest.mark.azurite
def test_a_signed_upload_creates_and_does_not_replace(azure: AzureWorld, container: str) -> None:
    signed = ask(azure, SignUpload(container=container, name="raw/ü b.csv", seconds=60))
    assert upload(signed, b"first") == 201
    assert upload(signed, b"second") == 409
    assert ask(azure, FileSize(container=container, name="raw/ü b.csv")) == 5


@pytest.mark.azurite
def test_a_signed_upload_may_be_allowed_to_replace(azure: AzureWorld, container: str) -> None:
    signed = ask(azure, SignUpload(container=container, name="x", seconds=60, replace=True))
    assert [upload(signed, b"1"), upload(signed, b"22")] == [201, 201]
    assert ask(azure, FileSize(container=container, name="x")) == 2


@pytest.mark.azurite
def test_a_signed_url_opens_one_blob_for_one_purpose(azure: AzureWorld, container: str) -> None:
    azure.blobs.create_container(container)
    azure.blobs.put(container, "mine", b"mine")
    azure.blobs.put(container, "other", b"other")
    url = ask(azure, SignDownload(container=container, name="mine", seconds=60))
    assert send(url, method="GET") == (200, b"mine")
    assert send(url.replace("/mine?", "/other?"), method="GET")[0] == 403
    assert send(url, method="DELETE")[0] == 403
    assert send(url, method="PUT", data=b"x", headers={"x-ms-blob-type": "BlockBlob"})[0] == 403
    writing = ask(azure, SignUpload(container=container, name="new", seconds=60)).url
    assert send(writing, method="GET")[0] in (403, 404)


def test_storage_that_is_away_is_said_to_be() -> None:
    connection = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
        "BlobEndpoint=http://127.0.0.1:1/devstoreaccount1"
    )
    transport = Transport()
    world = AzureWorld(Account.from_connection_string(connection), transport)
    AzureFiles(Containers(world.blobs, find=fail)).install(world)
    for effect in (
        FileSize(container="data", name="x"),
        ListFiles(container="data", prefix=""),
        SignUpload(container="data", name="x", seconds=60),
    ):
        with pytest.raises(Unavailable):
            world.run(iter(effect))
    transport.close()


def test_what_the_server_says_of_a_blob(world: World, container: str, put: Put) -> None:
    assert ask(world, FileHead(container=container, name="a")) is None
    put("a", b"12345")
    head = ask(world, FileHead(container=container, name="a"))
    (item,) = ask(world, ListFiles(container=container, prefix="")).items
    assert head == item
    assert head is not None
    assert (head.name, head.size, head.metadata) == ("a", 5, {})
    put("a", b"12345")
    again = ask(world, FileHead(container=container, name="a"))
    assert again is not None
    assert again.etag != head.etag
    assert head.last_modified == int(head.last_modified) <= again.last_modified


def test_a_listing_says_when_it_was_made(world: World, container: str, put: Put) -> None:
    assert ask(world, ListFiles(container=f"{container}x", prefix="")).at == 0
    put("a", b"")
    page = ask(world, ListFiles(container=container, prefix=""))
    assert page.at == int(page.at)
    assert page.items[0].last_modified <= page.at <= page.items[0].last_modified + 30


def test_a_listing_that_is_not_deep_leaves_out_what_lies_in_folders(world: World, container: str, put: Put) -> None:
    for name in ("in/a", "in/sub/b", "in/z", "other"):
        put(name, b"")
    assert listed(ask(world, ListFiles(container=container, prefix="in/", deep=False))) == [("in/a", 0), ("in/z", 0)]
    found: list[str] = []
    marker: str | None = None
    while True:
        page = ask(world, ListFiles(container=container, prefix="in/", limit=1, marker=marker, deep=False))
        found += [item.name for item in page.items]
        marker = page.marker
        if marker is None:
            break
    assert found == ["in/a", "in/z"]


def test_what_begins_so_is_deleted(world: World) -> None:
    run = uuid.uuid4().hex
    for name in (f"trials/{run}/a/1.json", f"trials/{run}/b.json", f"trials/{run}0/a.json"):
        world.run(iter(WriteBlob(name=name, data=b"{}")))
    for _ in range(2):
        world.run(iter(DeleteFiles(prefix=f"trials/{run}/")))
        left = world.run(iter(ListFiles(container=SYSTEM, prefix=f"trials/{run}")))
        assert [item.name for item in left.items] == [f"trials/{run}0/a.json"]
