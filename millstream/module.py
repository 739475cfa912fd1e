"""Modules: steps kept in the workspace under a name, with versions, for pipelines to be made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from millstream import snapshot as sources
from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.errors import Conflict, UnknownThing
from millstream.module_document import Parts, document_of
from millstream.module_views import ModuleVersionView, ModuleView
from millstream.named import Named, Stated
from millstream.port_defs import InputPortDef, OutputPortDef
from millstream.run_context import NotAvailable
from millstream.sql_steps import AdlaStep
from millstream.steps import PythonScriptStep
from millstream.workspace import Workspace
from orchestrator.core.errors import InvalidDefinition
from orchestrator.core.module import ModuleDocument, default_of
from orchestrator.core.names import shown

DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class ModuleVersionDescriptor:
    """The text of a version, and its id."""

    version: str
    module_version_id: str


class ModuleVersion(Stated[ModuleVersionView]):
    """A version of a module: what a step of it runs. It never changes but for its status and description."""

    @staticmethod
    def get(workspace: Workspace, module_version_id: str) -> ModuleVersion:
        """Raises UnknownThing."""
        return ModuleVersion(workspace, workspace.api.module_version(module_version_id))

    @property
    def version(self) -> str:
        return self._view.version

    @property
    def module_id(self) -> str:
        return self._view.module_id

    @property
    def document(self) -> ModuleDocument:
        """What it holds: kind, source folder, ports, parameters, arguments."""
        if self._view.holds is None:
            self._view = self.workspace.api.module_version(self.id)
        assert self._view.holds is not None
        return self._view.holds

    def module(self) -> Module:
        """The module that it is a version of."""
        return Module.get(self.workspace, module_id=self.module_id)

    def deprecate(self) -> None:
        """Steps are made of it, and say that it is deprecated."""
        self._change(status="Deprecated")

    def _change(self, **changes: str) -> None:
        changed = self.workspace.api.change_module_version(self.id, changes)
        self._view = msgspec.structs.replace(changed, holds=self._view.holds)

    def __repr__(self) -> str:
        return f"ModuleVersion(version={self.version!r}, id={self.id!r}, module_id={self.module_id!r})"


class Module(Named[ModuleView]):
    """A name with versions of a step behind it. What it tells of itself is what the service said last."""

    @staticmethod
    def create(workspace: Workspace, name: str, description: str, **unknown: Any) -> Module:
        """Make a module. One of this name and description is found, so that a driver may run again.

        Raises Conflict if the name is taken by a module with another description.
        """
        refuse_unknown(Module.create, unknown)
        view = workspace.api.modules.make({"name": name, "description": description or ""})
        say(f"{'Made' if view.created else 'There is'} the module {view.name} ({view.id})")
        return Module(workspace, view)

    @staticmethod
    def get(workspace: Workspace, module_id: str | None = None, name: str | None = None) -> Module:
        """The module with this id, or of this name. Raises UnknownThing."""
        return Module(workspace, workspace.api.modules.find(module_id, name))

    @property
    def default_version(self) -> str | None:
        """The version that was named the default; None: none was."""
        return self._view.default_version or None

    def publish_python_script(
        self,
        script_name: str,
        description: str,
        inputs: Iterable[InputPortDef] | None,
        outputs: Iterable[OutputPortDef] | None,
        params: Mapping[str, Any] | None = None,
        create_sequencing_ports: bool = True,
        version: str | None = None,
        is_default: bool = False,
        source_directory: str | Path | None = None,
        hash_paths: Any = None,
        category: str | None = None,
        arguments: Iterable[Any] | None = None,
        runconfig: Any = None,
    ) -> ModuleVersion:
        """Keep a script with its folder as a version. Published again as it is, it is found again.

        `params` are the script's AML_PARAMETER_ variables with their defaults. `arguments` may name the ports by their
        definitions. Without a `version` it gets the next number. Raises Conflict for a version that holds another.
        """
        del create_sequencing_ports, hash_paths
        step = PythonScriptStep(script_name, source_directory=source_directory or ".", runconfig=runconfig)
        parts = Parts(inputs, outputs, params, arguments)
        return self._publish(step, parts, description, version, category, is_default=is_default)

    def publish_adla_script(
        self,
        script_name: str,
        description: str,
        inputs: Iterable[InputPortDef] | None,
        outputs: Iterable[OutputPortDef] | None,
        params: Mapping[str, Any] | None = None,
        create_sequencing_ports: bool = True,
        degree_of_parallelism: Any = None,
        priority: Any = None,
        runtime_version: Any = None,
        compute_target: Any = None,
        version: str | None = None,
        is_default: bool = False,
        source_directory: str | Path | None = None,
        hash_paths: Any = None,
        category: str | None = None,
        arguments: Iterable[Any] | None = None,
    ) -> ModuleVersion:
        """As publish_python_script, of a U-SQL script (see AdlaStep)."""
        del create_sequencing_ports, degree_of_parallelism, priority, runtime_version, compute_target, hash_paths
        step = AdlaStep(script_name, source_directory=source_directory or ".")
        parts = Parts(inputs, outputs, params, arguments)
        return self._publish(step, parts, description, version, category, is_default=is_default)

    def publish(self, *_args: Any, **_kwargs: Any) -> ModuleVersion:
        """Raises NotAvailable: there is a method for each kind of step that a module can hold."""
        raise NotAvailable("Module.publish of v1 is not there: use publish_python_script or publish_adla_script.")

    def publish_azure_batch(self, *_args: Any, **_kwargs: Any) -> ModuleVersion:
        """Raises NotAvailable: there is no Azure Batch."""
        raise NotAvailable(
            "Module.publish_azure_batch of v1 is not there: publish a script that starts the program, with "
            "publish_python_script."
        )

    def get_versions(self) -> list[ModuleVersion]:
        """In the order of publication."""
        return [ModuleVersion(self.workspace, view) for view in self.workspace.api.modules.versions(self.id)]

    def module_version_list(self) -> list[ModuleVersionDescriptor]:
        return [ModuleVersionDescriptor(it.version, it.id) for it in self.get_versions()]

    def get_default(self) -> ModuleVersion:
        """The version that is used where none is asked for. Raises UnknownThing if there is none."""
        return self.resolve()

    def get_default_version(self) -> str:
        """As `get_default`: its text."""
        return self.resolve().version

    def set_default_version(self, version_id: str) -> None:
        """By its text, or its id. Raises UnknownThing if there is no such version."""
        text = next((it.version for it in self.get_versions() if it.id == version_id), str(version_id))
        self._change(default_version=text)

    def resolve(self, version: str | None = None) -> ModuleVersion:
        """This version; without one the default, else the highest number (1.10 is above 1.9), else the last published.

        Raises UnknownThing.
        """
        self._view = self.workspace.api.modules.get(self.id)
        known = self.get_versions()
        if version is None:
            found = default_of(known_views(known), self._view.default_version)
            if found is None:
                raise UnknownThing(f"The module {shown(self.name)} has no version that is enabled.", field="version")
            return ModuleVersion(self.workspace, found)
        chosen = next((it for it in known if it.version == str(version)), None)
        if chosen is None:
            there = ", ".join(it.version for it in known) or "none"
            message = f"The module {shown(self.name)} has no version {shown(str(version))}. There is: {there}."
            raise UnknownThing(message, field="version")
        return chosen

    def deprecate(self) -> None:
        """Steps are made of it, and say that it is deprecated."""
        self._change(status="Deprecated")

    def _publish(
        self,
        step: PythonScriptStep | AdlaStep,
        parts: Parts,
        description: str,
        version: str | None,
        category: str | None,
        *,
        is_default: bool,
    ) -> ModuleVersion:
        folder = Path(step.source_directory or ".").absolute()
        problem = step.source_problem(folder)
        if problem is not None:
            raise InvalidDefinition([problem])
        taken = sources.take(folder)
        sources.check_size(taken, self.workspace.refresh().limits)
        wish = {
            "document": document_of(step, parts, taken.id),
            "version": "" if version is None else str(version),
            "description": description or "",
            "category": category or "",
            "default": is_default,
        }
        sources.upload(self.workspace.api, taken)
        view = self.workspace.api.modules.add_version(self.id, wish)
        self._view = self.workspace.api.modules.get(self.id)
        state = "Published" if view.added else "This is there already:"
        say(f"{state} version {view.version} of the module {self.name}")
        return ModuleVersion(self.workspace, view)

    def _change(self, **changes: str) -> None:
        self._view = self.workspace.api.modules.change(self.id, changes)

    def __repr__(self) -> str:
        return f"Module(name={self.name!r}, id={self.id!r})"


def known_views(versions: Iterable[ModuleVersion]) -> list[ModuleVersionView]:
    return [version._view for version in versions]


def usable(version: ModuleVersion) -> ModuleVersion:
    """The version, if steps are made of it. Raises Conflict; says so if it, or its module, is deprecated."""
    module = version.module()
    named = f"version {version.version} of the module {shown(module.name)}"
    if DISABLED in (version.status, module.status):
        raise Conflict(f"No steps are made of {named}: it is disabled. Enable it, or use another version.")
    if "Deprecated" in (version.status, module.status):
        say(f"Note: {named} is deprecated.")
    return version
