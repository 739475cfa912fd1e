"""The client's transfers of large files by signed URLs, on Azurite."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from azurerest import Account, Blobs, sas
from azurerest import Transport as StorageTransport
from millstream.errors import TransferError
from millstream.transfer import BLOCK, LARGE, Fetch, Send, fetch_all, send_all
from millstream.transport import Transport
from millstream.views import UploadTarget


@pytest.fixture
def blobs(azurite_connection: str) -> Iterator[Blobs]:
    transport = StorageTransport()
    yield Blobs(Account.from_connection_string(azurite_connection), transport)
    transport.close()


@pytest.fixture
def container(blobs: Blobs) -> str:
    name = f"client-{uuid.uuid4().hex}"
    blobs.create_container(name)
    return name


def signed(blobs: Blobs, container: str, permissions: str, seconds: float = 600) -> str:
    expiry = datetime.now(UTC) + timedelta(seconds=seconds)
    return sas.blob_url(blobs, container, "large", permissions=permissions, expiry=expiry, protocol="https,http")


def test_a_large_file_goes_up_and_comes_down_in_blocks(blobs: Blobs, container: str, tmp_path: Path) -> None:
    data = os.urandom(BLOCK) * (LARGE // BLOCK) + b"end"
    (tmp_path / "up").write_bytes(data)
    transport = Transport()
    target = UploadTarget(
        url=signed(blobs, container, "cw"), headers={"x-ms-blob-type": "BlockBlob", "If-None-Match": "*"}
    )
    assert send_all(transport, [Send(path=tmp_path / "up", target=target)]) == 1
    assert send_all(transport, [Send(path=tmp_path / "up", target=target)]) == 0
    sha256 = hashlib.sha256(data).hexdigest()
    wish = Fetch(url=signed(blobs, container, "r"), size=len(data), sha256=sha256, target=tmp_path / "down")
    assert fetch_all(transport, [wish]) == 1
    assert (tmp_path / "down").read_bytes() == data
    expired = Fetch(url=signed(blobs, container, "r", -60), size=len(data), sha256=sha256, target=tmp_path / "late")
    with pytest.raises(TransferError, match="expired"):
        fetch_all(transport, [expired])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["down", "up"]
    transport.close()
