"""A file share as a datastore: registered by v1's call, read and written by steps and by the client.

The share is a stand-in (tests/fileshare_standin.py): there is no emulator of Azure Files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from azurerest import Transport
from azurerest.sas import share_query
from tests.azurite import Azurite
from tests.e2e.test_datastores import DRIVER, SAS_DRIVER, SECRET_KEYS, write_project
from tests.e2e.test_shim_drivers import run_driver
from tests.fileshare_standin import ACCOUNT, KEY, Shares, running_shares
from tests.service import Service, running_service

pytestmark = pytest.mark.azurite

AGAIN = """
def reused():
    again = Experiment(ws, "lake").submit(Pipeline(ws, [count]))
    again.wait_for_completion(show_output=False)
    return "azureml.reusedrunid" in again.find_step_run("count.py")[0].get_properties()

print("reused", reused())
with open("data/iris.csv", "a") as file:
    file.write("4.9,other" + os.linesep)
lake.upload("data", target_path="iris", show_progress=False)
print("reused", reused())
lake.upload("data", target_path="iris", overwrite=True, show_progress=False)
print("reused", reused())
"""


@pytest.fixture(scope="module")
def shares() -> Iterator[Shares]:
    with running_shares() as shares:
        yield shares


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with running_service(azurite, folder, {"MILLSTREAM_SECRET_KEYS": SECRET_KEYS}) as service:
        yield service


@pytest.fixture
def project(tmp_path: Path, shares: Shares, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_project(tmp_path)
    files = shares.files(Transport())
    expiry = datetime.now(UTC) + timedelta(hours=1)
    given = {"ACCOUNT": ACCOUNT, "ACCOUNT_KEY": KEY, "ENDPOINT": shares.endpoint}
    given["SAS"] = share_query(files, "raw", permissions="rcwdl", expiry=expiry, protocol="https,http")
    given["READ_SAS"] = share_query(files, "raw", permissions="rl", expiry=expiry, protocol="https,http")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def on_a_share(driver: str) -> str:
    """The driver of a blob container, with nothing changed but the call that registers it."""
    driver = driver.replace("register_azure_blob_container", "register_azure_file_share")
    return driver.replace("container_name=", "file_share_name=")


def test_a_share_by_its_key(service: Service, shares: Shares, project: Path) -> None:
    shown = run_driver(service, project, on_a_share(DRIVER) + AGAIN)
    assert f"lake AzureFile raw {ACCOUNT} True" in shown
    assert "Finished [('again', {'lines': 4}), ('count.py', {'lines': 4}), ('rows.py', {'rows': 3})]" in shown
    assert "rows 3" in shown
    assert "downloaded 1" in shown
    assert (project / "down/iris/iris.csv").read_text().startswith("length")
    assert [path.read_text() for path in project.glob("made/**/count.txt")] == ["4"]
    (kept,) = [node.name for node in shares.shares["raw"].values() if re.fullmatch(r"kept/.+/count.txt", node.name)]
    assert shares.data("raw", kept) == b"4"
    assert re.findall("reused (True|False)", shown) == ["True", "True", "False"], "what is on the share decides"
    assert not [name for name in shares.shares["raw"] if name.endswith(".tmp")]
    assert KEY not in shown + service.host.log()


def test_a_share_by_a_sas(service: Service, shares: Shares, project: Path) -> None:
    files = shares.files(Transport())
    files.create_share("raw")
    files.create_directory("raw", "iris")
    files.create("raw", "iris/iris.csv", 4)
    files.put_range("raw", "iris/iris.csv", b"a\n1\n", 0)
    shown = run_driver(service, project, on_a_share(SAS_DRIVER))
    assert "Finished {'lines': 2} True" in shown
    assert shares.data("raw", "by-sas/count.txt") == b"2"
    assert "output 1" in shown
    assert shares.data("raw", "up/large") == bytes(range(256)) * 80_000
    assert shares.data("raw", "up/iris.csv").count(b"\n") == 4, "what is there stays"
    assert (project / "down/up/large").read_bytes() == bytes(range(256)) * 80_000
    for line in ("Uploaded 0 of 1 files", "downloaded 2", "rows 3", "read 1", "does not allow to write files (sp=rl)"):
        assert line in shown
