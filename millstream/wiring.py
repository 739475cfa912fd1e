"""From what a user hands to a step (handles in inputs, outputs and arguments) to its ports and tagged arguments.

v1 has a rule of its own for each kind of handle. Here there is one: a handle may be listed, or stand among the
arguments, or both. PipelineData that is not listed as an output is an input; an OutputDatasetConfig is an output, and
what its `as_input()` returns an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import msgspec

from millstream.data import DataReference, InputPortBinding, PipelineData, port_name
from millstream.data_path import DataPath, DataPathComputeBinding
from millstream.dataset import AbstractDataset
from millstream.dataset_consumption import UNNAMED, DatasetConsumptionConfig
from millstream.file_dataset import FileDataset, input_name
from millstream.output_config import OutputDatasetConfig, OutputPort
from millstream.parameter import PipelineParameter
from millstream.path_parts import parameters_in
from millstream.pipeline_dataset import PipelineOutputAbstractDataset
from millstream.pipeline_input import PipelineInput
from millstream.tokens import parts_of
from orchestrator.core.dataset import DatasetView
from orchestrator.core.definition import Argument, FromInput, FromOutput, FromParameter, Literal, Text
from orchestrator.core.names import shown, variable_of

Port = PipelineData | OutputPort
"""What identifies an output."""
OutputHandle = PipelineData | OutputDatasetConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Any handle as the input `name`; mode and place are for handles that say nothing of them."""

    name: str
    item: Any
    mode: str = "mount"
    path_on_compute: str | None = None


_SINGLE = (
    Named,
    PipelineData,
    DataReference,
    InputPortBinding,
    OutputDatasetConfig,
    PipelineOutputAbstractDataset,
    DatasetConsumptionConfig,
    AbstractDataset,
    PipelineInput,
)


@dataclass(frozen=True, slots=True)
class Produced:
    """What a step writes, and, if it is taken as a dataset, how it is read."""

    port: Port
    view: DatasetView | None = None


Source = Produced | DataReference | DataPath | AbstractDataset | PipelineParameter | PipelineInput


@dataclass(frozen=True, slots=True, kw_only=True)
class InPort:
    """An input port and the handle behind it."""

    name: str
    source: Source
    mode: str = "mount"
    path_on_compute: str | None = None


@dataclass(slots=True)
class Wiring:
    """The ports and arguments of a step. `what` names the step in messages."""

    what: str
    inputs: list[InPort] = field(default_factory=list)
    outputs: list[OutputHandle] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)
    parameters: list[PipelineParameter] = field(default_factory=list)

    def add_output(self, item: Any, place: int = 0) -> OutputHandle:
        """The handle of an output; `place`: where in its list it stands, for one without a name."""
        handle = item.pipeline_data if isinstance(item, PipelineOutputAbstractDataset) else item
        if not isinstance(handle, PipelineData | OutputDatasetConfig):
            raise TypeError(
                f"{self.what}: an output must be PipelineData or an OutputFileDatasetConfig, not {_described(item)}."
            )
        known = next((other for other in self.outputs if other.port is handle.port), None)
        if known is not None:
            return known
        if isinstance(handle, OutputDatasetConfig):
            handle.port.name = handle.port.name or self._free(f"output_{place}")
            self.parameters.extend(handle.parameters)
        if any(handle.output_name == other.output_name for other in self.outputs):
            raise ValueError(f"{self.what}: two outputs are named {shown(handle.output_name)}. Rename one of them.")
        self.outputs.append(handle)
        return handle

    def add_input(self, item: Any, place: int = 0) -> InPort:
        """The port for a handle, made if there is none yet."""
        port = self._port(item, place)
        source = port.source
        if isinstance(source, Produced) and any(source.port is output.port for output in self.outputs):
            raise ValueError(
                f"{self.what}: {shown(source.port.output_name)} is both an input and an output. A step cannot read "
                "what it writes; use another PipelineData for one of them."
            )
        if isinstance(source, PipelineParameter):
            self.parameters.append(source)
        if isinstance(source, DataReference | DataPath):
            self.parameters.extend(parameters_in(source.parts))
        known = next((other for other in self.inputs if other.name == port.name), None)
        if known is None:
            self.inputs.append(port)
            return port
        if not same_source(known.source, port.source):
            raise ValueError(
                f"{self.what}: two inputs are named {shown(port.name)}. Rename one: PipelineData by .as_input('name'), "
                "a DataReference by its data_reference_name, a dataset by .as_named_input('name')."
            )
        return known

    def add_argument(self, item: Any, place: int = 0) -> None:
        where = f"{self.what}, arguments"
        self.arguments.append(self._handle(item, place) or self.text(literal(item, where), where, place))

    def _handle(self, item: Any, place: int) -> Literal | FromParameter | FromInput | FromOutput | None:
        """The argument that a handle is; None: it is none."""
        match item:
            case PipelineParameter() if not item.is_data:
                self.parameters.append(item)
                return FromParameter(name=item.name)
            case PipelineOutputAbstractDataset() if self._writes(item.pipeline_data):
                return FromOutput(name=item.pipeline_data.output_name)
            case PipelineData() if self._writes(item):
                return FromOutput(name=item.output_name)
            case OutputDatasetConfig():
                return FromOutput(name=self.add_output(item, place).output_name)
            case FileDataset():
                return FromInput(name=self.add_input(item.as_mount(), place).name)
            case tuple() | PipelineParameter() | DataPath():
                return FromInput(name=self.add_input(item, place).name)
            case _ if isinstance(item, _SINGLE):
                return FromInput(name=self.add_input(item, place).name)
            case _:
                return None

    def _writes(self, port: Port) -> bool:
        return any(output.port is port for output in self.outputs)

    def text(self, text: str, where: str, place: int = 0) -> Literal | Text:
        """A text in which the texts of handles stand for the handles."""
        parts = parts_of(text, where)
        if all(isinstance(part, str) for part in parts):
            return Literal(value=text)
        made = (self._handle(part, place) or Literal(value=part) for part in parts)
        return Text(parts=tuple(made))

    def setting(self, value: Any, where: str) -> Any:
        """A setting as the definition has it: parameters in it, and in texts, stand for their values."""
        match value:
            case PipelineParameter() if not value.is_data:
                self.parameters.append(value)
                return msgspec.to_builtins(FromParameter(name=value.name))
            case str():
                return self._setting_text(value, where)
            case Mapping():
                return {str(key): self.setting(inner, where) for key, inner in value.items()}
            case list() | tuple():
                return [self.setting(inner, where) for inner in value]
            case None | bool() | int() | float():
                return value
            case _:
                raise TypeError(f"{where}: {_described(value)} cannot be a setting.")

    def _setting_text(self, text: str, where: str) -> Any:
        made = self.text(text, where)
        if isinstance(made, Literal):
            return text
        for part in made.parts:
            if not isinstance(part, Literal | FromParameter):
                raise TypeError(f"{where}: {text!r} has data in it, and may have PipelineParameters only.")
        return msgspec.to_builtins(made)

    def _free(self, name: str) -> str:
        """The name, or the next that no port of the step has."""
        taken = {port.name for port in self.inputs} | {output.output_name for output in self.outputs}
        names = (name if number == 1 else f"{name}_{number}" for number in range(1, len(taken) + 2))
        return next(one for one in names if one not in taken)

    def _port(self, item: Any, place: int) -> InPort:
        port = self._plain_port(item, place)
        # v1: an input that has the name of an output of the step is renamed.
        taken = any(port.name == output.output_name for output in self.outputs)
        if not taken:
            return port
        return InPort(
            name=f"INPUT_{port.name}", source=port.source, mode=port.mode, path_on_compute=port.path_on_compute
        )

    def _plain_port(self, item: Any, place: int) -> InPort:
        match item:
            case Named():
                port = self._plain_port(item.item, place)
                plain = port.mode == "mount" and port.path_on_compute is None
                mode, path = (item.mode, item.path_on_compute) if plain else (port.mode, port.path_on_compute)
                return InPort(name=item.name, source=port.source, mode=mode, path_on_compute=path)
            case PipelineInput():
                return InPort(name=item.name, source=item, mode=item.mode)
            case InputPortBinding():
                bound = item.bind_object
                source = Produced(bound) if isinstance(bound, PipelineData) else bound
                return InPort(name=item.name, source=source, mode=item.bind_mode, path_on_compute=item.path_on_compute)
            case PipelineData():
                return InPort(name=item.name, source=Produced(item))
            case DataReference():
                return InPort(name=item.name, source=item, mode=item.mode, path_on_compute=item.path_on_compute)
            case PipelineOutputAbstractDataset():
                source = Produced(item.pipeline_data, item.view)
                return InPort(name=item.input_name, source=source, mode=item.mode, path_on_compute=item.path_on_compute)
            case OutputDatasetConfig():
                return self._consumption(item.as_input(), place)
            case DatasetConsumptionConfig():
                return self._consumption(item, place)
            case AbstractDataset():
                return InPort(name=input_name(item), source=item, mode="direct")
            case (PipelineParameter() | DataPath() as data, DataPathComputeBinding() as binding):
                return self._data_path(data, binding)
            case PipelineParameter(is_data=True) if item.declaration.type == "datapath":
                return self._data_path(item, DataPathComputeBinding())
            case PipelineParameter(is_data=True):
                return InPort(name=port_name(item.name), source=item, mode="direct")
            case DataPath():
                return self._data_path(item, DataPathComputeBinding())
            case _:
                raise TypeError(
                    f"{self.what}: an input must be PipelineData, a DataReference, a dataset, a DataPath or what their "
                    f"methods make of them, not {_described(item)}."
                )

    def _data_path(self, data: PipelineParameter | DataPath, binding: DataPathComputeBinding) -> InPort:
        if isinstance(data, PipelineParameter):
            name = port_name(data.name)
        else:
            name = port_name(data.name or data.path_on_datastore or data.datastore_name)
        return InPort(name=name, source=data, mode=binding.mode, path_on_compute=binding.path_on_compute)

    def _consumption(self, item: DatasetConsumptionConfig, place: int) -> InPort:
        """A dataset under its name. For Spark there is nothing of its own, so "hdfs" is direct."""
        name = item.name
        if name == UNNAMED:
            source = _consumed(item.dataset, self.what)
            known = next((port for port in self.inputs if same_source(port.source, source)), None)
            name = known.name if known is not None else self._free(f"input_{place}")
        mode = "direct" if item.mode == "hdfs" else item.mode
        return InPort(
            name=name, source=_consumed(item.dataset, self.what), mode=mode, path_on_compute=item.path_on_compute
        )


def _consumed(dataset: Any, what: str) -> Source:
    match dataset:
        case OutputDatasetConfig():
            return Produced(dataset.port, dataset.view)
        case PipelineOutputAbstractDataset():
            return Produced(dataset.pipeline_data, dataset.view)
        case AbstractDataset() | PipelineParameter(is_data=True):
            return dataset
        case DatasetConsumptionConfig():
            return _consumed(dataset.dataset, what)
        case _:
            raise TypeError(f"{what}: {_described(dataset)} is no dataset.")


def wire(what: str, *, inputs: Any, outputs: Any, arguments: Any) -> Wiring:
    """Raises TypeError and ValueError, naming the step, for what cannot be a port or an argument."""
    wiring = Wiring(what)
    # What is written is known first, so that no handle is an input by mistake.
    for place, item in enumerate(_items(outputs, f"{what}, outputs")):
        wiring.add_output(item, place)
    wanted = _items(arguments, f"{what}, arguments")
    for place, item in enumerate(wanted):
        if isinstance(item, OutputDatasetConfig):
            wiring.add_output(item, place)
    for place, item in enumerate(_items(inputs, f"{what}, inputs")):
        wiring.add_input(item, place)
    for place, item in enumerate(wanted):
        wiring.add_argument(item, place)
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
            made[name] = wiring.text(literal(value, f"{what}, {name}"), f"{what}, {name}")
    return made


def same_source(one: Source, other: Source) -> bool:
    """Whether two handles mean the same data: references, paths and datasets are compared by what they say."""
    match one, other:
        case DataReference(), DataReference():
            return (one.datastore_name, one.path_on_datastore) == (other.datastore_name, other.path_on_datastore)
        case AbstractDataset(), AbstractDataset():
            return one.content_id == other.content_id
        case PipelineParameter(), PipelineParameter():
            return one.declaration == other.declaration
        case Produced(), Produced():
            return one.port is other.port and one.view == other.view
        case _:
            return one == other


def literal(value: Any, where: str) -> str:
    """The text of an argument. Raises TypeError for what would only show as the text of a Python object."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if not isinstance(value, (str, int, float, PurePath)):
        raise TypeError(
            f"{where}: {_described(value)} cannot be an argument. Use texts, numbers, paths, PipelineParameter, "
            "PipelineData, DataReference and datasets; put the elements of a list in one by one."
        )
    return str(value)


def _items(given: Any, where: str) -> Sequence[Any]:
    if given is None:
        return ()
    if isinstance(given, _SINGLE):
        return (given,)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], DataPathComputeBinding):
        return (given,)
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{where}: give a list, not {_described(given)}.")
    return list(given)


def _described(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
