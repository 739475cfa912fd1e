"""Data that is copied by a step, end to end: between containers and accounts, shares, databases and the web."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest

from azurerest import Account, Blobs, Transport
from azurerest.blobcopy import staged_blocks
from millstream import (
    DataReference,
    Datastore,
    DataTransferStep,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PythonScriptStep,
    SqlDataReference,
    StepRun,
    Workspace,
)
from tests.accounts import OTHER, OTHER_KEY, Accounts, running_accounts
from tests.azurite import AzuriteMissing
from tests.e2e.test_datastores import SECRET_KEYS
from tests.e2e.test_shim_drivers import CONFIG, run_driver
from tests.fileshare_standin import ACCOUNT, KEY, running_shares
from tests.service import QUICK, TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

OWN = "workspaceblobstore"

DRIVER = """
from azureml.core import Datastore, Experiment, Workspace
from azureml.core.compute import ComputeTarget, DataFactoryCompute
from azureml.data.data_reference import DataReference
from azureml.exceptions import ComputeTargetException
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import DataTransferStep

ws = Workspace.from_config()

def factory(name):
    try:
        return DataFactoryCompute(ws, name)
    except ComputeTargetException as error:
        if "ComputeTargetNotFound" not in error.message:
            raise
        made = ComputeTarget.create(ws, name, DataFactoryCompute.provisioning_configuration())
        made.wait_for_completion()
        return made

store = Datastore(ws, "workspaceblobstore")
source = DataReference(datastore=store, data_reference_name="source", path_on_datastore="v1/in/a.csv")
target = DataReference(datastore=store, data_reference_name="target", path_on_datastore="v1/out/b.csv")
step = DataTransferStep(
    name="transfer", source_data_reference=source, destination_data_reference=target, compute_target=factory("adf"),
    source_reference_type="file", destination_reference_type="file", allow_reuse=False,
)
run = Experiment(ws, "v1").submit(Pipeline(workspace=ws, steps=[step]))
run.wait_for_completion(show_output=False)
done = run.find_step_run("transfer")[0]
print(type(factory("adf")).__name__, done.get_status(), done.get_stdout_log())
attached = ComputeTarget.attach(ws, "adf2", DataFactoryCompute.attach_configuration(factory_name="f"))
print(attached.type, sorted(ws.compute_targets), step.get_output().name)
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
def own(accounts: Accounts) -> Iterator[Blobs]:
    transport = Transport()
    blobs = Blobs(Account.from_connection_string(accounts.azurite.connection), transport)
    blobs.create_container(OWN)
    yield blobs
    transport.close()


@pytest.fixture(scope="module")
def service(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with running_service(accounts.azurite, folder, {"MILLSTREAM_SECRET_KEYS": SECRET_KEYS, **QUICK}) as service:
        yield service


@pytest.fixture
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


@pytest.fixture
def lake(workspace: Workspace, accounts: Accounts) -> Datastore:
    return Datastore.register_azure_blob_container(
        workspace, "lake", "raw", OTHER, account_key=OTHER_KEY, endpoint=accounts.endpoint
    )


def ran(workspace: Workspace, *steps: Any, folder: Path | None = None, **more: Any) -> PipelineRun:
    pipeline = Pipeline(workspace, steps=list(steps), default_source_directory=folder)
    run = pipeline.submit("transfer", **more)
    run.wait_for_completion(show_output=False, raise_on_error=False)
    return run


def step_of(run: PipelineRun, name: str = "copy") -> StepRun:
    return run.find_step_run(name)[0]


def is_reused(run: PipelineRun, name: str = "copy") -> bool:
    return "azureml.reusedrunid" in step_of(run, name).get_properties()


def test_across_accounts_and_on_to_a_script(
    workspace: Workspace, lake: Datastore, own: Blobs, accounts: Accounts, tmp_path: Path
) -> None:
    for name in ("a.csv", "deep/b.csv", "deep/c"):
        accounts.blobs.put("raw", f"in/{name}", name.encode() * 100, content_type="text/csv")
    source = tmp_path / "src"
    source.mkdir()
    (source / "show.py").write_text(
        "import pathlib, sys\nroot = pathlib.Path(sys.argv[1])\n"
        "print(sorted((str(p.relative_to(root)), p.stat().st_size) for p in root.rglob('*') if p.is_file()))\n"
    )
    where = PipelineParameter("where", "one")
    copy = DataTransferStep(
        name="copy",
        source_data_reference=DataReference(lake, "source", "in"),
        destination_data_reference=DataReference(OWN, "target", f"copied/{where}"),
        compute_target="function",
    )
    back = DataTransferStep("back", copy.get_output(), DataReference(lake, "again", "back"))
    kept = PipelineData("kept")
    DataTransferStep("keep", back.get_output(), kept)
    show = PythonScriptStep("show.py", arguments=[kept], inputs=[kept])
    run = ran(workspace, show, folder=source)
    files = "[('a.csv', 500), ('deep/b.csv', 1000), ('deep/c', 600)]"
    assert files in step_of(run, "show.py").get_stdout_log()
    assert own.get(OWN, "copied/one/deep/b.csv").data == b"deep/b.csv" * 100
    assert own.head(OWN, "copied/one/a.csv").content_type == "text/csv"
    assert accounts.blobs.get("raw", "back/deep/c").data == b"deep/c" * 100
    log = step_of(run).get_stdout_log()
    assert "From the directory lake/in (3 files, 2,100 bytes) to the directory workspaceblobstore/copied/one." in log
    assert "Copied 3 files, 2,100 bytes" in log
    step_of(run, "keep").get_output_data("kept").download(tmp_path / "down", flatten=True)
    assert (tmp_path / "down/deep/b.csv").read_bytes() == b"deep/b.csv" * 100

    again = ran(workspace, show, folder=source)
    assert [is_reused(again, name) for name in ("copy", "back", "keep", "show.py")] == [True] * 4
    accounts.blobs.put("raw", "in/deep/c", b"new")
    changed = ran(workspace, show, folder=source)
    assert "('deep/c', 3)" in step_of(changed, "show.py").get_stdout_log()
    assert "2 were there already" in step_of(changed).get_stdout_log()
    own.put(OWN, "copied/one/a.csv", b"somebody's own")
    mended = ran(workspace, show, folder=source)
    assert "Copied 1 files, 500 bytes" in step_of(mended).get_stdout_log(), "what is no more as it was copied"
    assert own.get(OWN, "copied/one/a.csv").data == b"a.csv" * 100


def test_a_driver_of_v1(service: Service, own: Blobs, tmp_path: Path) -> None:
    own.put(OWN, "v1/in/a.csv", b"a")
    (tmp_path / ".azureml").mkdir()
    (tmp_path / ".azureml/config.json").write_text(CONFIG)
    shown = run_driver(service, tmp_path, DRIVER)
    assert "DataFactoryCompute Finished" in shown
    assert "From the file workspaceblobstore/v1/in/a.csv (1 file, 1 bytes)" in shown
    assert "DataFactory ['adf', 'adf2'" in shown
    assert own.get(OWN, "v1/out/b.csv").data == b"a"


def test_between_a_share_and_blobs(workspace: Workspace, own: Blobs) -> None:
    with running_shares() as shares:
        shares.shares["raw"] = {}
        share = Datastore.register_azure_file_share(
            workspace, "share", "raw", ACCOUNT, account_key=KEY, endpoint=shares.endpoint
        )
        for name in ("one.txt", "deep/two.txt"):
            own.put(OWN, f"to-share/{name}", name.encode() * 1000)
        there = DataTransferStep("there", DataReference(OWN, "source", "to-share"), DataReference(share, "s", "a/b"))
        back = DataTransferStep("back", there.get_output(), DataReference(OWN, "back", "from-share"))
        run = ran(workspace, back)
        assert run.get_status() == "Finished"
        assert shares.data("raw", "a/b/deep/two.txt") == b"deep/two.txt" * 1000
        assert own.get(OWN, "from-share/one.txt").data == b"one.txt" * 1000
        again = ran(workspace, back)
        assert (is_reused(again, "there"), is_reused(again, "back")) == (True, True)


def test_rows_become_files(workspace: Workspace, own: Blobs, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sales.db") as made:
        made.execute("create table sales (id integer, what text, price)")
        made.executemany("insert into sales values (?, ?, ?)", [(n, f"w{n}", n * 0.5) for n in range(25_000)])
        made.execute("insert into sales values (25000, null, 7)")
    made.close()
    sales = Datastore.register_sql(workspace, "sales", f"sqlite:///{tmp_path / 'sales.db'}")
    table = SqlDataReference(sales, "sales", sql_table="sales")
    few = SqlDataReference(sales, "few", sql_query="select id, what from sales where id < 2 order by id")
    run = ran(
        workspace,
        DataTransferStep("parquet", table, DataReference(OWN, "p", "rows/sales.parquet")),
        DataTransferStep("csv", few, DataReference(OWN, "c", "rows/few.csv"), destination_reference_type="file"),
        DataTransferStep("kept", few, PipelineData("kept"), destination_reference_type="directory"),
    )
    assert run.get_status() == "Finished"
    (tmp_path / "sales.parquet").write_bytes(own.get(OWN, "rows/sales.parquet").data)
    rows = pq.read_table(tmp_path / "sales.parquet")
    assert (rows.num_rows, rows.column_names, rows["price"][25_000].as_py()) == (25_001, ["id", "what", "price"], 7.0)
    assert own.get(OWN, "rows/few.csv").data == b'"id","what"\n0,"w0"\n1,"w1"\n'
    assert "gave 25,001 rows" in step_of(run, "parquet").get_stdout_log()
    step_of(run, "kept").get_output_data("kept").download(tmp_path / "down", flatten=True)
    assert (tmp_path / "down/rows.csv").read_text().startswith('"id","what"')
    again = ran(workspace, DataTransferStep("csv", few, DataReference(OWN, "c", "rows/few.csv")))
    assert not is_reused(again, "csv"), "what a query gives is not known before"
    assert "1 were there already" in step_of(again, "csv").get_stdout_log()


class Web(BaseHTTPRequestHandler):
    """A server whose connections break in the middle of a part, and that notes which parts it was asked for."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    breaks: ClassVar[list[int]] = []
    asked: ClassVar[list[str]] = []
    etag: ClassVar[str] = '"1"'
    held: ClassVar[threading.Semaphore | None] = None

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        data = self.files.get(self.path)
        wanted = self.headers.get("range")
        status, start = 200, 0
        if data is None:
            status, data = 404, b""
        elif wanted and not self.path.startswith("/whole"):
            self.asked.append(wanted)
            start, end = map(int, wanted.removeprefix("bytes=").split("-"))
            status, data = 206, data[start : end + 1]
        if status == 206 and self.held is not None:
            self.held.acquire()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if not self.path.startswith("/whole"):
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", self.etag)
        self.end_headers()
        if self.command == "GET":
            broken = self.breaks.pop() if self.breaks and status == 206 else len(data)
            self.wfile.write(data[:broken])
            self.close_connection = broken < len(data)

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_files_of_the_web(workspace: Workspace, own: Blobs, web: str) -> None:
    data = os.urandom(20_000_000)
    Web.files = {"/data/big.bin": data, "/whole/small.csv": b"a,b\n1,2\n"}
    Web.breaks = [1000, 3_000_000]
    one = DataTransferStep("one", f"{web}/data/big.bin?x=1", DataReference(OWN, "o", "web/big.bin"))
    Web.files["/data/big.bin?x=1"] = data
    both = DataTransferStep(
        "both", [f"{web}/data/big.bin", f"{web}/whole/small.csv"], DataReference(OWN, "b", "web/both")
    )
    run = ran(workspace, one, both)
    assert run.get_status() == "Finished", run.get_details()
    assert own.get(OWN, "web/big.bin").data == data
    names = sorted(blob.name for blob in own.list_all(OWN, "web/both/"))
    assert [name.rpartition("/")[2] for name in names] == ["big.bin", "small.csv"]
    assert Web.breaks == []
    starts = [int(part.partition("=")[2].partition("-")[0]) for part in Web.asked]
    assert any(start % 8_388_608 in (1000, 3_000_000) for start in starts), (
        "the rest of a part is asked for, not all of it"
    )
    again = ran(workspace, one)
    assert is_reused(again, "one")
    Web.etag = '"2"'
    assert not is_reused(ran(workspace, one), "one")
    gone = ran(workspace, DataTransferStep("gone", f"{web}/not/there", DataReference(OWN, "g", "web/gone")))
    error = step_of(gone, "gone").details.error
    assert error is not None
    assert (error.code, "There is no file at" in error.message) == ("InputMissing", True)


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_a_killed_worker_goes_on_with_many_files(
    service: Service, workspace: Workspace, lake: Datastore, own: Blobs, accounts: Accounts
) -> None:
    for number in range(400):
        accounts.blobs.put("raw", f"many/{number:04d}", str(number).encode())
    step = DataTransferStep("copy", DataReference(lake, "source", "many"), DataReference(OWN, "target", "killed"))
    run = Pipeline(workspace, steps=[step]).submit("transfer")

    def copied() -> dict[str, str]:
        return {blob.name: blob.etag for blob in own.list_all(OWN, "killed/")}

    until(lambda: len(copied()) >= 40)
    service.kill()
    before = copied()
    assert len(before) < 400, "it was killed in the middle"
    service.restart()
    assert service.wait(run.id, 90)["status"] == "Completed"
    after = copied()
    assert len(after) == 400
    assert {name: after[name] for name in before} == before, "none of them was written again"
    log = service.log(run.id, "copy")
    assert f"Copied {400 - len(before):,} files" in log
    assert f"{len(before):,} were there already" in log


def test_a_killed_worker_goes_on_in_the_middle_of_a_file(
    service: Service, workspace: Workspace, own: Blobs, web: str
) -> None:
    data = os.urandom(9 * 8_388_608 + 5)
    Web.files, Web.breaks, Web.asked, Web.held = {"/large.bin": data}, [], [], threading.Semaphore(3)
    step = DataTransferStep("copy", f"{web}/large.bin", DataReference(OWN, "target", "killed.bin"))
    run = Pipeline(workspace, steps=[step]).submit("transfer")
    until(lambda: len(staged_blocks(own, OWN, "killed.bin")) == 3)
    service.kill()
    Web.asked.clear()
    Web.held.release(100)
    Web.held = None
    assert not own.exists(OWN, "killed.bin")
    service.restart()
    assert service.wait(run.id, 90)["status"] == "Completed"
    assert own.get(OWN, "killed.bin").data == data
    assert len(set(Web.asked)) == 7, "ten parts, of which three were there"
