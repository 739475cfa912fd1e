"""Datastores in another account: registered by v1's calls, read and written by steps and by clients."""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import psycopg
import pytest

from tests.accounts import OTHER, OTHER_KEY, Accounts, running_accounts
from tests.azurite import AzuriteMissing
from tests.e2e.test_shim_drivers import CONFIG, run_driver
from tests.key_vault_standin import running_vault
from tests.postgres import PASSWORD as POSTGRES_PASSWORD
from tests.postgres import PostgresMissing, running_postgres
from tests.secure_azurite import CLIENT, HEADER, identity_endpoint
from tests.service import Service, fetch, running_service

pytestmark = pytest.mark.azurite

SECRET_KEYS = base64.b64encode(b"k" * 32).decode()

SCRIPT = """
import argparse, os
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--raw")
parser.add_argument("--out")
args = parser.parse_args()
with open(os.path.join(args.raw, "iris.csv")) as file:
    lines = file.readlines()
os.makedirs(args.out, exist_ok=True)
with open(os.path.join(args.out, "count.txt"), "w") as file:
    file.write(str(len(lines)))
Run.get_context().log("lines", len(lines))
with open(f"/proc/{os.getpid()}/environ", "rb") as file:
    print("environment", file.read(), dict(os.environ))
"""

TABLE_SCRIPT = """
from azureml.core import Run
run = Run.get_context()
run.log("rows", len(run.input_datasets["iris"].to_pandas_dataframe()))
"""

DRIVER = """
import os
from azureml.core import Dataset, Datastore, Experiment, Workspace
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference
from azureml.pipeline.core import Pipeline, PipelineData
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
lake = Datastore.register_azure_blob_container(
    workspace=ws, datastore_name="lake", container_name="raw", account_name=os.environ["ACCOUNT"],
    account_key=os.environ["ACCOUNT_KEY"], endpoint=os.environ["ENDPOINT"], overwrite=True, create_if_not_exists=True)
print(lake.name, lake.datastore_type, lake.container_name, lake.account_name, "lake" in ws.datastores)
lake.upload_files(["data/iris.csv"], target_path="iris", overwrite=True, show_progress=False)
raw = DataReference(lake, "raw", "iris")
out = PipelineData("out", datastore=lake)
kept = OutputFileDatasetConfig("kept", destination=(lake, "kept/{run-id}"))
count = PythonScriptStep("count.py", source_directory="src", compute_target="function", inputs=[raw], outputs=[out],
                         arguments=["--raw", raw, "--out", out])
again = PythonScriptStep("count.py", name="again", source_directory="src", compute_target="function", inputs=[raw],
                         arguments=["--raw", raw, "--out", kept])
again.run_after(count)
iris = Dataset.Tabular.from_delimited_files((lake, "iris/*.csv"))
rows = PythonScriptStep("rows.py", source_directory="src", compute_target="function",
                        inputs=[iris.as_named_input("iris")])
run = Experiment(ws, "lake").submit(Pipeline(ws, [again, rows]))
print(run.wait_for_completion(show_output=False), sorted((step.name, step.get_metrics()) for step in run.get_steps()))
run.find_step_run("count.py")[0].get_output_data("out").download("made", show_progress=False)
print("rows", len(iris.to_pandas_dataframe()))
print("downloaded", lake.download("down", prefix="iris", show_progress=False))
"""

SAS_DRIVER = """
import os
from azureml.core import Dataset, Datastore, Experiment, Workspace
from azureml.data.data_reference import DataReference
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline, PipelineData
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
lake = Datastore.register_azure_blob_container(
    ws, "shared", "raw", os.environ["ACCOUNT"], sas_token=os.environ["SAS"], endpoint=os.environ["ENDPOINT"],
    overwrite=True)
raw = DataReference(lake, "raw", "iris")
kept = OutputFileDatasetConfig("kept", destination=(lake, "by-sas"))
out = PipelineData("out", datastore=lake)
step = PythonScriptStep("count.py", source_directory="src", compute_target="function", inputs=[raw],
                        arguments=["--raw", raw, "--out", kept])
again = PythonScriptStep("count.py", name="again", source_directory="src", compute_target="function", inputs=[raw],
                         outputs=[out], arguments=["--raw", raw, "--out", out])
run = Experiment(ws, "lake").submit(Pipeline(ws, [step, again]))
print(run.wait_for_completion(show_output=False), run.find_step_run("count.py")[0].get_metrics(), lake.is_sas)
print("output", run.find_step_run("again")[0].get_output_data("out").download("made", show_progress=False))
with open("data/large", "wb") as file:
    file.write(bytes(range(256)) * 80_000)
lake.upload_files(["data/iris.csv", "data/large"], target_path="up", show_progress=False)
with open("data/iris.csv", "a") as file:
    file.write("0.0,none\\n")
lake.upload_files(["data/iris.csv"], target_path="up")
print("downloaded", lake.download("down", prefix="up", show_progress=False))
print("rows", len(Dataset.Tabular.from_delimited_files((lake, "up/*.csv")).to_pandas_dataframe()))
print("paths", Dataset.File.from_files((lake, "up/**")).to_path())
print("url", next(iter(ws.api.files("shared", "up/"))).url)
reader = Datastore.register_azure_blob_container(
    ws, "reading", "raw", os.environ["ACCOUNT"], sas_token=os.environ["READ_SAS"], endpoint=os.environ["ENDPOINT"],
    overwrite=True)
print("read", reader.download("read", prefix="up/iris.csv", show_progress=False))
try:
    reader.upload_files(["data/iris.csv"], target_path="no", show_progress=False)
except Exception as error:
    print(type(error).__name__, error)
"""


SQL_DRIVER = """
import os, sqlite3
from azureml.core import Dataset, Datastore, Experiment, Workspace
from azureml.data.datapath import DataPath
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
sales = Datastore.register_sql(ws, "sales", os.environ["DATABASE"], overwrite=True)
print(sales.datastore_type)
made = Dataset.Tabular.from_sql_query((sales, "select * from sales order by id"), query_timeout=20)
frame = made.to_pandas_dataframe()
print(list(frame.columns), len(frame), str(frame.dtypes["id"]))
made.register(ws, "sales", create_new_version=True)
few = Dataset.Tabular.from_sql_query(DataPath(sales, "select id from sales")).take(2)
steps = [
    PythonScriptStep("rows.py", name="all", source_directory="src", compute_target="function",
                     inputs=[Dataset.get_by_name(ws, "sales").as_named_input("iris")]),
    PythonScriptStep("rows.py", name="few", source_directory="src", compute_target="function",
                     inputs=[few.as_named_input("iris")]),
]
run = Experiment(ws, "sql").submit(Pipeline(ws, steps))
print(run.wait_for_completion(show_output=False), sorted((step.name, step.get_metrics()) for step in run.get_steps()))
"""

FAILING_SQL_DRIVER = """
import os
from azureml.core import Dataset, Datastore, Experiment, Workspace
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
away = Datastore.register_azure_sql_database(
    ws, "away", "server", "db", username="me", password="hidden-password", overwrite=True)
made = Dataset.Tabular.from_sql_query((away, "select 1"))
try:
    made.to_pandas_dataframe()
except Exception as error:
    print("client:", error)
step = PythonScriptStep("rows.py", source_directory="src", compute_target="function",
                        inputs=[made.as_named_input("iris")])
run = Experiment(ws, "sql").submit(Pipeline(ws, [step]))
print(run.wait_for_completion(show_output=False, raise_on_error=False))
print("step:", run.find_step_run("rows.py")[0].get_details()["error"])
"""


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    try:
        with running_accounts() as accounts:
            accounts.blobs.create_container("raw")
            yield accounts
    except AzuriteMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def service(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with running_service(accounts.azurite, folder, {"MILLSTREAM_SECRET_KEYS": SECRET_KEYS}) as service:
        yield service


@pytest.fixture
def project(tmp_path: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a v1 project; its driver finds in variables what it registers."""
    prepared(tmp_path, accounts, monkeypatch)
    return tmp_path


def write_project(folder: Path) -> None:
    texts = {
        ".azureml/config.json": CONFIG,
        "data/iris.csv": "length,kind\n5.1,setosa\n4.9,setosa\n7.0,versicolor\n",
        "src/count.py": SCRIPT,
        "src/rows.py": TABLE_SCRIPT,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_another_account_by_its_key(service: Service, accounts: Accounts, project: Path) -> None:
    shown = run_driver(service, project, DRIVER)
    assert f"lake AzureBlob raw {OTHER} True" in shown
    assert "Finished [('again', {'lines': 4}), ('count.py', {'lines': 4}), ('rows.py', {'rows': 3})]" in shown
    assert "rows 3" in shown
    assert "downloaded 1" in shown
    assert (project / "down/iris/iris.csv").read_text().startswith("length")
    assert [path.read_text() for path in project.glob("made/**/count.txt")] == ["4"]
    (kept,) = accounts.blobs.list_all("raw", "kept/")
    assert accounts.blobs.get("raw", kept.name).data == b"4"


def test_another_account_by_a_sas(service: Service, accounts: Accounts, project: Path) -> None:
    accounts.blobs.put("raw", "iris/iris.csv", b"a\n1\n")
    shown = run_driver(service, project, SAS_DRIVER)
    assert "Finished {'lines': 2} True" in shown
    assert accounts.blobs.get("raw", "by-sas/count.txt").data == b"2"
    assert "output 1" in shown
    assert "Uploaded 0 of 1 files" in shown, "what is there stays"
    assert accounts.blobs.get("raw", "up/large").data == bytes(range(256)) * 80_000
    assert "downloaded 2" in shown
    assert (project / "down/up/large").read_bytes() == bytes(range(256)) * 80_000
    assert "rows 3" in shown
    assert "paths ['/iris.csv', '/large']" in shown
    assert "read 1" in shown
    assert "does not allow to write files (sp=rl)" in shown
    assert list(accounts.blobs.list_all("raw", "no/")) == []
    assert f"url {service.url}/api/relay/" in shown


def test_a_ticket_is_good_for_its_file_and_purpose_alone(service: Service, accounts: Accounts, project: Path) -> None:
    sas = accounts.container_sas("raw")
    wish = {"type": "AzureBlob", "auth": "sas", "account": OTHER, "container": "raw", "endpoint": accounts.endpoint}
    service.ask("PUT", "datastores/tickets", {**wish, "secret": sas})
    files = [{"path": "t/one", "size": 3}, {"path": "t/two", "size": 3}]
    one, two = (slot["upload"] for slot in service.ask("POST", "datastores/tickets/uploads", {"files": files})["files"])
    assert "sig=" not in one["url"] + two["url"]
    assert fetch(one["url"], "PUT", b"one", one["headers"]).status == 201
    assert fetch(one["url"], "PUT", b"two", one["headers"]).status == 409, "what is there stays, whatever is asked"
    assert fetch(one["url"], "GET", None, {}).status == 403, "it is for writing"
    assert fetch(one["url"], "DELETE", None, {}).status == 400
    crossed = one["url"].partition("?")[0] + "?" + two["url"].partition("?")[2]
    assert fetch(crossed, "PUT", b"x", {}).status == 403
    assert fetch(one["url"][:-6] + "AAAA", "PUT", b"x", {}).status == 403
    assert fetch(one["url"] + "&comp=acl", "PUT", b"x", {}).status == 400
    assert fetch(one["url"] + "&comp=block&blockid=AAAA", "PUT", bytes(8 * 1024 * 1024 + 1), {}).status == 413
    (listed,) = service.ask("GET", "datastores/tickets/files?prefix=t/")["files"]
    whole = fetch(listed["url"], "GET", None, {})
    assert (whole.status, whole.body, whole.headers["content-type"]) == (200, b"one", "application/octet-stream")
    assert whole.headers["etag"] == listed["etag"]
    part = fetch(listed["url"], "GET", None, {"Range": "bytes=1-9"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"ne", "bytes 1-2/3")
    assert fetch(listed["url"], "GET", None, {"If-Match": '"other"'}).status == 412
    assert fetch(listed["url"], "PUT", b"x", one["headers"]).status == 403, "it is for reading"
    assert accounts.blobs.get("raw", "t/one").data == b"one"


def test_rows_of_a_database(service: Service, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(project / "sales.db") as made:
        made.execute("create table sales (id integer, what text)")
        made.executemany("insert into sales values (?, ?)", [(n, str(n)) for n in range(100)])
    made.close()
    monkeypatch.setenv("DATABASE", f"sqlite:///{project / 'sales.db'}")
    shown = run_driver(service, project, SQL_DRIVER)
    assert "['id', 'what'] 100 int64" in shown
    assert "Finished [('all', {'rows': 100}), ('few', {'rows': 2})]" in shown


def test_rows_of_a_server_that_asks_for_a_password(
    service: Service, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with running_postgres() as url:
            with psycopg.connect(url.replace("+psycopg", "")) as made:
                made.execute("create table sales as select n as id, n::text as what from generate_series(1, 100) as n")
            monkeypatch.setenv("DATABASE", url)
            monkeypatch.setenv("MILLSTREAM_PASSWORD_SALES", POSTGRES_PASSWORD)
            shown = run_driver(service, project, SQL_DRIVER)
    except PostgresMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))
    assert "Finished [('all', {'rows': 100}), ('few', {'rows': 2})]" in shown
    assert POSTGRES_PASSWORD not in service.host.log() + shown


def test_a_driver_that_is_missing_is_named_where_it_is_missing(service: Service, project: Path) -> None:
    shown = run_driver(service, project, FAILING_SQL_DRIVER)
    assert (
        "client: The service keeps the password of 'away' and gives it to nobody. Set MILLSTREAM_PASSWORD_AWAY" in shown
    )
    assert "pip install 'pymssql'" in shown.partition("step:")[2]
    assert "hidden-password" not in shown


def test_nothing_that_is_kept_or_said_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that storage wrote to its disk is read: rows, messages, blobs, also those that are deleted by now."""
    disk = tmp_path / "disk"
    with running_accounts(location=disk) as accounts:
        accounts.blobs.create_container("raw")
        secrets = prepared(tmp_path, accounts, monkeypatch)
        settings = {"MILLSTREAM_SECRET_KEYS": SECRET_KEYS}
        with running_service(accounts.azurite, tmp_path / "service", settings) as service:
            shown = run_driver(service, tmp_path, DRIVER) + run_driver(service, tmp_path, SAS_DRIVER)
            shown += run_driver(service, tmp_path, FAILING_SQL_DRIVER)
            assert shown.count("Finished") == 2
            answers = [service.call("GET", path) for path in ("datastores", "datastores/lake", "workspace", "runs")]
            said = service.host.log().encode() + b"".join(answer.body + repr(answer).encode() for answer in answers)
    seen = shown.encode() + said + b"".join(path.read_bytes() for path in disk.rglob("*") if path.is_file())
    for known in (b"AZUREML_RUN_ID", b"lakeaccount", b'\\"auth\\":\\"sas\\"', b"5.1,setosa"):
        assert known in seen, "the search sees environments, rows and blobs"
    assert [form for secret in secrets for form in forms_of(secret) if form in seen] == []


def test_secrets_lie_in_a_vault_from_the_day_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    with (
        running_accounts(location=disk) as accounts,
        running_vault(tmp_path) as vault,
        identity_endpoint() as identity,
    ):
        accounts.blobs.create_container("raw")
        prepared(tmp_path, accounts, monkeypatch)
        settings = {
            "MILLSTREAM_SECRET_KEYS": SECRET_KEYS,
            "AzureWebJobsStorage__clientId": CLIENT,
            "IDENTITY_ENDPOINT": identity.url,
            "IDENTITY_HEADER": HEADER,
            "SSL_CERT_FILE": vault.ca_file,
        }
        wish = {"type": "AzureBlob", "auth": "account_key", "account": OTHER, "container": "raw"}
        with running_service(accounts.azurite, tmp_path / "service", settings) as service:
            service.ask("PUT", "datastores/early", {**wish, "endpoint": accounts.endpoint, "secret": OTHER_KEY})
            service.close()
            service.settings["MILLSTREAM_VAULT"] = vault.url
            service.restart()
            shown = run_driver(service, tmp_path, DRIVER)
            ((kept,),) = vault.secrets.values()
            (listed,) = service.ask("GET", "datastores/early/files?prefix=iris/")["files"]
            assert fetch(listed["url"], "GET", None, {}).status == 200, "what the key has sealed still opens"
            service.ask("PUT", "datastores/lake", {**wish, "endpoint": accounts.endpoint, "secret": OTHER_KEY})
            assert [[kept]] == list(vault.secrets.values()), "the same again makes no other"
            service.ask("PUT", "datastores/pond", {**wish, "endpoint": accounts.endpoint, "secret": OTHER_KEY})
            assert service.call("DELETE", "datastores/lake").status == 200
            said = service.host.log()
    assert "Finished [('again', {'lines': 4}), ('count.py', {'lines': 4}), ('rows.py', {'rows': 3})]" in shown
    assert (kept.value, kept.tags["owner"]) == (OTHER_KEY, "lake")
    (left,) = vault.secrets
    assert left.startswith("ms-pond-"), "with the datastore its secret has gone"
    seen = shown.encode() + said.encode() + b"".join(path.read_bytes() for path in disk.rglob("*") if path.is_file())
    assert b"kv1.ms-pond-" in seen
    assert [form for form in forms_of(OTHER_KEY) if form in seen] == []


def prepared(project: Path, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A project as that of the fixture; the secrets of its driver."""
    write_project(project)
    sas = accounts.container_sas("raw")
    read = accounts.container_sas("raw", "rl")
    given = {"ACCOUNT": OTHER, "ACCOUNT_KEY": OTHER_KEY, "ENDPOINT": accounts.endpoint, "SAS": sas, "READ_SAS": read}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    signatures = [unquote(token.partition("sig=")[2].partition("&")[0]) for token in (sas, read)]
    return [OTHER_KEY, SECRET_KEYS, "hidden-password", *signatures]


def forms_of(secret: str) -> set[bytes]:
    """A secret in clear, in a URL, and inside anything in base64."""
    coded = {base64.b64encode(b" " * shift + secret.encode())[4:-4] for shift in range(3)}
    return {secret.encode(), quote(secret, safe="").encode(), quote(secret).encode(), *coded}
