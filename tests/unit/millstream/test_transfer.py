"""Files up and down by URL: streamed, checked, several at once, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.errors import InvalidRequest, TransferError
from millstream.transfer import Fetch, Send, below, fetch_all, send, send_all
from millstream.transport import Transport
from millstream.views import UploadTarget
from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback


class Store:
    """Blobs behind a real server."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.refused: dict[str, int] = {}
        self.busiest = 0
        self._busy = 0
        self._lock = threading.Lock()
        self.server: Loopback

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            if asked.path in self.refused:
                return Answer(self.refused[asked.path])
            if asked.method == "GET":
                return Answer(200, self.blobs[asked.path])
            if asked.path in self.blobs and "if-none-match" in asked.headers:
                return Answer(409)
            self.blobs[asked.path] = asked.body
            return Answer(201)
        finally:
            with self._lock:
                self._busy -= 1

    def fetch(self, path: str, target: Path, *, sha256: str | None = None, size: int | None = None) -> Fetch:
        data = self.blobs.get(path, b"")
        return Fetch(url=self.server.url + path, size=len(data) if size is None else size, sha256=sha256, target=target)

    def target(self, path: str, **headers: str) -> UploadTarget:
        return UploadTarget(url=self.server.url + path, headers={"x-ms-blob-type": "BlockBlob", **headers})


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    with loopback(made.answer) as made.server:
        yield made


@pytest.fixture
def transport() -> Transport:
    return Transport()


def test_many_files_go_up_and_come_down_again(store: Store, transport: Transport, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * number * 1000)
    sent = send_all(transport, [Send(path=tmp_path / f"{n}", target=store.target(f"/{n}")) for n in range(40)])
    assert sent == 40
    down = tmp_path / "down"
    wishes = [store.fetch(f"/{n}", down / f"sub{n % 3}" / f"{n}", sha256=_sum(store.blobs[f"/{n}"])) for n in range(40)]
    assert fetch_all(transport, wishes) == 40
    assert all((down / f"sub{n % 3}" / f"{n}").read_bytes() == (tmp_path / f"{n}").read_bytes() for n in range(40))
    assert store.busiest <= 8
    assert {asked.headers["x-ms-blob-type"] for asked in store.server.asked if asked.method == "PUT"} == {"BlockBlob"}


def test_what_is_there_and_must_stay_is_not_an_error(store: Store, transport: Transport) -> None:
    store.blobs["/a"] = b"old"
    assert not send(transport, io.BytesIO(b"new"), store.target("/a", **{"If-None-Match": "*"}), "a")
    assert store.blobs["/a"] == b"old"


@pytest.mark.parametrize(("status", "says"), [(403, "has expired"), (404, "storage says 404")])
def test_a_refusal_names_the_file(store: Store, transport: Transport, tmp_path: Path, status: int, says: str) -> None:
    store.refused["/a"] = status
    with pytest.raises(TransferError, match=rf"model\.pkl could not be uploaded: .*{says}"):
        send(transport, io.BytesIO(b"x"), store.target("/a"), "model.pkl")
    with pytest.raises(TransferError, match=says):
        fetch_all(transport, [store.fetch("/a", tmp_path / "a")])
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_are_not_the_ones_stored_are_not_kept(store: Store, transport: Transport, tmp_path: Path) -> None:
    store.blobs["/a"] = b"tampered"
    (tmp_path / "a").write_text("before")
    for wish in (store.fetch("/a", tmp_path / "a", sha256="0" * 64), store.fetch("/a", tmp_path / "a", size=9)):
        with pytest.raises(TransferError, match="did not arrive as it was stored"):
            fetch_all(transport, [wish])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "before")]


def test_one_failure_stops_the_rest(store: Store, transport: Transport, tmp_path: Path) -> None:
    store.refused["/0"] = 404
    store.blobs |= {f"/{n}": b"x" for n in range(1, 200)}
    with pytest.raises(TransferError):
        fetch_all(transport, [store.fetch(f"/{n}", tmp_path / f"{n}") for n in range(200)])
    assert len(list(tmp_path.iterdir())) < 200
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_large_file_is_streamed(store: Store, transport: Transport, tmp_path: Path) -> None:
    data = bytes(range(256)) * 40_000
    store.blobs["/big"] = data
    fetch_all(transport, [store.fetch("/big", tmp_path / "big", sha256=_sum(data))])
    assert (tmp_path / "big").read_bytes() == data
    assert (tmp_path / "big").stat().st_mode & 0o600 == 0o600


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a\\..\\x", ""])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidRequest):
        below(tmp_path, path)


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
