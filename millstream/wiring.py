"""From what a user hands to a step (handles in inputs, outputs and arguments) to its ports and tagged arguments.

v1 has a rule of its own for each kind of handle. Here there is one: a handle may be listed, or stand among the
arguments, or both; what is not listed as an output is an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from millstream.data import DataReference, InputPortBinding, PipelineData
from millstream.parameter import PipelineParameter
from millstream.tokens import refuse_tokens
from orchestrator.core.definition import Argument, FromInput, FromOutput, FromParameter, Literal, Text
from orchestrator.core.names import shown, variable_of

Source = PipelineData | DataReference
Handle = PipelineData | DataReference | InputPortBinding


@dataclass(frozen=True, slots=True, kw_only=True)
class InPort:
    """An input port and the handle behind it."""

    name: str
    source: Source
    mode: str
    path_on_compute: str | None


@dataclass(slots=True)
class Wiring:
    """The ports and arguments of a step. `what` names the step in messages."""

    what: str
    inputs: list[InPort] = field(default_factory=list)
    outputs: list[PipelineData] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)
    parameters: list[PipelineParameter] = field(default_factory=list)

    def add_output(self, item: Any) -> None:
        if not isinstance(item, PipelineData):
            raise TypeError(f"{self.what}: an output must be PipelineData, not {_described(item)}.")
        if item in self.outputs:
            return
        if any(item.output_name == other.output_name for other in self.outputs):
            raise ValueError(f"{self.what}: two outputs are named {shown(item.output_name)}. Rename one of them.")
        self.outputs.append(item)

    def add_input(self, item: Any) -> InPort:
        """The port for a handle, made if there is none yet."""
        port = self._port(item)
        if isinstance(port.source, PipelineData) and port.source in self.outputs:
            raise ValueError(
                f"{self.what}: {shown(port.source.name)} is both an input and an output. A step cannot read what it "
                "writes; use another PipelineData for one of them."
            )
        known = next((other for other in self.inputs if other.name == port.name), None)
        if known is None:
            self.inputs.append(port)
            return port
        if not same_source(known.source, port.source):
            raise ValueError(
                f"{self.what}: two inputs are named {shown(port.name)}. Rename one: PipelineData by .as_input('name'), "
                "a DataReference by its data_reference_name."
            )
        return known

    def add_argument(self, item: Any) -> None:
        match item:
            case PipelineParameter():
                self.parameters.append(item)
                self.arguments.append(FromParameter(name=item.name))
            case PipelineData() if item in self.outputs:
                self.arguments.append(FromOutput(name=item.output_name))
            case PipelineData() | DataReference() | InputPortBinding():
                self.arguments.append(FromInput(name=self.add_input(item).name))
            case _:
                self.arguments.append(Literal(value=literal(item, f"{self.what}, arguments")))

    def _port(self, item: Any) -> InPort:
        match item:
            case InputPortBinding():
                source, name, mode, place = item.bind_object, item.name, item.bind_mode, item.path_on_compute
            case PipelineData():
                source, name, mode, place = item, item.name, "mount", None
            case DataReference():
                source, name, mode, place = item, item.name, item.mode, item.path_on_compute
            case _:
                raise TypeError(
                    f"{self.what}: an input must be PipelineData, a DataReference or a binding of one of them, not "
                    f"{_described(item)}."
                )
        # v1: an input that has the name of an output of the step is renamed.
        taken = any(name == output.output_name for output in self.outputs)
        return InPort(name=f"INPUT_{name}" if taken else name, source=source, mode=mode, path_on_compute=place)


def wire(what: str, *, inputs: Any, outputs: Any, arguments: Any) -> Wiring:
    """Raises TypeError and ValueError, naming the step, for what cannot be a port or an argument."""
    wiring = Wiring(what)
    for item in _items(outputs, f"{what}, outputs"):
        wiring.add_output(item)
    for item in _items(inputs, f"{what}, inputs"):
        wiring.add_input(item)
    for item in _items(arguments, f"{what}, arguments"):
        wiring.add_argument(item)
    return wiring


def environment_of(
    what: str, params: Mapping[str, Any] | None, variables: Mapping[str, Any], wiring: Wiring
) -> dict[str, Literal | FromParameter | Text]:
    """Environment variables: `params` as AML_PARAMETER_<name> (azureml-v1), `variables` as they are named."""
    wanted = {**variables, **{variable_of(name): value for name, value in (params or {}).items()}}
    made: dict[str, Literal | FromParameter | Text] = {}
    for name, value in wanted.items():
        if isinstance(value, PipelineParameter):
            wiring.parameters.append(value)
            made[name] = FromParameter(name=value.name)
        else:
            made[name] = Literal(value=literal(value, f"{what}, {name}"))
    return made


def same_source(one: Source, other: Source) -> bool:
    """Whether two handles mean the same data. DataReferences are compared by what they say, for as_mount() copies."""
    if isinstance(one, DataReference) and isinstance(other, DataReference):
        return (one.datastore_name, one.path_on_datastore) == (other.datastore_name, other.path_on_datastore)
    return one is other


def literal(value: Any, where: str) -> str:
    """The text of an argument. Raises TypeError for what would only show as the text of a Python object."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if not isinstance(value, (str, int, float, PurePath)):
        raise TypeError(
            f"{where}: {_described(value)} cannot be an argument. Use texts, numbers, paths, PipelineParameter, "
            "PipelineData and DataReference; put the elements of a list in one by one."
        )
    return refuse_tokens(str(value), where)


def _items(given: Any, where: str) -> Sequence[Any]:
    if given is None:
        return ()
    if isinstance(given, (PipelineData, DataReference, InputPortBinding)):
        return (given,)
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{where}: give a list, not {_described(given)}.")
    return list(given)


def _described(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
