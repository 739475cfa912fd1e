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
from millstream.module_views import ModuleVersionView, ModuleView
from millstream.parameter import PipelineParameter
from millstream.port_defs import InputPortDef, OutputPortDef
from millstream.run_context import NotAvailable
from millstream.sql_steps import AdlaStep
from millstream.steps import PipelineStep, PythonScriptStep
from millstream.tokens import refuse_tokens
from millstream.wiring import literal
from millstream.workspace import Workspace
from orchestrator.core.definition import Argument, FromInput, FromOutput, FromParameter, Literal
from orchestrator.core.errors import InvalidDefinition
from orchestrator.core.module import ModuleDocument, ModuleParameter, default_of
from orchestrator.core.names import shown

DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class ModuleVersionDescriptor:
    """The text of a version, and its id."""

    version: str
    module_version_id: str


class ModuleVersion:
    """A version of a module: what a step of it runs. It never changes but for its status and description."""

    def __init__(self, workspace: Workspace, view: ModuleVersionView) -> None:
        self.workspace = workspace
        self._view = view

    @staticmethod
    def get(workspace: Workspace, module_version_id: str) -> ModuleVersion:
        """Raises UnknownThing."""
        return ModuleVersion(workspace, workspace.api.module_version(module_version_id))

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def version(self) -> str:
        return self._view.version

    @property
    def module_id(self) -> str:
        return self._view.module_id

    @property
    def description(self) -> str:
        return self._view.description

    @property
    def status(self) -> str:
        """ "Active", "Deprecated" or "Disabled"."""
        return self._view.status

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

    def enable(self) -> None:
        self._change(status="Active")

    def disable(self) -> None:
        """No steps are made of it from now on."""
        self._change(status=DISABLED)

    def deprecate(self) -> None:
        """Steps are made of it, and say that it is deprecated."""
        self._change(status="Deprecated")

    def set_description(self, description: str) -> None:
        self._change(description=description)

    def _change(self, **changes: str) -> None:
        changed = self.workspace.api.change_module_version(self.id, changes)
        self._view = msgspec.structs.replace(changed, holds=self._view.holds)

    def __repr__(self) -> str:
        return f"ModuleVersion(version={self.version!r}, id={self.id!r}, module_id={self.module_id!r})"


class Module:
    """A name with versions of a step behind it. What it tells of itself is what the service said last."""

    def __init__(self, workspace: Workspace, view: ModuleView) -> None:
        self.workspace = workspace
        self._view = view

    @staticmethod
    def create(workspace: Workspace, name: str, description: str, **unknown: Any) -> Module:
        """Make a module. One of this name and description is found, so that a driver may run again.

        Raises Conflict if the name is taken by a module with another description.
        """
        refuse_unknown(Module.create, unknown)
        view = workspace.api.create_module({"name": name, "description": description or ""})
        say(f"{'Made' if view.created else 'There is'} the module {view.name} ({view.id})")
        return Module(workspace, view)

    @staticmethod
    def get(workspace: Workspace, module_id: str | None = None, name: str | None = None) -> Module:
        """The module with this id, or of this name. Raises UnknownThing."""
        if module_id is not None:
            return Module(workspace, workspace.api.module(module_id))
        found = next(workspace.api.modules(name=name), None) if name else None
        if found is None:
            raise UnknownThing(f"There is no module named {shown(name or '')}.", field="name")
        return Module(workspace, found)

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def description(self) -> str:
        return self._view.description

    @property
    def status(self) -> str:
        """ "Active", "Deprecated" or "Disabled"."""
        return self._view.status

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
        parts = _Parts(inputs, outputs, params, arguments)
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
        parts = _Parts(inputs, outputs, params, arguments)
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
        return [ModuleVersion(self.workspace, view) for view in self.workspace.api.module_versions(self.id)]

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
        self._view = self.workspace.api.module(self.id)
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

    def set_name(self, name: str) -> None:
        """Raises Conflict if the name is taken."""
        self._change(name=name)

    def set_description(self, description: str) -> None:
        self._change(description=description)

    def enable(self) -> None:
        self._change(status="Active")

    def disable(self) -> None:
        """No steps are made of it from now on. Pipelines that were made of it are not touched."""
        self._change(status=DISABLED)

    def deprecate(self) -> None:
        """Steps are made of it, and say that it is deprecated."""
        self._change(status="Deprecated")

    def _publish(
        self,
        step: PythonScriptStep | AdlaStep,
        parts: _Parts,
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
            "document": _document(step, parts, taken.id),
            "version": "" if version is None else str(version),
            "description": description or "",
            "category": category or "",
            "default": is_default,
        }
        sources.upload(self.workspace.api, taken)
        view = self.workspace.api.publish_module_version(self.id, wish)
        self._view = self.workspace.api.module(self.id)
        state = "Published" if view.added else "This is there already:"
        say(f"{state} version {view.version} of the module {self.name}")
        return ModuleVersion(self.workspace, view)

    def _change(self, **changes: str) -> None:
        self._view = self.workspace.api.change_module(self.id, changes)

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


@dataclass(frozen=True, slots=True)
class _Parts:
    """The ports, parameters and arguments as they are given."""

    inputs: Iterable[InputPortDef] | None
    outputs: Iterable[OutputPortDef] | None
    params: Mapping[str, Any] | None
    arguments: Iterable[Any] | None


def _document(step: PipelineStep, parts: _Parts, snapshot: str) -> ModuleDocument:
    if step.wiring.parameters:
        name = shown(step.wiring.parameters[0].name)
        raise ValueError(f"The parameter {name} stands in the run configuration, which a module keeps as it is.")
    parameters: dict[str, bool | int | float | str] = {}
    for name, value in (parts.params or {}).items():
        given = value.default_value if isinstance(value, PipelineParameter) else value
        parameters[str(name)] = given if isinstance(given, bool | int | float) else literal(given, f"params, {name}")
    arguments = tuple(_argument(item, parameters) for item in parts.arguments or ())
    return ModuleDocument(
        kind=step.kind,
        snapshot=snapshot,
        settings=step.settings,
        arguments=arguments,
        environment={name: it.value for name, it in step.environment.items() if isinstance(it, Literal)},
        inputs=tuple(port.declaration() for port in parts.inputs or ()),
        outputs=tuple(port.declaration() for port in parts.outputs or ()),
        parameters=tuple(ModuleParameter(name=name, default=value) for name, value in parameters.items()),
        source_files=step.source_files,
    )


def _argument(item: Any, parameters: dict[str, Any]) -> Argument:
    match item:
        case InputPortDef():
            return FromInput(name=item.name)
        case OutputPortDef():
            return FromOutput(name=item.name)
        case PipelineParameter() if not item.is_data:
            parameters.setdefault(item.name, item.default_value)
            return FromParameter(name=item.name)
        case _:
            return Literal(value=refuse_tokens(literal(item, "arguments"), "arguments"))
