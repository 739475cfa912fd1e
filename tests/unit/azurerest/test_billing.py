"""Under which price each request of the client goes, and who is told of it."""

from __future__ import annotations

import contextvars
import socket
import threading

import pytest

from azurerest import Account, Blobs, Call, Queues, Tables, Transport, Unreachable, observing
from azurerest.billing import CLASSES, billed_as


@pytest.mark.parametrize(
    ("service", "verb", "query", "billed"),
    [
        ("blob", "PUT", "", "blob_write"),
        ("blob", "PUT", "comp=block&blockid=AAAA", "blob_write"),
        ("blob", "PUT", "comp=blocklist", "blob_write"),
        ("blob", "PUT", "comp=appendblock", "blob_write"),
        ("blob", "PUT", "comp=metadata", "blob_other"),
        ("blob", "PUT", "comp=lease", "blob_other"),
        ("blob", "PUT", "restype=container", "blob_list"),
        ("blob", "GET", "", "blob_read"),
        ("blob", "GET", "restype=container&comp=list", "blob_list"),
        ("blob", "GET", "comp=list", "blob_list"),
        ("blob", "GET", "comp=blocklist", "blob_other"),
        ("blob", "HEAD", "", "blob_other"),
        ("blob", "HEAD", "restype=container", "blob_other"),
        ("blob", "DELETE", "", "blob_delete"),
        ("blob", "POST", "restype=service&comp=userdelegationkey", "blob_other"),
        ("file", "PUT", "comp=range", "file_write"),
        ("file", "PUT", "comp=rename", "file_other"),
        ("file", "GET", "restype=directory&comp=list", "file_list"),
        ("file", "DELETE", "", "file_delete"),
        ("table", "GET", "$filter=x", "table_read"),
        ("table", "POST", "", "table_write"),
        ("table", "PATCH", "", "table_write"),
        ("table", "DELETE", "", "table_write"),
        ("queue", "GET", "numofmessages=16", "queue"),
        ("queue", "DELETE", "popreceipt=x", "queue"),
    ],
)
def test_the_class_of_a_request(service: str, verb: str, query: str, billed: str) -> None:
    pairs = tuple(tuple(pair.split("=", 1)) for pair in query.split("&") if pair)
    assert billed_as(service, verb, pairs) == billed  # type: ignore[arg-type]
    assert billed in CLASSES


def test_a_context_is_told_of_its_requests_whatever_the_transport() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there, and nobody else comes to
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        account = Account("account", url, url, url)
        everybody: list[Call] = []
        transport = Transport(observer=everybody.append, sleep=lambda _: None)
        blobs, queues, tables = Blobs(account, transport), Queues(account, transport), Tables(account, Transport())
        mine: list[Call] = []
        others = threading.Thread(target=contextvars.Context().run, args=(_refused, lambda: queues.put("q-1", b"x")))
        with observing(mine.append):
            _refused(lambda: blobs.put("c-1", "name", b"abc"))
            _refused(lambda: tables.insert("tab", "p", "r", {}))
            others.start()
            others.join()
        _refused(lambda: blobs.delete("c-1", "name"))
    assert [call.billed for call in mine] == ["blob_write", "table_write"]
    assert [call.billed for call in everybody] == ["blob_write", "queue", "blob_delete"]


def _refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(Unreachable):
        call()
