"""The whole demo where no key is: storage by https with tokens of an identity, signed URLs by a delegated key."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devhost.azurite.process import ACCOUNT_KEY
from tests.azurite import ACCOUNT, AzuriteMissing
from tests.e2e.devhost.harness import ROOT
from tests.secure_azurite import CLIENT, HEADER, Secure, identity_endpoint, secure_azurite
from tests.service import TOKEN, Service

DEMO = ROOT / "examples" / "diabetes" / "pipeline.py"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    try:
        with secure_azurite(tmp_path_factory.mktemp("tls")) as found:
            yield found
    except AzuriteMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def service(secure: Secure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    azurite = secure.azurite
    with identity_endpoint() as identity:
        settings = {
            "AzureWebJobsStorage": "",
            "AzureWebJobsStorage__accountName": ACCOUNT,
            "AzureWebJobsStorage__clientId": CLIENT,
            "AzureWebJobsStorage__blobServiceUri": azurite.blob_endpoint,
            "AzureWebJobsStorage__queueServiceUri": azurite.queue_endpoint,
            "AzureWebJobsStorage__tableServiceUri": azurite.table_endpoint,
            "IDENTITY_ENDPOINT": identity.url,
            "IDENTITY_HEADER": HEADER,
            "SSL_CERT_FILE": secure.ca_file,
            "MILLSTREAM_BLOB_EVENTS": "polling",
            "MILLSTREAM_BLOB_EVENTS_IN": "workspaceblobstore/incoming",
            "DEVHOST_BLOB_SCAN_SECONDS": "0.5",
        }
        running = Service(azurite, tmp_path_factory.mktemp("service"), settings)
        try:
            yield running
        finally:
            running.close()


@pytest.mark.timeout(400)
def test_the_demo_runs_and_no_process_of_the_service_has_a_key(
    service: Service, secure: Secure, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "MILLSTREAM_ENDPOINT": service.url,
        "MILLSTREAM_TOKEN": TOKEN,
        "SSL_CERT_FILE": secure.ca_file,
    }
    seen: set[str] = set()
    host = psutil.Process(service.host.process.pid)
    with (tmp_path / "printed").open("w") as output:
        demo = subprocess.Popen([sys.executable, str(DEMO)], env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            while demo.poll() is None:
                seen |= _with_key(host)
                time.sleep(0.2)
        finally:
            demo.kill()
    printed = (tmp_path / "printed").read_text()
    assert demo.returncode == 0, printed + service.host.log()[-3000:]
    assert "Completed" in printed
    assert seen == {"nothing"}


def _with_key(host: psutil.Process) -> set[str]:
    """Command lines of processes with a key in their environment; "nothing": this one had none."""
    found = set()
    for process in [host, *host.children(recursive=True)]:
        try:
            text = Path(f"/proc/{process.pid}/environ").read_bytes().decode(errors="replace")
            found.add(" ".join(process.cmdline()) if ACCOUNT_KEY in text or "AccountKey" in text else "nothing")
        except (OSError, psutil.Error):
            continue  # it has ended
    return found
