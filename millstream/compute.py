"""Computes under v1's names: what a driver gets or creates before it makes steps.

A cluster becomes a container compute, where the service has such: `max_nodes` is the most executions, `vm_size` says
what CPUs and memory they have (`vm_sizes`), `min_nodes` and idle seconds mean nothing, since nothing waits idle.
Elsewhere it is a name for the Functions app, and what was asked for is kept, shown, and decides nothing.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.errors import UnknownThing
from millstream.exceptions import ComputeTargetException
from millstream.views import ComputeDetailView
from millstream.vm_sizes import container_size
from orchestrator.core.names import suggestion

if TYPE_CHECKING:
    from millstream.data_factory import DataFactoryConfiguration
    from millstream.workspace import Workspace

KIND = "function"
CONTAINER = "container"
_COUNTS = ("min_nodes", "max_nodes", "idle_seconds_before_scaledown")


@dataclass(slots=True, kw_only=True)
class ScaleSettings:
    """How many nodes were asked for."""

    minimum_node_count: int = 0
    maximum_node_count: int = 1
    idle_seconds_before_scaledown: int = 1800


@dataclass(slots=True, kw_only=True)
class AmlComputeProvisioningConfiguration:
    """What was asked for with `AmlCompute.provisioning_configuration`. Users and keys of nodes are not kept."""

    vm_size: str = ""
    vm_priority: str = "dedicated"
    min_nodes: int = 0
    max_nodes: int
    idle_seconds_before_scaledown: int = 1800
    location: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmlComputeStatus:
    """The state of a compute, which is always ready: executions are started as steps come."""

    vm_size: str
    scale_settings: ScaleSettings
    allocation_state: str = "Steady"
    provisioning_state: str = "Succeeded"
    current_node_count: int = 0
    target_node_count: int = 0
    errors: None = None

    def serialize(self) -> dict[str, Any]:
        """As a dictionary, with v1's keys."""
        scale = self.scale_settings
        return {
            "currentNodeCount": self.current_node_count,
            "targetNodeCount": self.target_node_count,
            "nodeStateCounts": {},
            "allocationState": self.allocation_state,
            "errors": self.errors,
            "provisioningState": self.provisioning_state,
            "provisioningStateTransitionTime": None,
            "scaleSettings": {
                "minNodeCount": scale.minimum_node_count,
                "maxNodeCount": scale.maximum_node_count,
                "nodeIdleTimeBeforeScaleDown": f"PT{scale.idle_seconds_before_scaledown}S",
            },
            "vmPriority": "Dedicated",
            "vmSize": self.vm_size,
        }


class ComputeTarget:
    """The compute `name` of the workspace: an AmlCompute, or the class of what is attached under that name.

    Raises ComputeTargetException if there is none.
    """

    type = "AmlCompute"
    provisioning_state = "Succeeded"
    provisioning_errors = None

    def __new__(cls, *_args: Any, **_kwargs: Any) -> ComputeTarget:
        return object.__new__(AmlCompute if cls is ComputeTarget else cls)

    def __init__(self, workspace: Workspace, name: str, **unknown: Any) -> None:
        refuse_unknown(ComputeTarget.__init__, unknown)
        kinds = {compute.name: compute.kind for compute in workspace.refresh().computes}
        if name not in kinds:
            # v1's drivers look for this word at the beginning.
            raise ComputeTargetException(
                f"ComputeTargetNotFound: there is no compute {name!r}. {suggestion(name, kinds, 'computes')}",
                field="name",
            )
        self.workspace = workspace
        self.name = name
        self.kind = kinds[name]
        self._view = _detail(workspace, name, self.kind)
        if attached := _class_of(self._view.settings):
            self.__class__ = attached  # v1: drivers ask what they have got by its class

    @staticmethod
    def create(
        workspace: Workspace,
        name: str,
        provisioning_configuration: AmlComputeProvisioningConfiguration | DataFactoryConfiguration,
    ) -> ComputeTarget:
        """Make a compute of this name. If there is one, what is kept of it changes."""
        from millstream.data_factory import DataFactoryConfiguration

        if isinstance(provisioning_configuration, DataFactoryConfiguration):
            return provisioning_configuration.make(workspace, name)
        if not isinstance(provisioning_configuration, AmlComputeProvisioningConfiguration):
            raise ComputeTargetException(
                f"A compute is made with AmlCompute.provisioning_configuration(), not {provisioning_configuration!r}."
            )
        wish = {key: value for key, value in asdict(provisioning_configuration).items() if value not in (None, {}, "")}
        there = {compute.name: compute.kind for compute in workspace.refresh().computes}.get(name)
        kind = there or (CONTAINER if CONTAINER in workspace.details.compute_kinds else KIND)
        made = _wish(kind, wish)
        workspace.api.put_compute(name, made)
        say(_told(name, kind, made))
        return ComputeTarget(workspace, name)

    @staticmethod
    def list(workspace: Workspace) -> builtins.list[ComputeTarget]:
        """All computes."""
        return [ComputeTarget(workspace, compute.name) for compute in workspace.refresh().computes]

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: Any) -> ComputeTarget:
        """Attach what `attach_configuration` describes: a workspace of Databricks or Synapse, in which steps do their
        work (docs/spark.md), or a Data Factory, which is then a name for the Functions app. What the name was attached
        to before is replaced. Raises ComputeTargetException: machines and other services cannot be attached.
        """
        from millstream.attached_compute import AttachConfiguration
        from millstream.data_factory import DataFactoryConfiguration

        if isinstance(attach_configuration, DataFactoryConfiguration | AttachConfiguration):
            return attach_configuration.make(workspace, name)
        raise ComputeTargetException(
            "Databricks, Synapse, Kusto and Azure Batch can be attached (by the attach_configuration of "
            "DatabricksCompute, SynapseCompute, KustoCompute and BatchCompute), machines and other services cannot. "
            "Use AmlCompute, whose steps run in the Functions app."
        )

    def wait_for_completion(self, show_output: bool = False, **_: Any) -> None:
        """Nothing to wait for: a compute is there as soon as it is made."""
        if show_output:
            say("Succeeded")

    def refresh_state(self) -> None:
        """Ask the service what it keeps."""
        self._view = _detail(self.workspace, self.name, self.kind)

    def delete(self) -> None:
        """Forget the name. Raises UnknownThing for a compute of the service's own settings, which stays."""
        self.workspace.api.delete_compute(self.name)
        self.workspace.refresh()

    detach = delete

    def serialize(self) -> dict[str, Any]:
        """As a dictionary, with v1's keys."""
        return {
            "name": self.name,
            "type": self.type,
            "provisioningState": self.provisioning_state,
            "location": self.workspace.location,
            "tags": self.tags,
            "properties": dict(self._view.settings),
        }

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._view.settings.get("tags", {}))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, kind={self.kind!r})"


class AmlCompute(ComputeTarget):
    """v1's cluster. Here: a container compute, where the service has such, else a name for the Functions app."""

    @staticmethod
    def provisioning_configuration(
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int = 1800,
        admin_username: str | None = None,
        admin_user_password: str | None = None,
        admin_user_ssh_key: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        tags: dict[str, str] | None = None,
        description: str | None = None,
        remote_login_port_public_access: str = "NotSpecified",
        identity_type: str | None = None,
        identity_id: Any = None,
        location: str | None = None,
        enable_node_public_ip: bool = True,
    ) -> AmlComputeProvisioningConfiguration:
        """What to give to ComputeTarget.create. Raises TypeError, ComputeTargetException for wrong numbers of nodes."""
        del admin_username, admin_user_password, admin_user_ssh_key, vnet_resourcegroup_name, vnet_name, subnet_name
        del remote_login_port_public_access, identity_type, identity_id, enable_node_public_ip
        if max_nodes is None:
            raise ComputeTargetException("Give max_nodes: a cluster needs an upper limit of nodes.", field="max_nodes")
        given = dict(zip(_COUNTS, (min_nodes, max_nodes, idle_seconds_before_scaledown), strict=True))
        for name, value in given.items():
            if not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {value!r}.")
        if not 0 <= min_nodes <= max_nodes:
            raise ComputeTargetException("It must hold that 0 <= min_nodes <= max_nodes.", field="min_nodes")
        return AmlComputeProvisioningConfiguration(
            vm_size=vm_size,
            vm_priority=vm_priority,
            min_nodes=min_nodes,
            max_nodes=max_nodes,
            idle_seconds_before_scaledown=idle_seconds_before_scaledown,
            location=location,
            tags=dict(tags or {}),
            description=description,
        )

    @property
    def vm_size(self) -> str:
        return str(self._view.settings.get("vm_size", ""))

    @property
    def scale_settings(self) -> ScaleSettings:
        kept = self._view.settings
        return ScaleSettings(
            minimum_node_count=kept.get("min_nodes", 0),
            maximum_node_count=kept.get("max_nodes", 1),
            idle_seconds_before_scaledown=kept.get("idle_seconds_before_scaledown", 1800),
        )

    def get_status(self) -> AmlComputeStatus:
        """Ready, always. A node is an execution: of a container compute those that run are counted."""
        self.refresh_state()
        running = 0 if self.kind == KIND else self.workspace.api.compute_status(self.name).running
        return AmlComputeStatus(
            vm_size=self.vm_size,
            scale_settings=self.scale_settings,
            current_node_count=running,
            target_node_count=running,
        )

    @property
    def status(self) -> AmlComputeStatus:
        return self.get_status()

    def update(
        self,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,
    ) -> None:
        """Change what is kept."""
        given = dict(zip(_COUNTS, (min_nodes, max_nodes, idle_seconds_before_scaledown), strict=True))
        changed = {**self._view.settings, **{name: value for name, value in given.items() if value is not None}}
        self._view = self.workspace.api.put_compute(self.name, _wish(self.kind, changed))

    def list_nodes(self) -> builtins.list[dict[str, Any]]:
        """None: the Functions app has no nodes that can be seen."""
        return []

    @staticmethod
    def supported_vmsizes(workspace: Workspace, location: str | None = None) -> builtins.list[dict[str, Any]]:
        """None are needed: any text is accepted."""
        del workspace, location
        return []


def _wish(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What to send for a compute of this kind; a container's sizes are those of the nodes that were asked for."""
    if kind != CONTAINER:
        return {"kind": kind, "settings": dict(settings)}
    cpus, memory = container_size(str(settings.get("vm_size", "")))
    sizes = {"most": max(1, min(1000, settings.get("max_nodes", 1))), "cpu": cpus, "memory_gib": memory}
    return {"kind": kind, "settings": dict(settings), "executions": sizes}


def _told(name: str, kind: str, made: Mapping[str, Any]) -> str:
    if kind != CONTAINER:
        return f"Compute {name} is there. Its steps run in the Functions app; sizes and numbers of nodes mean nothing."
    sizes = made["executions"]
    what = f"{sizes['cpu']:g} CPUs and {sizes['memory_gib']:g} GiB each"
    return f"Compute {name} is there. Its steps run in containers, {sizes['most']} at once at most, {what}."


def _class_of(settings: Mapping[str, Any]) -> builtins.type[ComputeTarget] | None:
    from millstream.attached_compute import class_of

    return class_of(settings) if "attached" in settings else None


def _detail(workspace: Workspace, name: str, kind: str) -> ComputeDetailView:
    try:
        return workspace.api.compute(name)
    except UnknownThing:  # of the service's own settings, of which nothing more is kept
        return ComputeDetailView(name=name, kind=kind)
