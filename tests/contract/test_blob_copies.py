"""Copies by storage itself, within an account and across two, of the client and of the worker's stores."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from azurerest import Account, Blobs, Transport, blobfiles, sas
from azurerest.auth import SharedAccessSignature
from azurerest.blobcopy import put_block_from_url, staged_blocks
from azurerest.errors import Conflict, Forbidden, PreconditionFailed, Unanswered
from steps import blob_copies
from steps.azure_store import AzureStore
from steps.parts import PART
from steps.share_store import ShareStore
from steps.store import BlobExists, Listed, Mark, Refused, Replaced, Store, StoreFailed
from tests.accounts import OTHER, Accounts, running_accounts
from tests.azurite import AzuriteMissing
from tests.fileshare_standin import running_shares

pytestmark = pytest.mark.azurite

MARK = Mark("step-run", "a" * 64)


class Ends(NamedTuple):
    """Two accounts, a container of one name in each, and what moved through this process."""

    own: Blobs
    other: Blobs
    accounts: Accounts
    con: str

    def url(self, name: str) -> str:
        """Of a blob of the other account, to be read."""
        return sas.blob_url(self.other, self.con, name, permissions="r", expiry=soon(), protocol="https,http")

    def by_sas(self, permissions: str = "rl", expiry: datetime | None = None) -> Blobs:
        """The other account, as somebody with a SAS sees it."""
        query = sas.container_query(
            self.other,
            self.con,
            permissions=permissions,
            start=datetime.now(UTC) - timedelta(days=1),
            expiry=expiry or soon(),
            protocol="https,http",
        )
        endpoint = self.accounts.endpoint
        account = Account(OTHER, endpoint, endpoint, endpoint, SharedAccessSignature(query))
        return Blobs(account, self.other.service.transport)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    try:
        with running_accounts() as accounts:
            yield accounts
    except AzuriteMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture
def ends(accounts: Accounts) -> Iterator[Ends]:
    transport = Transport()
    own = Blobs(Account.from_connection_string(accounts.azurite.connection), transport)
    con = f"c-{uuid.uuid4().hex}"
    for blobs in (own, accounts.blobs):
        blobs.create_container(con)
    yield Ends(own, accounts.blobs, accounts, con)
    transport.close()
    accounts.blobs.service.transport.observer = None


def test_blocks_from_the_url_of_another_account(ends: Ends) -> None:
    data = os.urandom(300)
    etag = ends.other.put(ends.con, "a b", data).etag
    assert staged_blocks(ends.own, ends.con, "copy") == {}
    for number in range(3):
        where = (ends.own, ends.con, "copy", f"{number:03d}", ends.url("a b"))
        put_block_from_url(*where, number * 100, 100, source_if_match=etag)
    assert staged_blocks(ends.own, ends.con, "copy") == {"000": 100, "001": 100, "002": 100}
    blobfiles.put_block_list(ends.own, ends.con, "copy", ["000", "001", "002"], md5="AAAAAAAAAAAAAAAAAAAAAA==")
    found = ends.own.get(ends.con, "copy")
    assert (found.data, found.properties.md5, found.properties.copy_id) == (data, "AAAAAAAAAAAAAAAAAAAAAA==", "")
    assert staged_blocks(ends.own, ends.con, "copy") == {}


def test_a_source_that_changed_or_may_not_be_read_gives_no_block(ends: Ends) -> None:
    ends.other.put(ends.con, "a", b"12")
    with pytest.raises(PreconditionFailed):
        put_block_from_url(ends.own, ends.con, "copy", "0", ends.url("a"), 0, 2, source_if_match='"0x1"')
    with pytest.raises(Forbidden) as refused:
        put_block_from_url(ends.own, ends.con, "copy", "0", ends.other.url(ends.con, "a"), 0, 2)
    assert refused.value.code == "CannotVerifyCopySource"
    assert "sig=" not in str(refused.value)


def test_a_copy_of_a_version_in_place_of_a_version(ends: Ends) -> None:
    first = ends.own.put(ends.con, "a", b"1")
    there = ends.own.put(ends.con, "copy", b"before")
    source = ends.own.url(ends.con, "a")
    with pytest.raises(PreconditionFailed):
        ends.own.copy_from_url(ends.con, "copy", source, source_if_match='"0x1"')
    with pytest.raises(PreconditionFailed):
        ends.own.copy_from_url(ends.con, "copy", source, if_match='"0x1"')
    ends.own.copy_from_url(
        ends.con, "copy", source, if_match=there.etag, source_if_match=first.etag, metadata={"of": "a"}
    )
    (listed,) = ends.own.list_all(ends.con, "copy", metadata=True)
    assert (listed.copy_status, listed.metadata, listed.size) == ("success", {"of": "a"}, 1)
    with pytest.raises(Conflict):
        ends.own.copy_from_url(ends.con, "copy", source, if_none_match="*")


# The worker's stores


def take_in(store: Store, con: str, name: str, source: Store, *, before: Listed | None = None) -> list[int]:
    """Copy `name` of the source to "copy"; how many bytes were told, each time."""
    found = source.find(con, name)
    assert found is not None
    told: list[int] = []
    store.take_in(con, "to/copy", source.origin(con, found), mark=MARK, before=before, told=told.append)
    return told


@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART + 3])
@pytest.mark.parametrize("near", [True, False])
def test_no_byte_of_a_blob_comes_through_the_worker(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, size: int, near: bool
) -> None:
    monkeypatch.setattr(blob_copies, "URL_BLOCK", PART)
    source = ends.own if near else ends.other
    data = os.urandom(size)
    source.put(ends.con, "a", data, content_type="text/x")
    moved: list[int] = []
    for blobs in (ends.own, ends.other):
        blobs.service.transport.observer = lambda call: moved.append(call.sent + call.received)
    assert sum(take_in(AzureStore(ends.own), ends.con, "a", AzureStore(source))) == size
    assert moved
    assert sum(moved) <= 2000, "lists of blocks only"
    found = ends.own.get(ends.con, "to/copy").properties
    assert (found.size, found.content_type) == (size, "text/x")
    assert found.md5 == source.head(ends.con, "a").md5
    assert ends.own.get(ends.con, "to/copy").data == data
    (listed,) = AzureStore(ends.own).list(ends.con, "to/", owners=True)
    assert (listed.owner, listed.source) == MARK


def test_by_a_sas_no_signature_stays_with_the_copy(ends: Ends) -> None:
    ends.other.put(ends.con, "a", b"data")
    take_in(AzureStore(ends.own), ends.con, "a", AzureStore(ends.by_sas(), own=False))
    answer = ends.own.service.call("HEAD", f"/{ends.con}/to/copy")
    assert "sig=" not in str(answer.headers)
    assert ends.own.get(ends.con, "to/copy").data == b"data"


def test_blocks_that_are_there_are_not_copied_again(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob_copies, "URL_BLOCK", 100)
    data = os.urandom(3001)
    ends.other.put(ends.con, "a", data)
    told: list[int] = []

    def broken_off(size: int) -> None:
        told.append(size)
        if len(told) == 4:
            raise KeyboardInterrupt

    source, store = AzureStore(ends.other), AzureStore(ends.own)
    found = source.find(ends.con, "a")
    assert found is not None
    with pytest.raises(KeyboardInterrupt):
        store.take_in(ends.con, "to/copy", source.origin(ends.con, found), mark=MARK, before=None, told=broken_off)
    assert ends.own.exists(ends.con, "to/copy") is False
    there = len(staged_blocks(ends.own, ends.con, "to/copy"))
    assert 4 <= there < 31, "those under way may be stored, too"
    puts: list[str] = []
    ends.own.service.transport.observer = lambda call: puts.append(call.path) if call.verb == "PUT" else None
    assert sum(take_in(store, ends.con, "a", source)) == 3001
    assert len(puts) == 31 - there + 1, "the blocks that are missing, and their list"
    assert ends.own.get(ends.con, "to/copy").data == data


@pytest.mark.parametrize("near", [True, False])
def test_a_write_whose_answer_is_lost_is_ours(ends: Ends, monkeypatch: pytest.MonkeyPatch, near: bool) -> None:
    source = ends.own if near else ends.other
    source.put(ends.con, "a", b"data")
    send: Any = ends.own.service.transport.send
    lost: list[str] = []

    def losing(service: str, origin: Any, verb: str, path: str, head: bytes, *rest: Any, **more: Any) -> Any:
        answer = send(service, origin, verb, path, head, *rest, **more)
        last = near or b"comp=blocklist" in head
        if verb == "PUT" and path.endswith("/to/copy") and last and not lost:
            lost.append(path)
            raise Unanswered("lost")
        return answer

    monkeypatch.setattr(ends.own.service.transport, "send", losing)
    take_in(AzureStore(ends.own, sleep=lambda _: None), ends.con, "a", AzureStore(source))
    assert len(lost) == 1
    assert ends.own.get(ends.con, "to/copy").data == b"data"


@pytest.mark.parametrize("near", [True, False])
def test_what_changes_meanwhile_is_neither_copied_nor_replaced(ends: Ends, near: bool) -> None:
    source = ends.own if near else ends.other
    source.put(ends.con, "a", b"data")
    store, theirs = AzureStore(ends.own), AzureStore(source)
    found = theirs.find(ends.con, "a")
    assert found is not None
    origin = theirs.origin(ends.con, found)
    ends.own.put(ends.con, "to/copy", b"somebody's")
    with pytest.raises(BlobExists):
        store.take_in(ends.con, "to/copy", origin, mark=MARK, before=None, told=print)
    before = store.find(ends.con, "to/copy")
    ends.own.put(ends.con, "to/copy", b"somebody's again")
    with pytest.raises(BlobExists):
        store.take_in(ends.con, "to/copy", origin, mark=MARK, before=before, told=print)
    source.put(ends.con, "a", b"new")
    before = store.find(ends.con, "to/copy")
    with pytest.raises(Replaced):
        store.take_in(ends.con, "to/copy", origin, mark=MARK, before=before, told=print)
    with pytest.raises(Replaced):
        store.take_in(ends.con, "to/other", origin, mark=MARK, before=None, told=print)
    source.delete(ends.con, "a")
    with pytest.raises(Replaced):
        store.take_in(ends.con, "to/copy", origin, mark=MARK, before=before, told=print)
    assert ends.own.get(ends.con, "to/copy").data == b"somebody's again"


def test_why_a_source_may_not_be_read_is_said(ends: Ends) -> None:
    ends.other.put(ends.con, "a", b"data")
    found = AzureStore(ends.other).find(ends.con, "a")
    assert found is not None
    over = datetime.now(UTC) - timedelta(minutes=5)
    for blobs, told in ((ends.by_sas(expiry=over), "SAS token expired at"), (ends.by_sas("l"), "403")):
        origin = AzureStore(blobs, own=False).origin(ends.con, found)
        with pytest.raises(Refused, match=told) as refused:
            AzureStore(ends.own).take_in(ends.con, "to/copy", origin, mark=MARK, before=None, told=print)
        assert "sig=" not in str(refused.value)
    with pytest.raises(StoreFailed, match="ContainerNotFound"):
        origin = AzureStore(ends.other).origin(ends.con, found)
        AzureStore(ends.other, own=False).take_in("not-there", "x", origin, mark=MARK, before=None, told=print)


@pytest.mark.parametrize("size", [0, 3, 9 * 1024 * 1024])
def test_between_shares_and_blobs(ends: Ends, size: int) -> None:
    data = os.urandom(size)
    ends.own.put(ends.con, "a", data)
    with running_shares() as shares:
        shares.shares[ends.con] = {}
        transport = Transport()
        files = shares.files(transport)
        share, store = ShareStore(files), AzureStore(ends.own)
        assert sum(take_in(share, ends.con, "a", store)) == size
        assert shares.data(ends.con, "to/copy") == data
        (listed,) = share.list(ends.con, "to/", owners=True)
        assert (listed.owner, listed.source, listed.size) == (*MARK, size)
        assert sum(take_in(store, ends.con, "to/copy", share)) == size
        assert ends.own.get(ends.con, "to/copy").data == data
        assert sum(take_in(share, ends.con, "a", store, before=listed)) == size
        with pytest.raises(BlobExists):
            shares.shares[ends.con]["to/copy"].metadata.clear()
            take_in(share, ends.con, "a", store)
        gone = share.find(ends.con, "to/copy")
        assert gone is not None
        files.delete(ends.con, "to/copy")
        with pytest.raises(Replaced):
            origin = share.origin(ends.con, gone._replace(size=1))
            store.take_in(ends.con, "x", origin, mark=MARK, before=None, told=print)
        transport.close()
