"""Computes under v1's names that stand for a workspace elsewhere, where the steps that name them do their work."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from millstream.compute import KIND, ComputeTarget
from millstream.errors import UnknownThing
from millstream.exceptions import ComputeTargetException

if TYPE_CHECKING:
    from millstream.workspace import Workspace

_URL_VARIABLE: Final = "DATABRICKS_HOST"
_CLUSTER: Final = re.compile(r"https?://[^/;\s]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachConfiguration:
    """What `attach_configuration` made, for ComputeTarget.attach. `shown` may be seen by all who use the workspace."""

    type: str
    url: str
    secret: str = field(default="", repr=False)
    more: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)

    def wish(self) -> dict[str, Any]:
        """The body of the request that attaches it."""
        secret = {"secret": self.secret} if self.secret else {}
        return {"type": self.type, "url": self.url, **self.more, **secret}

    def make(self, workspace: Workspace, name: str) -> ComputeTarget:
        """Attach it under this name: first where the work is done, so that no step does it elsewhere meanwhile."""
        workspace.api.put_attachment(name, self.wish())
        workspace.api.put_compute(name, {"kind": KIND, "settings": self.settings()})
        return ComputeTarget(workspace, name)

    def settings(self) -> dict[str, Any]:
        """What the compute's record shows of it."""
        shown = {name: value for name, value in self.shown.items() if value}
        return {"attached": self.type, "url": self.url, **shown}


class AttachedCompute(ComputeTarget):
    """Base of computes that are attached, and not made."""

    def detach(self) -> None:
        """Forget the name and the secret; the workspace itself stays as it is."""
        self.workspace.api.delete_compute(self.name)
        with suppress(UnknownThing):  # somebody has detached it by itself
            self.workspace.api.delete_attachment(self.name)
        self.workspace.refresh()

    delete = detach

    @property
    def url(self) -> str:
        """Of the workspace."""
        return str(self._view.settings.get("url", ""))


class DatabricksCompute(AttachedCompute):
    """A Databricks workspace. Steps of other kinds that name it run in the Functions app."""

    type = "Databricks"

    @staticmethod
    def attach_configuration(
        resource_group: str | None = None,
        workspace_name: str | None = None,
        resource_id: str | None = None,
        access_token: str = "",
        *,
        workspace_url: str | None = None,
    ) -> AttachConfiguration:
        """For ComputeTarget.attach. Beside v1's arguments `workspace_url`, the address of the workspace, which v1 asked
        Azure for; without it, the variable DATABRICKS_HOST. Raises ComputeTargetException.
        """
        if not access_token:
            raise ComputeTargetException(
                "Give access_token: a token of the Databricks workspace.", field="access_token"
            )
        url = workspace_url or os.environ.get(_URL_VARIABLE, "")
        if not url:
            raise ComputeTargetException(
                "Give workspace_url, or set DATABRICKS_HOST: the address of the Databricks workspace, such as "
                "https://adb-1234567890123456.7.azuredatabricks.net. It is not looked up by its name.",
                field="workspace_url",
            )
        url = url if "://" in url else f"https://{url}"
        shown = {
            "resource_group": resource_group or "",
            "workspace_name": workspace_name or "",
            "resource_id": resource_id or "",
        }
        return AttachConfiguration(type="Databricks", url=url.rstrip("/"), secret=access_token, shown=shown)

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: Any) -> DatabricksCompute:
        """As ComputeTarget.attach."""
        made = ComputeTarget.attach(workspace, name, attach_configuration)
        assert isinstance(made, DatabricksCompute)
        return made

    def get_credentials(self) -> dict[str, str]:
        """Raises ComputeTargetException: a secret that is kept is never given back."""
        raise ComputeTargetException("The access token is kept encrypted, and never given back.")


class SynapseCompute(AttachedCompute):
    """A Spark pool of a Synapse workspace. Steps of other kinds that name it run in the Functions app."""

    type = "SynapseSpark"

    @staticmethod
    def attach_configuration(
        linked_service: Any = None,
        type: str = "SynapseSpark",
        pool_name: str | None = None,
        resource_id: str | None = None,
        *,
        workspace_url: str | None = None,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        access_token: str | None = None,
    ) -> AttachConfiguration:
        """For ComputeTarget.attach. `workspace_url`, as in https://<workspace>.dev.azuresynapse.net, or the name of the
        workspace as `linked_service`. It is opened by the identity of the Functions app; or by a service principal
        (`tenant_id`, `client_id`, `client_secret`); or by an `access_token`, which soon ends.

        Raises ComputeTargetException.
        """
        if type != "SynapseSpark":
            raise ComputeTargetException(f"There are pools of the type SynapseSpark only, not {type!r}.", field="type")
        if not pool_name:
            raise ComputeTargetException("Give pool_name: the Spark pool of the workspace.", field="pool_name")
        name = linked_service if isinstance(linked_service, str) else getattr(linked_service, "name", None)
        if not workspace_url and not name:
            raise ComputeTargetException(
                "Give workspace_url, or the name of the Synapse workspace as linked_service.", field="workspace_url"
            )
        more = {"pool": pool_name, "auth": "token" if access_token else "identity"}
        if client_id or client_secret or tenant_id:
            more |= {"auth": "service_principal", "tenant": tenant_id or "", "client": client_id or ""}
        return AttachConfiguration(
            type="Synapse",
            url=(workspace_url or f"https://{name}.dev.azuresynapse.net").rstrip("/"),
            secret=access_token or client_secret or "",
            more=more,
            shown={"pool": pool_name, "resource_id": resource_id or ""},
        )

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: Any) -> SynapseCompute:
        """As ComputeTarget.attach."""
        made = ComputeTarget.attach(workspace, name, attach_configuration)
        assert isinstance(made, SynapseCompute)
        return made


class KustoCompute(AttachedCompute):
    """A cluster of Azure Data Explorer, for KustoStep."""

    type = "Kusto"

    @staticmethod
    def attach_configuration(
        resource_group: str | None = None,
        workspace_name: str | None = None,
        resource_id: str | None = None,
        tenant_id: str | None = None,
        kusto_connection_string: str | None = None,
        application_id: str | None = None,
        application_key: str | None = None,
    ) -> AttachConfiguration:
        """For ComputeTarget.attach. `kusto_connection_string` is the URL of the cluster, or a text with it. The cluster
        is opened by a service principal (`tenant_id`, `application_id`, `application_key`), or, without one, by the
        identity of the Functions app. Raises ComputeTargetException.
        """
        found = _CLUSTER.search(kusto_connection_string or "")
        if found is None:
            raise ComputeTargetException(
                "Give kusto_connection_string: the URL of the cluster, such as "
                "https://mycluster.westeurope.kusto.windows.net. It is not looked up by its name.",
                field="kusto_connection_string",
            )
        more, secret = _opened_by(tenant_id, application_id, application_key)
        return AttachConfiguration(
            type="Kusto",
            url=found[0],
            secret=secret,
            more=more,
            shown={
                "resource_group": resource_group or "",
                "workspace_name": workspace_name or "",
                "resource_id": resource_id or "",
            },
        )

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: Any) -> KustoCompute:
        """As ComputeTarget.attach."""
        made = ComputeTarget.attach(workspace, name, attach_configuration)
        assert isinstance(made, KustoCompute)
        return made

    def get_credentials(self) -> dict[str, str]:
        """Raises ComputeTargetException: a secret that is kept is never given back."""
        raise ComputeTargetException("The application key is kept encrypted, and never given back.")


class BatchCompute(AttachedCompute):
    """An account of Azure Batch, for AzureBatchStep."""

    type = "Batch"

    @staticmethod
    def attach_configuration(
        resource_group: str | None = None,
        account_name: str | None = None,
        resource_id: str | None = None,
        *,
        account_url: str | None = None,
        tenant_id: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> AttachConfiguration:
        """For ComputeTarget.attach. Beside v1's arguments `account_url`, as in
        https://<account>.<region>.batch.azure.com, which v1 asked Azure for. The account is opened by a service
        principal, or, without one, by the identity of the Functions app. Raises ComputeTargetException.
        """
        if not account_url:
            raise ComputeTargetException(
                "Give account_url: the address of the account of Azure Batch, such as "
                "https://myaccount.westeurope.batch.azure.com. It is not looked up by its name.",
                field="account_url",
            )
        more, secret = _opened_by(tenant_id, client_id, client_secret)
        shown = {
            "resource_group": resource_group or "",
            "account_name": account_name or "",
            "resource_id": resource_id or "",
        }
        return AttachConfiguration(type="Batch", url=account_url.rstrip("/"), secret=secret, more=more, shown=shown)

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: Any) -> BatchCompute:
        """As ComputeTarget.attach."""
        made = ComputeTarget.attach(workspace, name, attach_configuration)
        assert isinstance(made, BatchCompute)
        return made


def _opened_by(tenant: str | None, client: str | None, secret: str | None) -> tuple[dict[str, str], str]:
    """How an attached service is opened, and the secret: by a service principal, or by the app's own identity."""
    if not (tenant or client or secret):
        return {"auth": "identity"}, ""
    return {"auth": "service_principal", "tenant": tenant or "", "client": client or ""}, secret or ""


CLASSES: Final[dict[str, type[AttachedCompute]]] = {
    "Batch": BatchCompute,
    "Databricks": DatabricksCompute,
    "Kusto": KustoCompute,
    "Synapse": SynapseCompute,
}


def class_of(settings: Mapping[str, Any]) -> type[AttachedCompute] | None:
    """The class of an attached compute, by what its record shows; None: it is none."""
    return CLASSES.get(str(settings.get("attached", "")))
