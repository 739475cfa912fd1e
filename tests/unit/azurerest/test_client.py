"""Queues, blobs and signatures: what is refused before anything is sent, and what makes no sense in an answer."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

import azurerest
from azurerest import Account, Blobs, Queues, Tables, Transport, blobfiles, sas
from azurerest.errors import Invalid, TooLarge, Unanswered
from tests.unit.azurerest.loopback import Loopback, answer, response

NOWHERE = "http://127.0.0.1:1/account"
ACCOUNT = Account.from_connection_string(
    f"AccountName=account;AccountKey=a2V5;BlobEndpoint={NOWHERE};QueueEndpoint={NOWHERE};TableEndpoint={NOWHERE}"
)
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def queues(*, base64: bool = True) -> Queues:
    return Queues(ACCOUNT, Transport(), base64=base64)


def blobs() -> Blobs:
    return Blobs(ACCOUNT, Transport())


@pytest.mark.parametrize(
    "call",
    [
        lambda: queues().put("Queue", b""),
        lambda: queues().put("queue", b"", delay=-1),
        lambda: queues().put("queue", b"", ttl=0),
        lambda: queues().put("queue", b"", delay=8 * 24 * 3600),
        lambda: queues().receive("queue", 33),
        lambda: queues().receive("queue", 0),
        lambda: queues().receive("queue", 1, 0),
        lambda: queues().update("queue", "id", "receipt", visibility=-1),
        lambda: queues(base64=False).put("queue", b"\xff"),
        lambda: queues(base64=False).put("queue", "\x00"),
        lambda: blobs().put("c", "b", b""),
        lambda: blobs().put("con", "../b", b""),
        lambda: blobs().put("con", "b", b"", metadata={"a-b": "c"}),
        lambda: blobs().put("con", "b", b"", metadata={"a": "c\r\nd"}),
        lambda: blobs().put("con", "b", b"", content_type="a\r\nb: c"),
        lambda: blobs().append("con", "b", b""),
        lambda: blobs().append("con", "b", bytes(4 * 1024 * 1024 + 1)),
        lambda: blobs().list("con", max_results=5001),
        lambda: blobs().lease_acquire("con", "b", 5),
        lambda: blobfiles.put_block(blobs(), "con", "b", "", b""),
        lambda: blobfiles.put_block_list(blobs(), "con", "b", ["1"] * 50_001),
        lambda: Tables(ACCOUNT, Transport()).query("table", "", continuation="$filter=x"),
        lambda: Tables(ACCOUNT, Transport()).query("table", "", select=["a,b"]),
        lambda: Tables(ACCOUNT, Transport()).get("table", "a/b", "c"),
        lambda: sas.blob_url(blobs(), "con", "b", permissions="", expiry=NOW),
        lambda: sas.blob_url(blobs(), "con", "b", permissions="rq", expiry=NOW),
        lambda: sas.blob_url(blobs(), "con", "b", permissions="r", expiry=NOW, start=NOW),
        lambda: sas.blob_url(blobs(), "con", "b", permissions="r", expiry=NOW.replace(tzinfo=None)),
    ],
)
def test_refused_before_sending(call: Callable[[], object]) -> None:
    with pytest.raises(Invalid):
        call()


def test_messages_that_do_not_fit() -> None:
    with pytest.raises(TooLarge):
        queues().put("queue", bytes(49_153))
    with pytest.raises(TooLarge):
        queues(base64=False).put("queue", "ü" * 32_769)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a",
        b"\xff\xfe<\x00",
        b"<L><QueueMessage><MessageId>1</MessageId></QueueMessage></L>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><L><QueueMessage>&b;</QueueMessage></L>',
    ],
)
def test_answers_that_make_no_sense_are_unanswered(body: bytes) -> None:
    with Loopback([answer(response(200, body))]) as server:
        account = Account("account", server.url, server.url, server.url)
        with pytest.raises(Unanswered):
            Queues(account, Transport()).receive("queue")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"value": 1}', b'{"value": [{}]}'])
def test_rows_that_make_no_sense_are_unanswered(body: bytes) -> None:
    with Loopback([answer(response(200, body))]) as server:
        account = Account("account", server.url, server.url, server.url)
        with pytest.raises(Unanswered):
            Tables(account, Transport()).query("table", "")


def test_a_message_of_another_writer_that_is_not_base64() -> None:
    fields = {
        "MessageId": "1",
        "InsertionTime": "Sun, 06 Nov 1994 08:49:37 GMT",
        "ExpirationTime": "Sun, 13 Nov 1994 08:49:37 GMT",
        "PopReceipt": "r",
        "TimeNextVisible": "Sun, 06 Nov 1994 08:50:07 GMT",
        "DequeueCount": "3",
        "MessageText": "{&quot;plain&quot;: &lt;1&gt;}",
    }
    body = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
    whole = f"\ufeff<QueueMessagesList><QueueMessage>{body}</QueueMessage></QueueMessagesList>".encode()
    with Loopback([answer(response(200, whole))]) as server:
        account = Account("account", server.url, server.url, server.url)
        (message,) = Queues(account, Transport()).receive("queue")
    assert (message.id, message.pop_receipt, message.dequeue_count) == ("1", "r", 3)
    assert message.body == b'{"plain": <1>}'


def test_encoded_blob_names_in_listings() -> None:
    body = (
        b'<EnumerationResults><Blobs><Blob><Name Encoded="true">a%EF%BF%BEb</Name><Properties>'
        b"<Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified><Etag>0x1</Etag>"
        b"<Content-Length>3</Content-Length>"
        b"</Properties></Blob></Blobs><NextMarker>m</NextMarker></EnumerationResults>"
    )
    with Loopback([answer(response(200, body))]) as server:
        page = Blobs(Account("account", server.url, server.url, server.url), Transport()).list("con")
    assert (page.items[0].name, page.items[0].etag, page.items[0].size, page.marker) == ("a\ufffeb", '"0x1"', 3, "m")


def test_sas_has_a_margin_for_skewed_clocks() -> None:
    before = datetime.now(UTC) - timedelta(minutes=5, seconds=2)
    url = sas.blob_url(blobs(), "con", "b", permissions="wr", expiry=datetime.now(UTC) + timedelta(hours=1))
    fields = dict(field.split("=") for field in url.partition("?")[2].split("&"))
    started = datetime.fromisoformat(fields["st"].replace("%3A", ":"))
    assert before <= started <= before + timedelta(seconds=4)
    assert (fields["sp"], fields["spr"], fields["sr"]) == ("rw", "https", "b")


def test_streams_that_give_little_at_a_time() -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 3))

    assert blobfiles._read_full(Trickle(b"0123456789"), 8) == b"01234567"
    assert blobfiles._read_full(Trickle(b"0123456789"), 20) == b"0123456789"


def test_the_import_is_light() -> None:
    """No package beside the standard library, and none of its heavy parts."""
    code = "import sys; old = set(sys.modules); import azurerest; print(*sorted(set(sys.modules) - old))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tops = {name.partition(".")[0] for name in run.stdout.split()}
    assert tops - set(sys.stdlib_module_names) == {"azurerest"}
    assert not tops & {"ssl", "http", "email", "dataclasses", "inspect", "logging", "asyncio", "subprocess"}


def test_public_names() -> None:
    assert sorted(azurerest.__all__) == azurerest.__all__
    assert all(hasattr(azurerest, name) for name in azurerest.__all__)
