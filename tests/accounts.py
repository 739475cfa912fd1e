"""An Azurite that serves several accounts, for datastores that lie in another one than the service's own."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from azurerest import Account, Blobs, Transport, sas
from azurerest.auth import SharedKey
from tests.azurite import ACCOUNT, KEY, Azurite, running_azurite

OTHER = "lakeaccount"
OTHER_KEY = base64.b64encode(b"the key of another account, 64 bytes long, as keys of Azure are").decode()


class Accounts(NamedTuple):
    """`azurite` is the service's own account; `blobs` are those of the other one."""

    azurite: Azurite
    blobs: Blobs

    @property
    def endpoint(self) -> str:
        return self.blobs.service.endpoint.url

    def container_sas(self, container: str, permissions: str = "racwdl") -> str:
        """A SAS token for a container of the other account, good for an hour."""
        expiry = datetime.now(UTC) + timedelta(hours=1)
        return sas.container_query(self.blobs, container, permissions=permissions, expiry=expiry, protocol="https,http")


@contextmanager
def running_accounts(
    extra: Sequence[str] = (), *, ca_file: str | None = None, location: Path | None = None
) -> Iterator[Accounts]:
    """Start it. extra: more of Azurite's options. ca_file: whom to trust where these ask for TLS. location: a folder
    that keeps its data."""
    before = os.environ.get("AZURITE_ACCOUNTS")
    os.environ["AZURITE_ACCOUNTS"] = f"{ACCOUNT}:{KEY};{OTHER}:{OTHER_KEY}"
    try:
        with running_azurite(extra, location=location) as azurite:
            endpoint = azurite.blob_endpoint.replace(f"/{ACCOUNT}", f"/{OTHER}")
            account = Account(OTHER, endpoint, endpoint, endpoint, SharedKey(OTHER_KEY))
            transport = Transport(ca_file=ca_file)
            yield Accounts(azurite, Blobs(account, transport))
            transport.close()
    finally:
        if before is None:
            del os.environ["AZURITE_ACCOUNTS"]
        else:
            os.environ["AZURITE_ACCOUNTS"] = before
