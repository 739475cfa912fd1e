"""Datastores: places for files, and what is there."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from orchestrator.adapters.memory import MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.catalog import datastores
from orchestrator.catalog.datastores import MOST_UPLOADS, UploadFile
from orchestrator.core.errors import InvalidRequest, TooLarge, UserError
from orchestrator.files import FilePage, ListFiles


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def files(world: MemoryWorld) -> MemoryFiles:
    files = MemoryFiles(world.account)
    files.install(world)
    return files


def upload(path: str, size: int = 1) -> UploadFile:
    return UploadFile(path=path, size=size)


def test_without_overwrite_what_is_there_stays(world: MemoryWorld, files: MemoryFiles) -> None:
    files.put("data", "raw/a.csv", b"1")
    task = datastores.prepare_uploads(
        "data", [upload("raw/a.csv"), upload("raw/b.csv")], overwrite=False, url_seconds=9
    )
    first, second = world.run(task)
    assert (first.path, first.exists, first.upload) == ("raw/a.csv", True, None)
    assert (second.path, second.exists) == ("raw/b.csv", False)
    assert second.upload is not None
    assert second.upload.headers["If-None-Match"] == "*"


def test_with_overwrite_everything_may_be_written(world: MemoryWorld, files: MemoryFiles) -> None:
    files.put("data", "raw/a.csv", b"1")
    (slot,) = world.run(datastores.prepare_uploads("data", [upload("raw/a.csv")], overwrite=True, url_seconds=9))
    assert slot.upload is not None
    assert "If-None-Match" not in slot.upload.headers


def test_a_folder_too_large_to_list_is_asked_file_by_file(world: MemoryWorld, files: MemoryFiles) -> None:
    files.put("data", "raw/b.csv", b"1")
    world.register(ListFiles, lambda _: FilePage(items=(), marker="more"))
    task = datastores.prepare_uploads(
        "data", [upload("raw/a.csv"), upload("raw/b.csv")], overwrite=False, url_seconds=9
    )
    assert [slot.exists for slot in world.run(task)] == [False, True]


@pytest.mark.parametrize(
    ("paths", "prefix"),
    [([], ""), (["a/b"], "a/b"), (["a/b", "a/c"], "a/"), (["ab", "abc"], "ab"), (["x", "y"], "")],
)
def test_one_listing_covers_all_paths(world: MemoryWorld, files: MemoryFiles, paths: list[str], prefix: str) -> None:
    asked: list[str] = []

    def listing(effect: ListFiles) -> FilePage:
        asked.append(effect.prefix)
        return files.list(effect)

    world.register(ListFiles, listing)
    world.run(datastores.prepare_uploads("data", [upload(path) for path in paths], overwrite=False, url_seconds=9))
    assert asked == [prefix]


@pytest.mark.parametrize(
    ("wanted", "error", "field"),
    [
        ([upload("ok"), upload("../x")], InvalidRequest, "files[1].path"),
        ([upload("")], InvalidRequest, "files[0].path"),
        ([upload("a", -1)], InvalidRequest, "files[0].size"),
        ([upload("a"), upload("a")], InvalidRequest, "files[1].path"),
        ([upload(f"f{n}") for n in range(MOST_UPLOADS + 1)], TooLarge, "files"),
    ],
)
def test_a_wrong_wish_is_refused(
    world: MemoryWorld, files: MemoryFiles, wanted: list[UploadFile], error: type[UserError], field: str
) -> None:
    with pytest.raises(error) as caught:
        world.run(datastores.prepare_uploads("data", wanted, overwrite=False, url_seconds=9))
    assert caught.value.field == field


def test_files_are_listed_in_pages(world: MemoryWorld, files: MemoryFiles) -> None:
    for name in ("raw/c", "raw/a", "raw/b", "other"):
        files.put("data", name, name.encode())
    first = world.run(datastores.listing("data", prefix="raw/", limit=2, continuation=None, url_seconds=9))
    assert [file.item.name for file in first.items] == ["raw/a", "raw/b"]
    assert first.items[0].url == "memory://data/raw/a"
    assert first.items[0].item.size == 5
    rest = world.run(datastores.listing("data", prefix="raw/", limit=2, continuation=first.continuation, url_seconds=9))
    assert [file.item.name for file in rest.items] == ["raw/c"]
    assert rest.continuation is None


def test_a_continuation_can_stand_in_a_url_whatever_the_file_is_called(world: MemoryWorld, files: MemoryFiles) -> None:
    names = ["a b&c=d", "a#?%", "aü/😀", "a"]
    for name in names:
        files.put("data", name, b"")
    found: list[str] = []
    continuation: str | None = None
    while True:
        page = world.run(datastores.listing("data", prefix="a", limit=1, continuation=continuation, url_seconds=9))
        found += [file.item.name for file in page.items]
        continuation = page.continuation
        if continuation is None:
            break
        assert quote(continuation, safe="") == continuation
    assert found == sorted(names)


def test_a_prefix_cannot_leave_the_datastore(world: MemoryWorld, files: MemoryFiles) -> None:
    with pytest.raises(InvalidRequest) as caught:
        world.run(datastores.listing("data", prefix="a/../../b", limit=2, continuation=None, url_seconds=9))
    assert caught.value.field == "prefix"
