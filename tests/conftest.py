"""One Azurite for the whole test run. Without one the tests that need it skip; where CI is set they fail."""

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
