"""Registering datastores by v1's names. A secret goes to the service once, and never comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from millstream.arguments import refuse_unknown
from millstream.errors import InvalidRequest
from orchestrator.core.datastore import password_in, without_password

if TYPE_CHECKING:
    from millstream.datastore import Datastore
    from millstream.workspace import Workspace

_PUBLIC = "core.windows.net"


class Registering:
    """v1's `Datastore.register_*`. Names are taken without regard to case.

    With `overwrite` a datastore of that name is replaced; without, the same one again is no error, another one is a
    Conflict. Arguments that place a datastore in a subscription are taken and not needed.
    """

    @staticmethod
    def register_azure_blob_container(
        workspace: Workspace,
        datastore_name: str,
        container_name: str,
        account_name: str,
        sas_token: str | None = None,
        account_key: str | None = None,
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
        blob_cache_timeout: int | None = None,
        grant_workspace_access: bool = False,
        subscription_id: str | None = None,
        resource_group: str | None = None,
    ) -> Datastore:
        """A blob container of any account: by its key, by a SAS token, or, with neither, by the service's identity.

        `endpoint`: what follows `blob.` in the account's host, or the whole URL of its blob service. With a key or a
        token the container is looked at, unless `skip_validation`; `create_if_not_exists` makes it. Raises
        InvalidRequest, Conflict.
        """
        del blob_cache_timeout, subscription_id, resource_group
        credential = _storage_credential(account_key, sas_token, identity=grant_workspace_access)
        return _registered(
            workspace,
            datastore_name,
            {
                "type": "AzureBlob",
                "account": account_name,
                "container": container_name,
                "endpoint": _endpoint("blob", account_name, protocol, endpoint),
                **credential,
            },
            overwrite=overwrite,
            create_if_not_exists=create_if_not_exists,
            skip_validation=skip_validation or "secret" not in credential,
        )

    @staticmethod
    def register_azure_data_lake_gen2(
        workspace: Workspace,
        datastore_name: str,
        filesystem: str,
        account_name: str,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        resource_url: str | None = None,
        authority_url: str | None = None,
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        grant_workspace_access: bool = False,
    ) -> Datastore:
        """A file system of Data Lake Storage Gen2: by a service principal, or by the service's identity.

        It is reached by its account's blob endpoint. As in v1 it is not looked at: rights may be given later.
        """
        del resource_url, subscription_id, resource_group, grant_workspace_access
        return _registered(
            workspace,
            datastore_name,
            {
                "type": "AzureDataLakeGen2",
                "account": account_name,
                "container": filesystem,
                "endpoint": _endpoint("blob", account_name, protocol, endpoint),
                **_principal(tenant_id, client_id, client_secret, authority_url),
            },
            overwrite=overwrite,
            skip_validation=True,
        )

    @staticmethod
    def register_azure_file_share(
        workspace: Workspace,
        datastore_name: str,
        file_share_name: str,
        account_name: str,
        sas_token: str | None = None,
        account_key: str | None = None,
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        create_if_not_exists: bool = False,
        skip_validation: bool = False,
    ) -> Datastore:
        """An Azure file share, by account key or SAS token."""
        return _registered(
            workspace,
            datastore_name,
            {
                "type": "AzureFile",
                "account": account_name,
                "container": file_share_name,
                "endpoint": _endpoint("file", account_name, protocol, endpoint),
                **_storage_credential(account_key, sas_token, identity=False),
            },
            overwrite=overwrite,
            create_if_not_exists=create_if_not_exists,
            skip_validation=skip_validation,
        )

    @staticmethod
    def register_azure_sql_database(
        workspace: Workspace,
        datastore_name: str,
        server_name: str,
        database_name: str,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        resource_url: str | None = None,
        authority_url: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        username: str | None = None,
        password: str | None = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        grant_workspace_access: bool = False,
        **unknown: Any,
    ) -> Datastore:
        """A database of Azure SQL, by user name and password; queried with the package pymssql."""
        refuse_unknown(Registering.register_azure_sql_database, unknown)
        del resource_url, authority_url, subscription_id, resource_group, grant_workspace_access
        if tenant_id or client_id or client_secret or not (username and password):
            message = "Give username and password: Azure SQL is not reached with a service principal or an identity."
            raise InvalidRequest(message, field="username")
        host = f"{server_name}.{endpoint or 'database.windows.net'}:1433"
        url = _sql_url("mssql+pymssql", username, host, database_name, {})
        return _sql(workspace, datastore_name, "AzureSqlDatabase", url, password, overwrite)

    @staticmethod
    def register_azure_postgre_sql(
        workspace: Workspace,
        datastore_name: str,
        server_name: str,
        database_name: str,
        user_id: str,
        user_password: str,
        port_number: int | str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        enforce_ssl: bool = True,
        **unknown: Any,
    ) -> Datastore:
        """A database of Azure Database for PostgreSQL; queried with the package psycopg."""
        refuse_unknown(Registering.register_azure_postgre_sql, unknown)
        host = f"{server_name}.{endpoint or 'postgres.database.azure.com'}:{port_number or 5432}"
        url = _sql_url(
            "postgresql+psycopg", user_id, host, database_name, {"sslmode": "require"} if enforce_ssl else {}
        )
        return _sql(workspace, datastore_name, "AzurePostgreSql", url, user_password, overwrite)

    @staticmethod
    def register_azure_my_sql(
        workspace: Workspace,
        datastore_name: str,
        server_name: str,
        database_name: str,
        user_id: str,
        user_password: str,
        port_number: int | str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        **unknown: Any,
    ) -> Datastore:
        """A database of Azure Database for MySQL, over TLS; queried with the package pymysql."""
        refuse_unknown(Registering.register_azure_my_sql, unknown)
        host = f"{server_name}.{endpoint or 'mysql.database.azure.com'}:{port_number or 3306}"
        url = _sql_url("mysql+pymysql", user_id, host, database_name, {"ssl_check_hostname": "true"})
        return _sql(workspace, datastore_name, "AzureMySql", url, user_password, overwrite)

    @staticmethod
    def register_sql(workspace: Workspace, datastore_name: str, url: str, overwrite: bool = False) -> Datastore:
        """Any database that SQLAlchemy has a URL for, such as sqlite:////data/sales.db. Not of v1.

        A password in the URL is taken out of it and kept as other secrets are.
        """
        return _sql(workspace, datastore_name, "Sql", without_password(url), password_in(url), overwrite)


def _registered(
    workspace: Workspace,
    name: str,
    wish: Mapping[str, Any],
    *,
    overwrite: bool,
    create_if_not_exists: bool = False,
    skip_validation: bool = False,
) -> Datastore:
    from millstream.datastore import Datastore

    given = {"overwrite": overwrite, "create_if_not_exists": create_if_not_exists, "skip_validation": skip_validation}
    made = workspace.api.put_datastore(name, {**wish, **given})
    workspace.refresh()
    return Datastore(workspace, made.name)


def _endpoint(service: str, account: str, protocol: str | None, endpoint: str | None) -> str:
    if endpoint and "://" in endpoint:
        return endpoint
    return f"{protocol or 'https'}://{account}.{service}.{endpoint or _PUBLIC}"


def _storage_credential(key: str | None, sas: str | None, *, identity: bool) -> dict[str, str]:
    if key and sas:
        raise InvalidRequest("Give account_key or sas_token, not both.", field="account_key")
    if key:
        return {"auth": "account_key", "secret": key}
    if sas and not identity:
        return {"auth": "sas", "secret": sas.lstrip("?")}
    return {"auth": "identity"}


def _principal(tenant: str | None, client: str | None, secret: str | None, authority: str | None) -> dict[str, str]:
    if not (tenant or client or secret):
        return {"auth": "identity"}
    if not (tenant and client and secret):
        message = "A service principal has a tenant_id, a client_id and a client_secret: give all three, or none."
        raise InvalidRequest(message, field="client_secret")
    given = {"auth": "service_principal", "tenant": tenant, "client": client, "secret": secret}
    return given | ({"authority": authority} if authority else {})


def _sql_url(scheme: str, user: str, host: str, database: str, query: Mapping[str, str]) -> str:
    options = f"?{urlencode(query)}" if query else ""
    return f"{scheme}://{quote(user, safe='')}@{host}/{quote(database, safe='')}{options}"


def _sql(workspace: Workspace, name: str, kind: str, url: str, password: str | None, overwrite: bool) -> Datastore:
    credential = {"auth": "password", "secret": password} if password else {"auth": "none"}
    return _registered(workspace, name, {"type": kind, "url": url, **credential}, overwrite=overwrite)
