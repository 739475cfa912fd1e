"""What the contract tests share."""

from __future__ import annotations

import pytest

from tests.azurite import Azurite


@pytest.fixture(scope="session")
def azurite_connection(azurite: Azurite) -> str:
    """Connection string of a running Azurite."""
    return azurite.connection
