"""File shares of registered datastores: what is listed, looked at and signed for clients."""

from __future__ import annotations

import base64
import os
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from azurerest import Account, Blobs, Transport
from azurerest.sas import share_query
from millstream.errors import TransferError
from millstream.share_upload import Draft
from millstream.transfer import LARGE, RANGE, Fetch, Send, fetch_all, send_all
from millstream.transport import Transport as ClientTransport
from millstream.views import FinishTarget, UploadTarget
from orchestrator.adapters.azure_files import AzureFiles
from orchestrator.adapters.containers import Containers
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.adapters.relays import Relays
from orchestrator.adapters.sealing import Sealing
from orchestrator.catalog import datastores, relay
from orchestrator.core.datastore import Auth, Datastore, address_of
from orchestrator.core.errors import Conflict, InvalidRequest, UnknownThing
from orchestrator.core.relay import Ticket
from orchestrator.core.secret import Secret
from orchestrator.files import (
    FileHead,
    FileSize,
    ListFiles,
    ReadPart,
    SignDownload,
    SignUpload,
    TryContainer,
)
from tests.fileshare_standin import ACCOUNT, KEY, Shares, running_shares

SHARE = "data"


class Place(NamedTuple):
    shares: Shares
    world: MemoryWorld
    known: dict[str, tuple[Datastore, Secret]]

    def described(self, auth: Auth = "account_key", **changes: str) -> tuple[Datastore, Secret]:
        files = self.shares.files(Transport())
        sas = share_query(
            files, SHARE, permissions="rcwdl", expiry=datetime.now(UTC) + timedelta(hours=1), protocol="https,http"
        )
        found = Datastore(
            name="share", type="AzureFile", auth=auth, account=ACCOUNT, container=SHARE, endpoint=self.shares.endpoint
        )
        return msgspec.structs.replace(found, **changes), Secret(KEY if auth == "account_key" else sas)

    def registered(self, auth: Auth = "account_key", **changes: str) -> str:
        found, secret = self.described(auth, **changes)
        self.known[found.name] = found, secret
        return address_of(found)

    def upload(self, address: str, name: str, draft: str = "", *, replace: bool = False) -> UploadTarget:
        wish = SignUpload(container=address, name=name, seconds=600, draft=draft, replace=replace)
        signed = self.world.run(iter(wish))
        assert signed.finish is not None
        finish = FinishTarget(url=signed.finish.url, headers=dict(signed.finish.headers))
        return UploadTarget(url=signed.url, headers=dict(signed.headers), finish=finish)

    def names(self) -> list[str]:
        return sorted(name for name, node in self.shares.shares[SHARE].items() if node.data is not None)


@pytest.fixture
def place() -> Iterator[Place]:
    with running_shares() as shares:
        shares.shares[SHARE] = {}
        known: dict[str, tuple[Datastore, Secret]] = {}
        own = Blobs(Account.from_connection_string("UseDevelopmentStorage=true"), Transport(sleep=lambda _: None))
        world = MemoryWorld()
        sealing = Sealing([Secret(base64.b64encode(b"k" * 32).decode())])
        sealing.install(world)
        AzureFiles(Containers(own, find=lambda name: known[name]), relays=Relays(sealing)).install(world)
        yield Place(shares, world, known)


@pytest.fixture
def transport() -> Iterator[ClientTransport]:
    transport = ClientTransport()
    yield transport
    transport.close()


@pytest.mark.parametrize("size", [0, 5, RANGE + 1, LARGE + 1])
def test_a_client_writes_and_reads(place: Place, transport: ClientTransport, tmp_path: Path, size: int) -> None:
    address, data = place.registered(), os.urandom(size)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    send = Send(path=source, target=place.upload(address, "a b/ü/x.csv"))
    assert send_all(transport, [send]) == 1
    assert place.shares.data(SHARE, "a b/ü/x.csv") == data
    (item,) = place.world.run(iter(ListFiles(container=address, prefix="a"))).items
    head = place.world.run(iter(FileHead(container=address, name=item.name)))
    assert head is not None
    assert msgspec.structs.replace(head, metadata={}) == item
    url = place.world.run(iter(SignDownload(container=address, name=item.name, seconds=60)))
    assert KEY not in url
    fetch_all(transport, [Fetch(url=url, size=size, sha256=None, target=target, etag=item.etag)])
    assert target.read_bytes() == data
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(url, b"", {"x-ms-type": "file"}, method="PUT"), timeout=10)


@pytest.mark.parametrize("what", ["comp=range", "comp=rename"])
def test_a_url_that_expires_on_the_way(place: Place, transport: ClientTransport, tmp_path: Path, what: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    address, id = place.registered(), "1" * 32
    expired = [True]

    def renew() -> UploadTarget | None:
        expired.clear()
        return place.upload(address, "x", id)

    place.shares.refuse = lambda verb, path, query: bool(expired) and what in query
    assert send_all(transport, [Send(path=source, target=place.upload(address, "x", id), renew=renew)]) == 1
    assert place.names() == ["x"]
    expired.append(True)
    assert send_all(transport, [Send(path=source, target=place.upload(address, "y", id), renew=lambda: None)]) == 0
    assert place.names() == ["x"], "somebody else has made it meanwhile: nothing of ours is left"


def test_a_file_appears_whole_and_stays_where_it_is_not_to_be_replaced(
    place: Place, transport: ClientTransport, tmp_path: Path
) -> None:
    source, seen = tmp_path / "source", []
    source.write_bytes(bytes(2 * RANGE))
    address = place.registered()

    def look(verb: str, path: str, query: str) -> bool:
        if "comp=range" in query:
            seen.append([item.name for item in place.world.run(iter(ListFiles(container=address, prefix=""))).items])
        return False

    place.shares.refuse = look
    target = place.upload(address, "a")
    assert send_all(transport, [Send(path=source, target=target)]) == 1
    assert seen == [[], []]
    source.write_bytes(b"other")
    assert send_all(transport, [Send(path=source, target=place.upload(address, "a"))]) == 0
    assert place.shares.data(SHARE, "a") == bytes(2 * RANGE)
    assert send_all(transport, [Send(path=source, target=place.upload(address, "a", replace=True))]) == 1
    assert place.shares.data(SHARE, "a") == b"other"
    assert place.names() == ["a"]


def test_a_large_upload_goes_on_where_it_was_broken_off(
    place: Place, transport: ClientTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source, address, data = tmp_path / "source", place.registered(), os.urandom(LARGE + 1)
    source.write_bytes(data)

    def ranges() -> int:
        return sum("comp=range" in query for _, _, query in place.shares.calls)

    def send() -> int:
        draft = Draft("here", source)
        return send_all(transport, [Send(path=source, target=place.upload(address, "x", draft.id), draft=draft)])

    place.shares.refuse = lambda verb, path, query: "comp=range" in query and ranges() > 5
    with pytest.raises(TransferError):
        send()
    assert place.names() != ["x"]
    place.shares.refuse, before = lambda verb, path, query: False, ranges()
    with closing_draft(Draft("here", source)) as other:
        assert other.done, "it is noted"
        with closing_draft(Draft("here", source)) as second:
            assert (second.lasts, second.done, second.id == other.id) == (False, frozenset(), False)
    assert send() == 1
    assert ranges() - before == LARGE // RANGE + 1 - 5
    assert place.shares.data(SHARE, "x") == data
    assert not list((tmp_path / "cache").rglob("share-*")), "nothing is left to go on with"
    # What was begun is not there any more.
    place.shares.refuse = lambda verb, path, query: "comp=range" in query and ranges() > 30
    source.write_bytes(data[:-1])
    with pytest.raises(TransferError):
        send()
    (left,) = [name for name in place.names() if name != "x"]
    del place.shares.shares[SHARE][left]
    place.shares.refuse = lambda verb, path, query: False
    assert send() == 0, "x is there"
    assert place.names() == ["x"]


@contextmanager
def closing_draft(draft: Draft) -> Iterator[Draft]:
    try:
        yield draft
    finally:
        draft.close()


def test_an_answer_to_the_renaming_that_is_lost(place: Place, transport: ClientTransport, tmp_path: Path) -> None:
    source, lost = tmp_path / "source", [True]
    source.write_bytes(b"x")
    place.shares.lose = lambda verb, path, query: "comp=rename" in query and bool(lost and lost.pop())
    assert send_all(transport, [Send(path=source, target=place.upload(place.registered(), "x"))]) == 1
    assert (place.shares.data(SHARE, "x"), lost) == (b"x", [])


def test_an_upload_that_fails_leaves_nothing(place: Place, transport: ClientTransport, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(RANGE + 1))
    target = place.upload(place.registered(), "a/x")
    place.shares.refuse = lambda verb, path, query: (
        "comp=range" in query and sum("comp=range" in asked for _, _, asked in place.shares.calls) > 1
    )
    with pytest.raises(TransferError, match="could not be uploaded"):
        send_all(transport, [Send(path=source, target=target)])
    assert sorted(place.shares.shares[SHARE]) == ["a"]


def test_a_file_that_is_replaced_while_it_comes(place: Place, transport: ClientTransport, tmp_path: Path) -> None:
    address = place.registered()
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(LARGE + 1))
    send_all(transport, [Send(path=source, target=place.upload(address, "x"))])
    url = place.world.run(iter(SignDownload(container=address, name="x", seconds=60)))

    def change(verb: str, path: str, query: str) -> bool:
        place.shares.file(SHARE, "x").etag = place.shares.etag()
        return False

    place.shares.refuse = change
    with pytest.raises(TransferError, match="replaced meanwhile"):
        fetch_all(transport, [Fetch(url=url, size=LARGE + 1, sha256=None, target=target)])
    assert not target.exists()


def test_pages_parts_and_folders(place: Place) -> None:
    address = place.registered()
    for name in ("a/b/1", "a/b/2", "a/c", "a.txt"):
        put(place, address, name, name.encode())
    pages, marker = [], None
    while True:
        page = place.world.run(iter(ListFiles(container=address, prefix="", limit=3, marker=marker)))
        pages.append([item.name for item in page.items])
        marker = page.marker
        if marker is None:
            break
    assert pages == [["a.txt", "a/b/1", "a/b/2"], ["a/c"]]
    assert page.at > 0
    flat = place.world.run(iter(ListFiles(container=address, prefix="a/", deep=False)))
    assert [item.name for item in flat.items] == ["a/c"]
    with pytest.raises(InvalidRequest) as refused:
        place.world.run(iter(ListFiles(container=address, prefix="a/", marker="b")))
    assert refused.value.field == "continuation"
    part = place.world.run(iter(ReadPart(container=address, name="a/c", start=1, limit=9)))
    assert part is not None
    assert (part.data, part.size) == (b"/c", 3)
    for name in ("none", "a"):
        assert place.world.run(iter(FileSize(container=address, name=name))) is None
    assert place.world.run(iter(ReadPart(container=address, name="none", start=0, limit=9))) is None
    slots = place.world.run(
        datastores.prepare_uploads(
            address,
            [datastores.UploadFile(path=path, size=1) for path in ("a/c", "a/d")],
            overwrite=False,
            url_seconds=60,
        )
    )
    assert [slot.exists for slot in slots] == [True, False]


def put(place: Place, address: str, name: str, data: bytes) -> None:
    target = place.upload(address, name)
    assert target.finish is not None
    for url, headers, body in (
        (target.url, {"x-ms-type": "file", "x-ms-content-length": str(len(data))}, b""),
        (f"{target.url}&comp=range", {"x-ms-write": "update", "x-ms-range": f"bytes=0-{len(data) - 1}"}, data),
        (f"{target.finish.url}&comp=rename", target.finish.headers, b""),
    ):
        request = urllib.request.Request(url, body, headers, method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status in (200, 201)


def test_a_share_that_is_not_there(place: Place) -> None:
    address = place.registered(container="other")
    assert place.world.run(iter(ListFiles(container=address, prefix=""))).items == ()
    assert place.world.run(iter(FileHead(container=address, name="x"))) is None
    with pytest.raises(Conflict, match="no share 'other'"):
        place.world.run(iter(SignUpload(container=address, name="a/x", seconds=60)))
    found, secret = place.described(container="other")
    with pytest.raises(InvalidRequest, match="no share") as refused:
        place.world.run(iter(TryContainer(datastore=found, secret=secret)))
    assert refused.value.field == "container"
    place.world.run(iter(TryContainer(datastore=found, secret=secret, create=True)))
    assert "other" in place.shares.shares


def test_a_sas_lists_and_does_not_sign(place: Place) -> None:
    address = place.registered("sas")
    place.world.run(iter(TryContainer(datastore=place.known["share"][0], secret=place.known["share"][1])))
    assert place.world.run(iter(ListFiles(container=address, prefix=""))).items == ()
    for effect in (
        SignUpload(container=address, name="x", seconds=60),
        SignDownload(container=address, name="x", seconds=60),
    ):
        with pytest.raises(Conflict, match="cannot sign"):
            place.world.run(iter(effect))


def test_what_only_a_sas_opens_passes_through_the_service(place: Place) -> None:
    address, far = place.registered("sas"), "https://service.example"
    signed = place.world.run(iter(SignUpload(container=address, name="a/ü", seconds=60, relay=far)))
    assert "sig=" not in signed.url
    assert signed.finish is not None
    assert (signed.headers["x-ms-type"], signed.finish.url) == ("file", signed.url)
    ticket = opened(place, signed.url)
    writing = partial(relay.write, ticket, block="")
    place.world.run(writing(comp="", headers={"x-ms-content-length": "4"}, body=b""))
    place.world.run(writing(comp="range", headers={"x-ms-range": "bytes=0-3"}, body=b"data"))
    assert place.world.run(iter(ListFiles(container=address, prefix=""))).items == ()
    for _ in range(2):
        place.world.run(writing(comp="rename", headers={}, body=b""))
    assert place.shares.data(SHARE, "a/ü") == b"data"
    url = place.world.run(iter(SignDownload(container=address, name="a/ü", seconds=60, relay=far)))
    part, start = place.world.run(relay.read(opened(place, url), "bytes=1-2"))
    assert (part.data, part.size, start) == (b"at", 4, 1)
    for wrong in ({"x-ms-content-length": "-1"}, {}, {"x-ms-content-length": "1" * 20}):
        with pytest.raises(InvalidRequest):
            place.world.run(writing(comp="", headers=wrong, body=b""))
    with pytest.raises(InvalidRequest):
        place.world.run(writing(comp="properties", headers={}, body=b""))
    for _ in range(2):
        place.world.run(relay.remove(ticket))
    assert place.shares.data(SHARE, "a/ü") == b"data", "what is whole is not the ticket's to take away"
    again = opened(place, place.world.run(iter(SignUpload(container=address, name="a/ü", seconds=60, relay=far))).url)
    place.world.run(relay.write(again, comp="", block="", headers={"x-ms-content-length": "0"}, body=b""))
    with pytest.raises(Conflict):
        place.world.run(relay.write(again, comp="rename", block="", headers={}, body=b""))
    place.shares.shares[SHARE].clear()
    with pytest.raises(UnknownThing):
        place.world.run(relay.read(opened(place, url), ""))


def opened(place: Place, url: str) -> Ticket:
    """The ticket in a URL of the service."""
    parts = urlsplit(url)
    (text,) = parse_qs(parts.query)["ticket"]
    found = place.world.run(relay.opened(text, parts.path.rpartition("/")[2]))
    assert found is not None
    return found


def test_a_ticket_ends(place: Place) -> None:
    address = place.registered("sas")
    url = place.world.run(iter(SignDownload(container=address, name="x", seconds=-1, relay="http://service")))
    text = parse_qs(urlsplit(url).query)["ticket"][0]
    assert place.world.run(relay.opened(text, urlsplit(url).path.rpartition("/")[2])) is None


def test_a_sas_that_has_ended_or_allows_too_little_is_said(place: Place) -> None:
    files = place.shares.files(Transport())
    past = share_query(files, SHARE, permissions="rcwdl", expiry=datetime.now(UTC) + timedelta(seconds=1))
    past = re.sub("se=[^&]*", "se=2020-01-01T00%3A00%3A00Z", past)
    read = share_query(files, SHARE, permissions="rl", expiry=datetime.now(UTC) + timedelta(hours=1))
    for secret, match in ((past, "expired at 2020"), (read, r"write files \(sp=rl\)")):
        found, _ = place.described("sas")
        found = msgspec.structs.replace(found, created_at=float(len(secret)))
        place.known[found.name] = found, Secret(secret)
        with pytest.raises(Conflict, match=match):
            place.world.run(iter(SignUpload(container=address_of(found), name="x", seconds=9, relay="http://service")))


def test_what_a_share_cannot_do_is_said(place: Place) -> None:
    address = place.registered()
    put(place, address, "file", b"x")
    with pytest.raises(InvalidRequest, match="cannot hold"):
        place.world.run(iter(SignUpload(container=address, name="a?", seconds=60)))
    with pytest.raises(Conflict, match="ResourceTypeMismatch"):
        place.world.run(iter(SignUpload(container=address, name="file/x", seconds=60)))
    found, _ = place.described()
    with pytest.raises(InvalidRequest) as refused:
        place.world.run(iter(TryContainer(datastore=found, secret=Secret("d3Jvbmc="))))
    assert refused.value.field == "secret"
