"""Many files and a large one from step to step, in bounded memory. The whole of it: `python -m bench.large_data`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.large_data import pass_on
from tests.azurite import Azurite
from tests.service import Service, running_service

pytestmark = pytest.mark.azurite

FILES = 2000
LARGE = 200_000_000
MEMORY = 260_000_000
"""The most a process of the service may have: what it has without work, and its parts and files in flight."""


@pytest.fixture
def service(azurite: Azurite, tmp_path: Path) -> Iterator[Service]:
    with running_service(azurite, tmp_path) as service:
        yield service


def test_many_files_and_a_large_one_pass_from_step_to_step(service: Service, tmp_path: Path) -> None:
    found = pass_on(service, FILES, LARGE, forget=tmp_path / "cache" / "objects")
    assert found["status"] == "Completed"
    small = sum(len(str(number)) * 20 for number in range(FILES))
    assert found["log"][-1] == f"{FILES + 1} {LARGE + small}"
    assert found["listed"] == FILES + 1
    assert found["list pages"] == 3
    assert found["page bytes"] < 600 * 1000
    assert found["memory"] < MEMORY
