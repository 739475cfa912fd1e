"""How a script reaches the service: with a token of its own attempt's, in its environment and nowhere else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from orchestrator.core.result import StepResult
from orchestrator.core.run_token import verify
from steps.memory_store import MemoryStore
from steps.service_access import MARGIN_SECONDS, ServiceAccess, service_access
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working

KEY = "k" * 40
PRINTS = """
import json, os, pathlib
print(json.dumps(dict(os.environ)))
pathlib.Path("outputs/files.txt").write_text("".join(
    path.read_text(errors="replace") for path in pathlib.Path("..").rglob("*") if path.is_file()))
"""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SYSTEM, DATA)


def performed(store: MemoryStore, tmp_path: Path, access: ServiceAccess | None) -> tuple[StepResult, dict[str, str]]:
    with working(store, settings(tmp_path, access=access)) as worker:
        result = perform(worker, job(put_snapshot(store, {"script.py": PRINTS}), timeout=50.0))
    assert result.error is None, result.error
    assert result.log is not None
    found: dict[str, str] = json.loads(store.blobs[SYSTEM][result.log].splitlines()[0])
    return result, found


def test_there_is_none_without_a_key_or_an_address() -> None:
    assert service_access("", KEY) is None
    assert service_access("https://m.example", "") is None
    assert service_access("https://m.example", KEY) == ServiceAccess("https://m.example", KEY.encode())
    assert KEY not in repr(service_access("https://m.example", KEY))


def test_the_script_finds_the_service_and_a_token_of_its_own(store: MemoryStore, tmp_path: Path) -> None:
    began = time.time()
    result, found = performed(store, tmp_path, service_access("https://m.example", KEY))
    assert found["MILLSTREAM_ENDPOINT"] == "https://m.example"
    assert found["AZUREML_SERVICE_ENDPOINT"] == "https://m.example/api"
    assert found["AZUREML_DISCOVERY_SERVICE_ENDPOINT"] == "https://m.example/api/discovery"
    token = verify(found["AZUREML_RUN_TOKEN"], KEY.encode(), now=began)
    assert (token.run, token.step, token.attempt) == ("run1", "train", 1)
    assert str(token.expires_at) == found["AZUREML_RUN_TOKEN_EXPIRY"]
    # As long as the script may run, and a little longer.
    assert -2 < token.expires_at - began - 50 - MARGIN_SECONDS < 30
    assert KEY not in json.dumps(found)
    (artifact,) = result.artifacts
    files = store.blobs[SYSTEM][f"{result.artifact_prefix}/{artifact.path}"]
    assert found["AZUREML_RUN_TOKEN"].encode() not in files


def test_without_access_the_script_finds_nothing(store: MemoryStore, tmp_path: Path) -> None:
    _, found = performed(store, tmp_path, None)
    assert not [name for name in found if name.startswith("MILLSTREAM_ENDPOINT") or "TOKEN" in name]
