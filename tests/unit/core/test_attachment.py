"""What may be attached, and what a secret must not be sent to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.core.attachment import Attachment, check, decode, encode
from orchestrator.core.errors import InvalidRequest

DATABRICKS = Attachment(name="spark", type="Databricks", url="https://adb-1.7.azuredatabricks.net")
SYNAPSE = Attachment(name="spark", type="Synapse", url="https://w.dev.azuresynapse.net", pool="small", auth="identity")


@pytest.mark.parametrize(
    "given",
    [
        DATABRICKS,
        SYNAPSE,
        msgspec.structs.replace(DATABRICKS, url="http://127.0.0.1:8080"),
        msgspec.structs.replace(SYNAPSE, auth="service_principal", tenant="t", client="c"),
        msgspec.structs.replace(SYNAPSE, auth="token", url="https://gateway.example.org"),
    ],
)
def test_these_are_good_and_keep_their_form(given: Attachment) -> None:
    check(given)
    assert decode(encode(given)) == given


@pytest.mark.parametrize(
    ("given", "changes", "field"),
    [
        (DATABRICKS, {"url": "http://adb-1.7.azuredatabricks.net"}, "url"),
        (DATABRICKS, {"url": "https://user:pw@host"}, "url"),
        (DATABRICKS, {"url": "https://host/path"}, "url"),
        (DATABRICKS, {"url": "https://host:0"}, "url"),
        (DATABRICKS, {"url": "https://[::1"}, "url"),
        (DATABRICKS, {"url": ""}, "url"),
        (DATABRICKS, {"pool": "small"}, "pool"),
        (DATABRICKS, {"auth": "identity"}, "auth"),
        (DATABRICKS, {"tenant": "t"}, "tenant"),
        (SYNAPSE, {"pool": ""}, "pool"),
        (SYNAPSE, {"pool": "a/b"}, "pool"),
        (SYNAPSE, {"url": "https://w.dev.azuresynapse.net.example.org"}, "url"),
        (SYNAPSE, {"auth": "service_principal", "tenant": "t"}, "client"),
    ],
)
def test_these_are_refused(given: Attachment, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(msgspec.structs.replace(given, **changes))
    assert caught.value.field == field
