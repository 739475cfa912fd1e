"""What can be attached as a compute, and what is said of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from millstream import BatchCompute, ComputeTarget, DatabricksCompute, KustoCompute, SynapseCompute
from millstream.exceptions import ComputeTargetException


def test_a_workspace_of_databricks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "adb-1.7.azuredatabricks.net/")
    made = DatabricksCompute.attach_configuration("rg", "adb", access_token="dapi0123")
    assert made.wish() == {"type": "Databricks", "url": "https://adb-1.7.azuredatabricks.net", "secret": "dapi0123"}
    assert made.settings() == {
        "attached": "Databricks",
        "url": "https://adb-1.7.azuredatabricks.net",
        "resource_group": "rg",
        "workspace_name": "adb",
    }
    assert "dapi0123" not in repr(made)
    given = DatabricksCompute.attach_configuration(access_token="t", workspace_url="https://else")
    assert given.url == "https://else"


@pytest.mark.parametrize(
    ("arguments", "wish"),
    [
        ({"linked_service": "w"}, {"auth": "identity"}),
        ({"linked_service": SimpleNamespace(name="w")}, {"auth": "identity"}),
        ({"workspace_url": "https://w.dev.azuresynapse.net/", "access_token": "t"}, {"auth": "token", "secret": "t"}),
        (
            {"linked_service": "w", "tenant_id": "t", "client_id": "c", "client_secret": "s"},
            {"auth": "service_principal", "tenant": "t", "client": "c", "secret": "s"},
        ),
    ],
)
def test_a_pool_of_synapse(arguments: dict[str, Any], wish: dict[str, str]) -> None:
    made = SynapseCompute.attach_configuration(pool_name="small", **arguments)
    assert made.wish() == {"type": "Synapse", "url": "https://w.dev.azuresynapse.net", "pool": "small", **wish}
    assert made.settings()["attached"] == "Synapse"


def test_a_cluster_of_kusto() -> None:
    url = "https://adx.westeurope.kusto.windows.net"
    own = KustoCompute.attach_configuration("rg", "adx", kusto_connection_string=url)
    assert own.wish() == {"type": "Kusto", "url": url, "auth": "identity"}
    assert own.settings() == {"attached": "Kusto", "url": url, "resource_group": "rg", "workspace_name": "adx"}
    given = KustoCompute.attach_configuration(
        kusto_connection_string=f"Data Source={url};Fed=True", tenant_id="t", application_id="c", application_key="k"
    )
    principal = {"auth": "service_principal", "tenant": "t", "client": "c"}
    assert given.wish() == {"type": "Kusto", "url": url, "secret": "k", **principal}
    assert "'k'" not in repr(given)


def test_an_account_of_azure_batch() -> None:
    url = "https://a.westeurope.batch.azure.com"
    own = BatchCompute.attach_configuration("rg", "a", account_url=f"{url}/")
    assert own.wish() == {"type": "Batch", "url": url, "auth": "identity"}
    assert own.settings()["account_name"] == "a"
    given = BatchCompute.attach_configuration(account_url=url, tenant_id="t", client_id="c", client_secret="s")
    assert given.wish()["auth"] == "service_principal" and given.wish()["secret"] == "s"


@pytest.mark.parametrize(
    ("make", "arguments", "field"),
    [
        (DatabricksCompute, {"workspace_url": "https://x"}, "access_token"),
        (DatabricksCompute, {"access_token": "t"}, "workspace_url"),
        (BatchCompute, {"account_name": "a"}, "account_url"),
        (KustoCompute, {"workspace_name": "adx", "resource_group": "rg"}, "kusto_connection_string"),
        (SynapseCompute, {"linked_service": "w"}, "pool_name"),
        (SynapseCompute, {"pool_name": "p"}, "workspace_url"),
        (SynapseCompute, {"pool_name": "p", "linked_service": "w", "type": "Sql"}, "type"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, make: Any, arguments: dict[str, Any], field: str
) -> None:
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    with pytest.raises(ComputeTargetException) as caught:
        make.attach_configuration(**arguments)
    assert caught.value.field == field


def test_what_cannot_be_attached_is_refused() -> None:
    with pytest.raises(ComputeTargetException, match="Databricks, Synapse, Kusto and Azure Batch can be attached"):
        ComputeTarget.attach(None, "vm", object())  # type: ignore[arg-type]
