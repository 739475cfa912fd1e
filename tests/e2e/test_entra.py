"""A service that Entra ID opens: v1's authentication classes over the real azure-identity, and what strangers get."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from tests.azurite import Azurite
from tests.entra import AUDIENCE, CLIENT, SECRET, TENANT, Entra, entra
from tests.service import Service

DRIVER = """
import os, sys
from azureml.core import Experiment, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

auth = ServicePrincipalAuthentication(os.environ["TENANT"], os.environ["CLIENT"], os.environ["SECRET"])
ws = Workspace.from_config(auth=auth)
step = PythonScriptStep(script_name="hello.py", source_directory="src", compute_target="function")
run = Experiment(ws, "entra").submit(Pipeline(ws, [step]))
run.wait_for_completion()
print("status", run.get_status(), "by", run.get_details()["submittedBy"])
print("run", run.id)
"""


class Opened(NamedTuple):
    service: Service
    tenant: Entra
    ca_file: str


@pytest.fixture(scope="module")
def opened(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("entra")
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with entra(tls) as tenant:
        settings = {
            "MILLSTREAM_TOKEN": "",
            "MILLSTREAM_ENTRA_TENANT": TENANT,
            "MILLSTREAM_ENTRA_AUDIENCE": AUDIENCE,
            "MILLSTREAM_ENTRA_AUTHORITY": tenant.url,
            "SSL_CERT_FILE": str(ca_file),
        }
        service = Service(azurite, folder / "service", settings)
        try:
            yield Opened(service, tenant, str(ca_file))
        finally:
            service.close()


def drive(opened: Opened, folder: Path, secret: str) -> subprocess.CompletedProcess[str]:
    (folder / "src").mkdir()
    (folder / "src" / "hello.py").write_text("print('hello')")
    (folder / "driver.py").write_text(DRIVER)
    environment = {
        **os.environ,
        "MILLSTREAM_ENDPOINT": opened.service.url,
        "TENANT": TENANT,
        "CLIENT": CLIENT,
        "SECRET": secret,
        "SSL_CERT_FILE": opened.ca_file,
        "REQUESTS_CA_BUNDLE": opened.ca_file,
    }
    environment.pop("MILLSTREAM_TOKEN", None)
    command = [sys.executable, "-m", "millstream", "run", "driver.py"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def test_a_service_principal_runs_a_pipeline(opened: Opened, tmp_path: Path) -> None:
    done = drive(opened, tmp_path, SECRET)
    assert "status Finished by 11111111-2222-3333-4444-555555555555" in done.stdout, done.stdout + done.stderr
    run_id = done.stdout.partition("\nrun ")[2].split()[0]
    another = opened.tenant.token("Submitter", oid="99999999-2222-3333-4444-555555555555")
    assert opened.service.call("POST", f"runs/{run_id}/cancel", {}, token=another).status == 403


def test_a_wrong_password_is_told(opened: Opened, tmp_path: Path) -> None:
    done = drive(opened, tmp_path, "not it")
    assert done.returncode != 0
    assert "AADSTS7000215" in done.stderr
    assert "not it" not in done.stderr


def test_roles_are_held_to(opened: Opened) -> None:
    service, tenant = opened.service, opened.tenant
    assert service.call("GET", "runs", token=tenant.token("Reader")).status == 200
    assert service.call("POST", "runs", {}, token=tenant.token("Reader")).status == 403
    assert service.call("GET", "runs", token=tenant.token()).status == 403
    assert service.call("GET", "runs", token=tenant.token("Owner", aud="another")).status == 401
    assert service.call("GET", "runs", token="a-token-for-tests").status == 401
    assert service.call("GET", "runs", token=None).status == 401


def test_the_service_says_where_to_sign_in(opened: Opened) -> None:
    health = opened.service.call("GET", "health", token=None).json()
    where = {"authority": opened.tenant.url, "tenant": TENANT, "audience": AUDIENCE}
    assert health["sign_in"] == {**where, "functions_key": False}
