"""The workspace: the service, and the names of what it has."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from millstream.api import Api
from millstream.arguments import refuse_unknown
from millstream.authentication import (
    Authentication,
    FoundAuthentication,
    InteractiveLoginAuthentication,
    TokenAuthentication,
)
from millstream.config import ENDPOINT, Found, checked, find_config, find_endpoint, write_config
from millstream.errors import ConfigurationError
from millstream.explained import Explained
from millstream.named_mapping import NamedMapping
from millstream.run_context import STEP_INFO
from millstream.transport import Transport
from millstream.views import WorkspaceView

if TYPE_CHECKING:
    from millstream.compute import ComputeTarget
    from millstream.datastore import Datastore
    from millstream.environment import Environment
    from millstream.experiment import Experiment
    from millstream.file_dataset import FileDataset
    from millstream.model import Model
    from millstream.runs import ServiceRun
    from millstream.tabular_dataset import TabularDataset


class Workspace(Explained):
    """A Millstream service. Mostly made by `Workspace.from_config()`.

    v1's three names identify the workspace to people; `url` (else what `from_config` would find) is where the service
    is, and `auth` or `token` (else MILLSTREAM_TOKEN, or the token file that belongs to the URL) says who calls.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        workspace_name: str | None = None,
        auth: Authentication | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        transport: Transport | None = None,
        _config: Found | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(Workspace.__init__, {name: unknown[name] for name in unknown if name[0] != "_"})
        self._names = (subscription_id, resource_group, workspace_name)
        self._config = _config
        self._url = checked(url) if url else None
        self._auth = TokenAuthentication(token) if token else auth or InteractiveLoginAuthentication()
        self._transport = transport

    @staticmethod
    def from_config(
        path: str | os.PathLike[str] | None = None,
        auth: Authentication | None = None,
        _logger: Any = None,
        _file_name: str | None = None,
    ) -> Workspace:
        """The workspace of the nearest config.json (.azureml/config.json, aml_config/, config.json; upwards), or of
        the local service that scripts/up runs. Raises ConfigurationError, saying what to do.
        """
        del _logger
        found = find_config(path, _file_name)
        if found is None and path is not None:
            raise ConfigurationError(f"There is no config.json at {path}, nor above it.")
        config = found or Found()
        workspace = Workspace(
            config.subscription_id or None,
            config.resource_group or None,
            config.workspace_name or None,
            auth,
            url=find_endpoint(found),
            _config=found,
        )
        if isinstance(workspace.authentication, FoundAuthentication):
            workspace.authentication.check()  # a token that is missing is said here, not at the first call
        return workspace

    @staticmethod
    def get(
        name: str,
        auth: Authentication | None = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str = "AzureCloud",
        id: str | None = None,
        **unknown: Any,
    ) -> Workspace:
        """The workspace of this name, at the endpoint that `from_config` would find."""
        del location, cloud, id
        refuse_unknown(Workspace.get, unknown)
        return Workspace(subscription_id, resource_group, name, auth)

    @staticmethod
    def of_this_step() -> Workspace:
        """The workspace that the step calling this belongs to, from the variables that the step was given.

        What a step may do there: docs/in-a-step.md.
        """
        variables = os.environ
        return Workspace(
            variables.get("AZUREML_ARM_SUBSCRIPTION"),
            variables.get("AZUREML_ARM_RESOURCEGROUP"),
            variables.get("AZUREML_ARM_WORKSPACE_NAME"),
            url=variables.get(ENDPOINT) or "http://127.0.0.1:9",
            auth=None if ENDPOINT in variables else _NoService(),
        )

    @staticmethod
    def here() -> Workspace:
        """In a step, its workspace; elsewhere, that of `from_config`."""
        return Workspace.of_this_step() if STEP_INFO in os.environ else Workspace.from_config()

    @cached_property
    def url(self) -> str:
        """Where the service is, without /api. Raises ConfigurationError."""
        return self._url or find_endpoint(self._config)

    @cached_property
    def authentication(self) -> Authentication:
        """Who calls. Raises ConfigurationError, when it is used, if no token is known."""
        if isinstance(self._auth, FoundAuthentication):
            # By itself it would not know of this workspace's own token file.
            return self._auth.at(self.url, self._config)
        return self._auth

    @cached_property
    def api(self) -> Api:
        """The service's routes."""
        return Api(self.url, self.authentication.get_authentication_header, self._transport or Transport())

    @cached_property
    def details(self) -> WorkspaceView:
        """What the service says of itself. Asked once; `refresh()` asks anew."""
        return self.api.workspace()

    def refresh(self) -> WorkspaceView:
        self.__dict__.pop("details", None)
        return self.details

    @property
    def name(self) -> str:
        return self._names[2] or self.details.name

    @property
    def subscription_id(self) -> str:
        return self._names[0] or self.details.subscription_id

    @property
    def resource_group(self) -> str:
        return self._names[1] or self.details.resource_group

    @property
    def location(self) -> str:
        return self.url

    @property
    def discovery_url(self) -> str:
        """What tells a real azureml-core where services are."""
        return f"{self.url}/api/discovery"

    @property
    def datastores(self) -> Mapping[str, Datastore]:
        from millstream.datastore import Datastore

        return NamedMapping(
            "datastores", lambda: [d.name for d in self.refresh().datastores], lambda n: Datastore(self, n)
        )

    @property
    def compute_targets(self) -> Mapping[str, ComputeTarget]:
        from millstream.compute import ComputeTarget

        return NamedMapping(
            "computes", lambda: [c.name for c in self.refresh().computes], lambda n: ComputeTarget(self, n)
        )

    @property
    def experiments(self) -> Mapping[str, Experiment]:
        from millstream.experiment import Experiment

        return NamedMapping(
            "experiments", lambda: [e.name for e in self.api.experiments()], lambda n: Experiment(self, n)
        )

    @property
    def datasets(self) -> Mapping[str, FileDataset | TabularDataset]:
        """The latest version of each registered dataset."""
        from millstream.dataset import Dataset

        return NamedMapping(
            "datasets", lambda: [d.name for d in self.api.datasets()], lambda n: Dataset.get_by_name(self, n)
        )

    @property
    def models(self) -> Mapping[str, Model]:
        from millstream.model import Model

        return NamedMapping("models", lambda: sorted({m.name for m in self.api.models()}), lambda n: Model(self, n))

    @property
    def environments(self) -> Mapping[str, Environment]:
        """The last version of each environment that was registered."""
        from millstream.environment import Environment

        return NamedMapping(
            "environments", lambda: [e.name for e in self.api.environments()], lambda n: Environment.get(self, n)
        )

    images: Mapping[str, Any] = MappingProxyType({})
    webservices: Mapping[str, Any] = MappingProxyType({})
    tags: Mapping[str, str] = MappingProxyType({})
    sku = "basic"

    @staticmethod
    def list(
        subscription_id: str, auth: Authentication | None = None, resource_group: str | None = None
    ) -> dict[str, builtins.list[Workspace]]:
        """The one workspace that `from_config` finds, by name, if it is in that subscription and resource group."""
        found = Workspace.from_config(auth=auth)
        fits = found.subscription_id == subscription_id and resource_group in (None, found.resource_group)
        return {found.name: [found]} if fits else {}

    def get_default_compute_target(self, type: str) -> ComputeTarget:
        """The first compute, for "CPU" and "GPU" alike."""
        del type
        return next(iter(self.compute_targets.values()))

    def get_default_datastore(self) -> Datastore:
        from millstream.datastore import Datastore

        return Datastore(self)

    def set_default_datastore(self, name: str) -> None:
        """Make a datastore the default one, for all who use the workspace. Raises UnknownThing."""
        self.api.set_default_datastore(name)
        self.refresh()

    def get_run(self, run_id: str) -> ServiceRun:
        """The pipeline run or step run with this id. Raises UnknownThing."""
        from millstream.runs import get_run

        return get_run(self, run_id)

    def get_details(self) -> dict[str, Any]:
        """Names, datastores and computes, as a dictionary."""
        seen = self.refresh()
        return {
            "name": self.name,
            "subscription_id": self.subscription_id,
            "resource_group": self.resource_group,
            "endpoint": self.url,
            "version": seen.version,
            "datastores": [store.name for store in seen.datastores],
            "compute_targets": [compute.name for compute in seen.computes],
        }

    def write_config(self, path: str | os.PathLike[str] | None = None, file_name: str | None = None) -> None:
        """Write .azureml/config.json below `path`, or the current folder, for `from_config`. It holds no token."""
        config = Found(
            subscription_id=self.subscription_id,
            resource_group=self.resource_group,
            workspace_name=self.name,
            url=self.url,
        )
        write_config(Path(path or "."), file_name or "config.json", config)

    def __repr__(self) -> str:
        return f"Workspace(name={self._names[2]!r}, url={self._url!r})"


class _NoService(Authentication):
    def get_token(self) -> str:
        raise ConfigurationError(
            "This step was given no access to the service, whose settings have no MILLSTREAM_RUN_TOKEN_KEY. Set it, or "
            "pass what the step needs as inputs and parameters."
        )
