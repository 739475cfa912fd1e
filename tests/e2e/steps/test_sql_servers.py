"""Databases behind real servers, registered by v1's calls: their rows in drivers, in steps, and copied to files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from azurerest import Account, Blobs, Transport
from tests.azurite import Azurite
from tests.e2e.test_datastores import SECRET_KEYS, SQL_DRIVER, write_project
from tests.e2e.test_shim_drivers import run_driver
from tests.mariadb import PASSWORD as MARIADB_PASSWORD
from tests.mariadb import MariaDb, MariaDbMissing, running_mariadb
from tests.postgres import PASSWORD as POSTGRES_PASSWORD
from tests.postgres import PostgresMissing, running_postgres
from tests.service import Service, running_service

pytestmark = pytest.mark.azurite

REGISTER = 'sales = Datastore.register_sql(ws, "sales", os.environ["DATABASE"], overwrite=True)\n'
# 127.0.0.1, as the calls put it together.
AT = 'server_name="127.0.0", endpoint="1", port_number=os.environ["PORT"], user_id="me", overwrite=True'
MYSQL = f"""
sales = Datastore.register_azure_my_sql(
    ws, "sales", database_name="shop", user_password=os.environ["MILLSTREAM_PASSWORD_SALES"], {AT})
"""
POSTGRES = f"""
sales = Datastore.register_azure_postgre_sql(
    ws, "sales", database_name="postgres", user_password=os.environ["MILLSTREAM_PASSWORD_SALES"], enforce_ssl=False,
    {AT})
"""
TRANSFER = """
from azureml.data.data_reference import DataReference
from azureml.data.sql_data_reference import SqlDataReference
from azureml.pipeline.steps import DataTransferStep

store = ws.get_default_datastore()
table = SqlDataReference(sales, "all", sql_table="sales")
few = SqlDataReference(sales, "few", sql_query="select id, what from sales where id <= 2 order by id")
kind = os.environ["KIND"]
run = Experiment(ws, "sql").submit(Pipeline(ws, [
    DataTransferStep("parquet", table, DataReference(store, "p", f"{kind}/all.parquet")),
    DataTransferStep("csv", few, DataReference(store, "c", f"{kind}/few.csv"), destination_reference_type="file"),
]))
print("transfer", run.wait_for_completion(show_output=False), run.find_step_run("parquet")[0].get_stdout_log())
"""


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    try:
        with running_mariadb() as server:
            made = sqlalchemy.create_engine(server.url)
            with made.begin() as connection:
                text = "create table sales as select seq as id, cast(seq as char) as what from seq_1_to_100"
                connection.exec_driver_sql(text)
            made.dispose()
            yield server
    except MariaDbMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Its port."""
    try:
        with running_postgres() as url:
            with psycopg.connect(url.replace("+psycopg", "")) as made:
                made.execute("create table sales as select n as id, n::text as what from generate_series(1, 100) as n")
            yield url.rpartition(":")[2].partition("/")[0]
    except PostgresMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDb) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    settings = {"MILLSTREAM_SECRET_KEYS": SECRET_KEYS, "SSL_CERT_FILE": str(mariadb.authority)}
    with running_service(azurite, folder, settings) as service:
        yield service


def shown_by(service: Service, project: Path, register: str) -> str:
    write_project(project)
    shown = run_driver(service, project, SQL_DRIVER.replace(REGISTER, register) + TRANSFER)
    assert "Finished [('all', {'rows': 100}), ('few', {'rows': 2})]" in shown
    assert "['id', 'what'] 100 int64" in shown
    assert "transfer Finished" in shown
    assert "gave 100 rows" in shown
    return shown


def file_of(azurite: Azurite, name: str) -> bytes:
    transport = Transport()
    data = Blobs(Account.from_connection_string(azurite.connection), transport).get("workspaceblobstore", name).data
    transport.close()
    return data


def test_mariadb_as_mysql_over_tls(
    service: Service, azurite: Azurite, mariadb: MariaDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"PORT": str(mariadb.port), "KIND": "mysql", "SSL_CERT_FILE": str(mariadb.authority)}
    for name, value in {**variables, "MILLSTREAM_PASSWORD_SALES": MARIADB_PASSWORD}.items():
        monkeypatch.setenv(name, value)
    shown = shown_by(service, tmp_path, MYSQL)
    assert "AzureMySql" in shown
    assert file_of(azurite, "mysql/few.csv") == b'"id","what"\n1,"1"\n2,"2"\n'
    assert file_of(azurite, "mysql/all.parquet")[:4] == b"PAR1"
    assert MARIADB_PASSWORD not in service.host.log() + shown


def test_postgresql(
    service: Service, azurite: Azurite, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PORT": postgres, "KIND": "pg", "MILLSTREAM_PASSWORD_SALES": POSTGRES_PASSWORD}.items():
        monkeypatch.setenv(name, value)
    shown = shown_by(service, tmp_path, POSTGRES)
    assert "AzurePostgreSql" in shown
    assert file_of(azurite, "pg/few.csv") == b'"id","what"\n1,"1"\n2,"2"\n'
    assert POSTGRES_PASSWORD not in service.host.log() + shown
