"""One Azurite for these tests, and hosts that end with the test (or the module) that started them."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from azurerest.account import Account
from azurerest.blobs import Blobs
from azurerest.queues import Queues
from azurerest.transport import Transport
from tests.azurite import Azurite, AzuriteMissing, running_azurite
from tests.e2e.devhost.harness import APPS, RunningHost

StartHost = Callable[..., RunningHost]


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A running Azurite."""
    try:
        with running_azurite() as server:
            yield server
    except AzuriteMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def account(azurite: Azurite) -> Account:
    """The account of the running Azurite."""
    return Account.from_connection_string(azurite.connection)


@pytest.fixture(scope="session")
def queues(account: Account) -> Queues:
    """A queue client, base64 as the host's default."""
    return Queues(account, Transport())


@pytest.fixture(scope="session")
def blobs(account: Account) -> Blobs:
    """A blob client."""
    return Blobs(account, Transport())


@pytest.fixture
def name() -> str:
    """A fresh name for queues and containers."""
    return f"t{uuid.uuid4().hex[:12]}"


def _starter(azurite: Azurite, folder: Path, hosts: list[RunningHost]) -> StartHost:
    def start(app: str | Path, *arguments: str, wait: bool = True, **settings: str) -> RunningHost:
        base = {
            "AzureWebJobsStorage": azurite.connection,
            "AzureFunctionsWebHost__hostid": hashlib.sha256(str(folder).encode()).hexdigest()[:20],
        }
        host = RunningHost(APPS / app, folder, {**base, **settings}, *arguments)
        hosts.append(host)
        return host.wait_ready() if wait else host

    return start


@pytest.fixture
def start_host(azurite: Azurite, tmp_path: Path) -> Iterator[StartHost]:
    """Start hosts that end with the test; all of them share one folder, so one host id and one list of events."""
    hosts: list[RunningHost] = []
    yield _starter(azurite, tmp_path, hosts)
    for host in hosts:
        host.close()


@pytest.fixture(scope="module")
def start_module_host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartHost]:
    """Start hosts that end with the module."""
    hosts: list[RunningHost] = []
    yield _starter(azurite, tmp_path_factory.mktemp(f"host-{uuid.uuid4().hex[:8]}-"), hosts)
    for host in hosts:
        host.close()
