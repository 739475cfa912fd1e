from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from steps.fork_server import ForkServer
from tests.unit.steps.running import BASE


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer(sys.executable, BASE)
    yield server
    server.close()
