"""Transfers of large files that are broken off, whose URLs expire, or whose files change on the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.errors import TransferError
from millstream.progress import EVERY, Progress
from millstream.transfer import BLOCK, LARGE, NOTED_EVERY, Fetch, Send, fetch_all, send_all
from millstream.transport import Transport
from millstream.views import UploadTarget
from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback

SIZE = 13 * BLOCK + 12345
BLOCKS = 14
MEMORY = 60_000_000 + 10 * BLOCK
DOWNLOAD = """
import sys
from pathlib import Path
from millstream.transfer import Fetch, fetch_all
from millstream.transport import Transport
url, size, sha256, target = sys.argv[1:]
fetch_all(Transport(), [Fetch(url=url, size=int(size), sha256=sha256 or None, target=Path(target))])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


class Blob:
    """One blob behind a real server, whose URLs are good as long as their `key` is the present one."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.etag = '"1"'
        self.key = "1"
        self.stuck_from: int | None = None
        self.replaced_from: int | None = None
        self.stuck = threading.Event()
        self.go_on = threading.Event()
        self.staged: dict[str, bytes] = {}
        self.refuse_from: int | None = None
        self.server: Loopback

    @property
    def url(self) -> str:
        return f"{self.server.url}/blob?key={self.key}"

    @property
    def starts(self) -> list[int]:
        """The first byte of each block that was asked for."""
        ranges = [asked.headers["range"] for asked in self.server.asked if "range" in asked.headers]
        return [int(text.removeprefix("bytes=").partition("-")[0]) for text in ranges]

    def answer(self, asked: Asked) -> Answer:
        if f"key={self.key}" not in asked.path:
            return Answer(403)
        return self._get(asked) if asked.method == "GET" else self._put(asked)

    def _get(self, asked: Asked) -> Answer:
        first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        if self.replaced_from is not None and first >= self.replaced_from:
            self.etag = '"2"'
        if asked.headers.get("if-match", self.etag) != self.etag:
            return Answer(412)
        if self.stuck_from is not None and first >= self.stuck_from:
            self.stuck.set()
            self.go_on.wait(60)
        return Answer(206, self.data[first : last + 1], {"ETag": self.etag})

    def _put(self, asked: Asked) -> Answer:
        if "comp=blocklist" in asked.path:
            names = [part.partition("</Latest>")[0] for part in asked.body.decode().split("<Latest>")[1:]]
            if any(name not in self.staged for name in names):
                return Answer(400)
            self.data = b"".join(self.staged[name] for name in names)
            self.staged.clear()
            return Answer(201)
        if self.refuse_from is not None and len(self.staged) >= self.refuse_from:
            return Answer(404)
        name = asked.path.partition("blockid=")[2].replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
        self.staged[name] = asked.body
        return Answer(201)

    def fetch(self, target: Path, *, sha256: bool = True, etag: str = "") -> Fetch:
        summed = hashlib.sha256(self.data).hexdigest() if sha256 else None
        return Fetch(
            url=self.url, size=len(self.data), sha256=summed, target=target, etag=etag, renew=lambda _: self.url
        )


@pytest.fixture(scope="module")
def data() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def blob(data: bytes) -> Iterator[Blob]:
    made = Blob(data)
    with loopback(made.answer) as made.server:
        yield made
        made.go_on.set()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def down(tmp_path: Path) -> Path:
    folder = tmp_path / "down"
    folder.mkdir()
    return folder


def begin(blob: Blob, target: Path, *, sha256: str) -> None:
    """A process that has downloaded much, and is killed."""
    blob.stuck_from = (NOTED_EVERY + 2) * BLOCK
    command = [sys.executable, "-c", DOWNLOAD, blob.url, str(len(blob.data)), sha256, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        state = target.with_name(f".millstream-{target.name}.part.json")
        assert blob.stuck.wait(60)
        for _ in range(600):
            if state.exists() and json.loads(state.read_bytes())["done"] > NOTED_EVERY * BLOCK:
                break
            threading.Event().wait(0.05)
        process.send_signal(signal.SIGKILL)
    blob.stuck_from = None
    blob.go_on.set()
    blob.server.asked.clear()


@pytest.mark.parametrize("known", [True, False])
def test_a_download_whose_process_was_killed_goes_on_in_another(blob: Blob, down: Path, known: bool) -> None:
    sha256 = hashlib.sha256(blob.data).hexdigest() if known else ""
    begin(blob, down / "big", sha256=sha256)
    assert not (down / "big").exists()
    command = [sys.executable, "-c", DOWNLOAD, blob.url, str(len(blob.data)), sha256, str(down / "big")]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    assert (down / "big").read_bytes() == blob.data
    assert min(blob.starts) > NOTED_EVERY * BLOCK
    assert [path.name for path in down.iterdir()] == ["big"]
    assert int(done.stdout) * 1024 < MEMORY, "memory does not grow with the file"


def test_what_was_left_of_another_version_is_not_used(blob: Blob, transport: Transport, down: Path) -> None:
    begin(blob, down / "big", sha256="")
    blob.data, blob.etag = blob.data[::-1], '"2"'
    fetch_all(transport, [blob.fetch(down / "big", sha256=False)])
    assert (down / "big").read_bytes() == blob.data
    assert 0 in blob.starts


def test_what_was_left_is_not_used_when_the_listing_has_another_version(
    blob: Blob, transport: Transport, down: Path
) -> None:
    begin(blob, down / "big", sha256="")
    fetch_all(transport, [blob.fetch(down / "big", sha256=False, etag="2")])
    assert blob.starts.count(0) == 1


def test_bytes_that_were_damaged_meanwhile_are_brought_again(blob: Blob, transport: Transport, down: Path) -> None:
    begin(blob, down / "big", sha256="")
    with (down / ".millstream-big.part").open("r+b") as part:
        part.seek(1000)
        part.write(b"other bytes")
    fetch_all(transport, [blob.fetch(down / "big", sha256=False)])
    assert (down / "big").read_bytes() == blob.data
    assert sorted(blob.starts) == list(range(0, SIZE, BLOCK))


def test_two_downloads_of_one_file_do_not_disturb_each_other(blob: Blob, transport: Transport, down: Path) -> None:
    blob.stuck_from = 2 * BLOCK
    other = threading.Thread(target=fetch_all, args=(Transport(), [blob.fetch(down / "big")]))
    other.start()
    assert blob.stuck.wait(60)
    blob.stuck_from = None
    fetch_all(transport, [blob.fetch(down / "big")])
    assert (down / "big").read_bytes() == blob.data
    blob.go_on.set()
    other.join()
    assert (down / "big").read_bytes() == blob.data
    assert [path.name for path in down.iterdir()] == ["big"]


def test_a_file_that_is_replaced_on_the_way_is_not_kept(blob: Blob, transport: Transport, down: Path) -> None:
    blob.replaced_from = 3 * BLOCK
    with pytest.raises(TransferError, match="was replaced meanwhile"):
        fetch_all(transport, [blob.fetch(down / "big")])
    assert list(down.iterdir()) == []


def test_urls_that_expire_are_exchanged_on_the_way(blob: Blob, transport: Transport, down: Path) -> None:
    keys = iter(range(2, 1000))

    def expire(_: str) -> None:
        blob.key = str(next(keys))

    progress = Progress("x", tell=expire, clock=iter(range(0, 10**6, int(EVERY))).__next__)
    assert fetch_all(transport, [blob.fetch(down / "big")], progress) == 1
    assert (down / "big").read_bytes() == blob.data
    assert int(blob.key) > 10


def test_a_url_that_cannot_be_exchanged_is_an_error_and_leaves_what_came(
    blob: Blob, transport: Transport, down: Path
) -> None:
    def expire(_: str) -> None:
        blob.key = "2"

    stale = Fetch(url=blob.url, size=SIZE, sha256=None, target=down / "big")
    progress = Progress("x", tell=expire, clock=iter(range(0, 10**6, int(EVERY))).__next__)
    with pytest.raises(TransferError, match="expired"):
        fetch_all(transport, [stale], progress)
    assert sorted(path.name for path in down.iterdir()) in ([".millstream-big.part", ".millstream-big.part.json"], [])
    assert fetch_all(transport, [blob.fetch(down / "big", sha256=False)]) == 1
    assert (down / "big").read_bytes() == blob.data


def target(blob: Blob) -> UploadTarget:
    return UploadTarget(url=blob.url, headers={"x-ms-blob-type": "BlockBlob"})


def test_an_upload_that_was_broken_off_sends_the_rest(
    blob: Blob, transport: Transport, tmp_path: Path, data: bytes, cache: Path
) -> None:
    (tmp_path / "up").write_bytes(data)
    blob.data, blob.refuse_from = b"", 5
    with pytest.raises(TransferError):
        send_all(transport, [Send(path=tmp_path / "up", target=target(blob))])
    sent = len(blob.staged)
    assert (5 <= sent < BLOCKS, blob.data) == (True, b"")
    blob.refuse_from = None
    blob.server.asked.clear()
    assert send_all(transport, [Send(path=tmp_path / "up", target=target(blob))]) == 1
    assert blob.data == data
    assert len([asked for asked in blob.server.asked if "comp=block&" in asked.path]) == BLOCKS - sent
    assert list((cache / "millstream" / "uploads").iterdir()) == []


def test_a_file_that_changed_since_an_upload_was_broken_off_goes_up_as_it_is(
    blob: Blob, transport: Transport, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "up").write_bytes(data)
    blob.refuse_from = 5
    with pytest.raises(TransferError):
        send_all(transport, [Send(path=tmp_path / "up", target=target(blob))])
    blob.refuse_from = None
    changed = b"new" + data[3:]
    (tmp_path / "up").write_bytes(changed)
    send_all(transport, [Send(path=tmp_path / "up", target=target(blob))])
    assert blob.data == changed


def test_blocks_that_storage_has_forgotten_are_sent_again(
    blob: Blob, transport: Transport, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "up").write_bytes(data)
    blob.refuse_from = 5
    with pytest.raises(TransferError):
        send_all(transport, [Send(path=tmp_path / "up", target=target(blob))])
    blob.refuse_from = None
    blob.staged.clear()
    assert send_all(transport, [Send(path=tmp_path / "up", target=target(blob))]) == 1
    assert blob.data == data


def test_an_upload_whose_url_expires_goes_on_under_another(
    blob: Blob, transport: Transport, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "up").write_bytes(data)
    send = Send(path=tmp_path / "up", target=target(blob), renew=lambda: target(blob))
    blob.key = "2"
    assert send_all(transport, [send]) == 1
    assert blob.data == data
    blob.key = "3"
    there = Send(path=tmp_path / "up", target=send.target, renew=lambda: None)
    assert send_all(transport, [there]) == 0


def test_progress_says_how_far_it_is_now_and_then() -> None:
    now = [0.0]
    told: list[str] = []
    progress = Progress("Downloading", files=3, size=LARGE, clock=lambda: now[0], tell=told.append)
    progress.add(1_000_000, files=1)
    assert told == []
    now[0] = 2 * EVERY
    progress.add(30_000_000, kept=True)
    progress.add(1_000_000)
    assert told == ["Downloading: 1 of 3 files, 31.0 MB of 67.1 MB after 10 s, 100.0 kB/s"]
