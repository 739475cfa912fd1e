"""The client of the File service, and Microsoft's own, against one stand-in."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from azure.storage.fileshare import ShareClient, generate_file_sas

from azurerest import Account, Conflict, Files, Forbidden, Invalid, NotFound, StorageError, Transport, Unanswered
from azurerest.auth import SharedAccessSignature, SharedKey
from azurerest.files import MAX_RANGE
from azurerest.sas import file_url, share_query
from azurerest.sharefiles import UPLOAD, draft, finish, make_parents, walk
from tests.fileshare_standin import ACCOUNT, KEY, Shares, running_shares

SHARE = "data"
NAME = "a b/ü#%/x.csv"


@pytest.fixture
def shares() -> Iterator[Shares]:
    with running_shares() as shares:
        shares.shares[SHARE] = {}
        yield shares


@pytest.fixture
def files(shares: Shares) -> Iterator[Files]:
    transport = Transport(sleep=lambda _: None)
    yield shares.files(transport)
    transport.close()


@pytest.fixture
def theirs(shares: Shares) -> Iterator[ShareClient]:
    with ShareClient(shares.endpoint, SHARE, credential={"account_name": ACCOUNT, "account_key": KEY}) as client:
        yield client


def an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def by_sas(shares: Shares, files: Files, permissions: str) -> Files:
    query = share_query(files, SHARE, permissions=permissions, expiry=an_hour(), protocol="https,http")
    account = Account(ACCOUNT, "", "", "", SharedAccessSignature(query), shares.endpoint)
    return Files(account, files.service.transport)


def put(files: Files, name: str, data: bytes) -> None:
    make_parents(files, SHARE, name)
    files.create(SHARE, name, len(data))
    for start in range(0, len(data), MAX_RANGE):
        files.put_range(SHARE, name, data[start : start + MAX_RANGE], start)


@pytest.mark.parametrize("size", [0, 5, MAX_RANGE + 1])
def test_written_here_and_read_by_theirs_and_back(files: Files, theirs: ShareClient, size: int) -> None:
    data = os.urandom(size)
    put(files, NAME, data)
    assert theirs.get_file_client(NAME).download_file().readall() == data
    theirs.get_file_client("theirs").upload_file(data, metadata={"one": "1"})
    found, properties = files.get(SHARE, "theirs", start=0, end=size + 10)
    assert (found, properties.size, properties.metadata) == (data, size, {"one": "1"})
    assert files.head(SHARE, "theirs") == properties
    assert files.get(SHARE, "theirs", start=size, end=size + 1)[0] == b""


def test_both_list_the_same(files: Files, theirs: ShareClient, shares: Shares) -> None:
    for name in ("b", "a/x", "a.txt", "ab/y & z"):
        put(files, name, name.encode())
    shares.page = 2
    listed = [(it["name"], it["is_directory"]) for it in theirs.list_directories_and_files(include=["Etag"])]
    assert sorted(listed) == [("a", True), ("a.txt", False), ("ab", True), ("b", False)]
    found = list(walk(files, SHARE, ""))
    assert [it.name for it in found] == ["a.txt", "a/x", "ab/y & z", "b"]
    for entry in found:
        head = files.head(SHARE, entry.name)
        assert (entry.size, entry.etag, entry.last_modified) == (head.size, head.etag, head.last_modified)


@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b/", "none", "none/x"])
def test_walking_on_from_any_place(files: Files, shares: Shares, prefix: str, deep: bool) -> None:
    names = ["a-b/1", "a.txt", "a/b.c", "a/b/1", "a/b/2", "a/c", "a0", "b"]
    for name in names:
        put(files, name, b"x")
    shares.page = 1
    wanted = [it for it in names if it.startswith(prefix) and (deep or "/" not in it[len(prefix) :])]
    found = [it.name for it in walk(files, SHARE, prefix, deep=deep)]
    assert found == wanted
    for number, name in enumerate(found):
        rest = [it.name for it in islice(walk(files, SHARE, prefix, after=name, deep=deep), 9)]
        assert rest == found[number + 1 :]


def test_what_the_service_refuses(files: Files) -> None:
    with pytest.raises(NotFound) as parent:
        files.create(SHARE, "none/x", 1)
    assert parent.value.code == "ParentNotFound"
    files.create(SHARE, "x", 3)
    with pytest.raises(StorageError) as beyond:
        files.put_range(SHARE, "x", b"four", 0)
    assert beyond.value.status == 416
    files.resize(SHARE, "x", 4)
    files.put_range(SHARE, "x", b"four", 0)
    files.resize(SHARE, "x", 2)
    assert files.get(SHARE, "x", start=0, end=9)[0] == b"fo"
    with pytest.raises(Conflict):
        make_parents(files, SHARE, "x/y")
    with pytest.raises(NotFound) as share:
        list(walk(files, "other", ""))
    assert share.value.code == "ShareNotFound"
    assert files.create_share("other")
    assert not files.create_share("other")
    assert not files.delete(SHARE, "none")
    with pytest.raises(Invalid):
        files.put_range(SHARE, "x", b"", 0)


@pytest.mark.parametrize("name", ["", "a//b", "../x", "a/.", "a.", "x?", "a\\b", "a:b", "x" * 256, "\n"])
def test_names_that_no_share_can_hold(files: Files, shares: Shares, name: str) -> None:
    with pytest.raises(Invalid):
        files.head(SHARE, name)
    assert shares.calls == []


@pytest.mark.parametrize("key", [KEY, "d3Jvbmc="])
def test_the_key_is_checked(shares: Shares, files: Files, key: str) -> None:
    account = Account(ACCOUNT, "", "", "", SharedKey(key), shares.endpoint)
    mine = Files(account, files.service.transport)
    if key == KEY:
        assert mine.list(SHARE).entries == []
    else:
        with pytest.raises(Forbidden):
            mine.list(SHARE)


def test_a_sas_allows_what_it_says(shares: Shares, files: Files) -> None:
    put(files, NAME, b"data")
    reading = by_sas(shares, files, "rl")
    assert reading.get(SHARE, NAME, start=0, end=9)[0] == b"data"
    assert [it.name for it in walk(reading, SHARE, "")] == [NAME]
    with pytest.raises(Forbidden):
        reading.create(SHARE, "y", 1)
    writing = by_sas(shares, files, "rcwdl")
    made = draft(SHARE, "y")
    writing.create(SHARE, made.name, 0, metadata={UPLOAD: made.id})
    finish(writing, made, replace=False)
    assert files.head(SHARE, "y").size == 0


def test_the_url_of_a_file_is_as_theirs(shares: Shares, files: Files) -> None:
    put(files, NAME, b"data")
    expiry = an_hour()
    url = file_url(files, SHARE, NAME, permissions="r", expiry=expiry, protocol="https,http")
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"data"
    query = generate_file_sas(ACCOUNT, SHARE, NAME.split("/"), KEY, permission="r", expiry=expiry)
    with urllib.request.urlopen(f"{files.url(SHARE, NAME)}?{query}", timeout=10) as answer:
        assert answer.read() == b"data"
    with pytest.raises(Invalid):
        file_url(by_sas(shares, files, "r"), SHARE, NAME, permissions="r", expiry=expiry)


def test_a_file_gets_its_name_at_once_and_once(shares: Shares, files: Files) -> None:
    put(files, "d/kept", b"old")
    made = draft(SHARE, "d/kept")
    files.create(SHARE, made.name, 3, metadata={UPLOAD: made.id})
    files.put_range(SHARE, made.name, b"new", 0)
    assert [it.name for it in walk(files, SHARE, "")] == ["d/kept"]
    with pytest.raises(Conflict):
        finish(files, made, replace=False)
    shares.lose = lambda verb, path, query: "comp=rename" in query
    with pytest.raises(Unanswered):
        finish(files, made, replace=True)
    shares.lose = lambda verb, path, query: False
    finish(files, made, replace=True)
    assert files.get(SHARE, "d/kept", start=0, end=9)[0] == b"new"
    with pytest.raises(NotFound):
        finish(files, draft(SHARE, "d/kept"), replace=True)


def test_theirs_rename_and_copy_as_ours(files: Files, theirs: ShareClient) -> None:
    put(files, "x", b"data")
    theirs.get_file_client("x").rename_file("y")
    assert files.copy(SHARE, "y", "z", metadata={"owner": "me"}) == "success"
    assert theirs.get_file_client("z").get_file_properties().metadata == {"owner": "me"}
    theirs.get_file_client("w").start_copy_from_url(files.url(SHARE, "z"))
    assert files.get(SHARE, "w", start=1, end=3)[0] == b"at"
