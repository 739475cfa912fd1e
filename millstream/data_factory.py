"""v1's compute of data transfers. Here it is a name for the Functions app: transfers need no Data Factory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from millstream.compute import KIND, ComputeTarget
from millstream.console import say

if TYPE_CHECKING:
    from millstream.workspace import Workspace

TYPE = "DataFactory"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFactoryConfiguration:
    """What was asked for: a factory to be made, or the one to be attached. It is kept and shown."""

    location: str | None = None
    resource_group: str | None = None
    factory_name: str | None = None
    resource_id: str | None = None

    def make(self, workspace: Workspace, name: str) -> DataFactoryCompute:
        """Make the compute. If there is one, what is kept of it changes."""
        wish = {key: getattr(self, key) for key in self.__dataclass_fields__ if getattr(self, key) is not None}
        workspace.api.put_compute(name, {"kind": KIND, "settings": {"type": TYPE, **wish}})
        say(f"Compute {name} is there. Transfers run in the service: no Data Factory is made, and none is needed.")
        return DataFactoryCompute(workspace, name)


class DataFactoryCompute(ComputeTarget):
    """A compute by v1's name for those of DataTransferSteps; other steps may name it as well."""

    type = TYPE

    def __new__(cls, *_args: Any, **_kwargs: Any) -> DataFactoryCompute:
        return object.__new__(cls)

    @staticmethod
    def provisioning_configuration(location: str | None = None) -> DataFactoryConfiguration:
        """What to give to ComputeTarget.create."""
        return DataFactoryConfiguration(location=location)

    @staticmethod
    def attach_configuration(
        resource_group: str | None = None, factory_name: str | None = None, resource_id: str | None = None
    ) -> DataFactoryConfiguration:
        """What to give to ComputeTarget.attach."""
        return DataFactoryConfiguration(
            resource_group=resource_group, factory_name=factory_name, resource_id=resource_id
        )
