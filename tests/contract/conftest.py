"""One Azurite for the whole test run. Without one the tests skip; where CI is set they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.azurite import Azurite, AzuriteMissing, running_azurite


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
def azurite_connection(azurite: Azurite) -> str:
    """Connection string of a running Azurite."""
    return azurite.connection
