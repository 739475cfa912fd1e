"""The pipeline definition: the flat JSON document that a client compiles and the service runs.

Described for people and machines in docs/definition.md and docs/definition.schema.json (generated from here). Arguments
are tagged values, never strings to be parsed back. An edge is the `source` of an input port, so an input has exactly
one. Decoding is strict: an unknown field is an error that names its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from orchestrator.core.conditions import Operator
from orchestrator.core.dataset import DatasetView
from orchestrator.core.retry import RetryPolicy
from orchestrator.core.strict import invalid_shape

SCHEMA = "millstream/pipeline/1"


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class DataPathValue(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="datapath"):
    """The value of a parameter of type "datapath": a file or folder of a datastore.

    `changes`: sha256 of the list of the blobs there whose change has started the run (`core.changelist`), if one has.
    """

    datastore: str
    path: str
    changes: str = ""


class DatasetValue(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="dataset"):
    """The value of a parameter of type "dataset": the id of a saved dataset."""

    id: str


DataValue = DataPathValue | DatasetValue
ParameterValue = bool | int | float | str | DataPathValue | DatasetValue


class Literal(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="literal"):
    """The text itself."""

    value: str


class FromParameter(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="parameter"):
    """The value that the run gives to the pipeline parameter `name`."""

    name: str


class FromInput(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="input"):
    """The local path where the step finds its input port `name`; the dataset's id, where the mode is "direct"."""

    name: str


class FromOutput(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="output"):
    """The local path where the step writes its output port `name`."""

    name: str


class Text(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="text"):
    """One text made of several parts put together."""

    parts: tuple[Literal | FromParameter | FromInput | FromOutput, ...]


Argument = Literal | FromParameter | FromInput | FromOutput | Text


class StepSource(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="step"):
    """What the step with id `step` committed under its output port `output`.

    With a `view`, it is taken as a dataset: a script that gets it in the mode "direct" reads it that way.
    """

    step: str
    output: str
    view: DatasetView | None = None


class DatastoreSource(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="datastore"):
    """A blob, or every blob below a prefix, of a datastore. A `path` made of parts has literals and parameters."""

    datastore: str
    path: str | Text


class DatasetSource(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="dataset"):
    """The saved dataset with this id, evaluated when the step starts."""

    id: str


class ParameterSource(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="parameter"):
    """The data that the run gives to the pipeline parameter `name`, of type "datapath" or "dataset"."""

    name: str


class ParentSource(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="parent"):
    """In a `template`: what stands behind the input port `input` of the step that has the template.

    With `files`, only these of it: paths relative to what stands there. With `file`, this one of it, as a file.
    """

    input: str
    files: tuple[str, ...] = ()
    file: str = ""


Source = StepSource | DatastoreSource | DatasetSource | ParameterSource | ParentSource


class Input(_Strict, frozen=True, kw_only=True):
    """An input port. `mode` is "mount" or "download", which both bring a copy before the script starts, or "direct":
    the script gets a dataset object, which reads the copy. Tables are always direct.
    """

    name: str
    source: Source
    mode: str = "mount"
    path_on_compute: str | None = None


class Registration(_Strict, frozen=True, kw_only=True):
    """The name of which an output becomes the next version when its step completes, and how it is then read."""

    name: str
    description: str = ""
    tags: dict[str, str] = {}
    view: DatasetView = DatasetView(type="file")


class Output(_Strict, frozen=True, kw_only=True):
    """An output port. With mode "upload", `path_on_compute` says where, in the working folder, the script writes; with
    mode "link", the script names a dataset and writes nothing.

    With `create`, the folder is there before the script starts; without, only its parent, and the script makes a file
    or a folder. `globs`: only files below it that fit one of these patterns are kept.

    The files lie at a path of their attempt's own. With a `destination`, they are also copied there, just before the
    step is committed: a text in which "{run-id}" and "{output-name}" stand for the step run's id and the port's name.
    `overwrite`: files of others at the destination may be replaced; files of an earlier attempt always are.

    `pipeline_output`: the name by which the run as a whole has it.
    """

    name: str
    datastore: str = "workspaceblobstore"
    mode: str = "mount"
    path_on_compute: str | None = None
    is_directory: bool | None = None
    create: bool = False
    globs: tuple[str, ...] = ()
    destination: tuple[Literal | FromParameter, ...] = ()
    overwrite: bool = True
    register: Registration | None = None
    pipeline_output: str | None = None


class MetricOf(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="metric"):
    """The last value that the step with id `step` has logged under `name`."""

    step: str
    name: str


class PropertyOf(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="property"):
    """A property that the script of the step with id `step` has set."""

    step: str
    name: str


class OutputText(_Strict, frozen=True, kw_only=True, tag_field="kind", tag="output_text"):
    """The text of a small file, without the space around it: of the output `output` itself, or at `path` in it."""

    step: str
    output: str
    path: str = ""


class Condition(_Strict, frozen=True, kw_only=True):
    """The step runs if the value, of a step before it, compares so with `than`; else it is skipped.

    As numbers where both are some or read as some, else as texts, which are equal or not.
    """

    value: MetricOf | PropertyOf | OutputText
    operator: Operator
    than: bool | int | float | str | FromParameter


class Parameter(_Strict, frozen=True, kw_only=True):
    """A pipeline parameter. `type` is "int", "float", "bool", "string", "datapath" or "dataset"."""

    name: str
    type: str
    default: ParameterValue


class Step(_Strict, frozen=True, kw_only=True):
    """A node of the graph. `id` is unique in the pipeline; `name` is what people see and need not be.

    `settings` belong to the kind of step; `snapshot` is the content address of the source folder it runs from. Anywhere
    in the settings a FromParameter may stand for the value, and a Text of literals and parameters for a text.

    `allow_reuse`: when nothing that decides what the step makes has changed, what it made before is taken instead of
    running it. `source_files`: names, folders or patterns of the source files that count in that; without, all do.

    `condition`: without it, the step runs when those before it are done. `after_skipped`: it runs even if a step before
    it was skipped for its condition, whose outputs are empty folders then; else it is skipped, too.

    `template`: of a step that becomes a run of its own, the pipeline that this runs, or is made of.

    `priority`: -100 to 100. Of steps that are ready at once, those with more go first; with more than 0, a step goes
    ahead of what waits for the same compute, of other runs, too. Without one, the step has that of its run.
    """

    id: str
    name: str
    kind: str
    compute: str = "function"
    snapshot: str | None = None
    settings: dict[str, Any] = {}
    arguments: tuple[Argument, ...] = ()
    environment: dict[str, Literal | FromParameter | Text] = {}
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    run_after: tuple[str, ...] = ()
    allow_reuse: bool = True
    source_files: tuple[str, ...] = ()
    version: str | None = None
    retry: RetryPolicy = RetryPolicy()
    timeout_seconds: float | FromParameter | None = None
    template: Definition | None = None
    condition: Condition | None = None
    after_skipped: bool = False
    priority: int | None = None


def parts_of(argument: Argument) -> tuple[Literal | FromParameter | FromInput | FromOutput, ...]:
    return argument.parts if isinstance(argument, Text) else (argument,)


class Definition(_Strict, frozen=True, kw_only=True):
    """A whole pipeline."""

    schema: str = SCHEMA
    name: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    steps: tuple[Step, ...]


def nested(definition: Definition) -> Iterator[Definition]:
    """The definition, and every template in it, at any depth."""
    yield definition
    for step in definition.steps:
        if step.template is not None:
            yield from nested(step.template)


def all_steps(definition: Definition, place: str = "") -> Iterator[tuple[str, Step]]:
    """Every step of the definition and of the templates in it, with the place where it stands, as `steps[3]`."""
    for position, step in enumerate(definition.steps):
        here = f"{place}steps[{position}]"
        yield here, step
        if step.template is not None:
            yield from all_steps(step.template, f"{here}.template.")


def datastores_of(definition: Definition) -> frozenset[str]:
    """The datastores that the pipeline names by itself: those of datasets are not among them."""
    definitions = list(nested(definition))
    steps = [step for _, step in all_steps(definition)]
    sources = [port.source for step in steps for port in step.inputs]
    read = [source.datastore for source in sources if isinstance(source, DatastoreSource)]
    written = [port.datastore for step in steps for port in step.outputs]
    values = [parameter.default for each in definitions for parameter in each.parameters]
    return frozenset(read + written + [value.datastore for value in values if isinstance(value, DataPathValue)])


_decode = msgspec.json.Decoder(Definition).decode


def encode(definition: Definition) -> bytes:
    """Canonical JSON: equal definitions give equal bytes, hence equal addresses."""
    return msgspec.json.encode(definition, order="sorted")


def decode(document: bytes) -> Definition:
    """Read a definition. Raises InvalidRequest naming the field when the shape is wrong; rules are `validate`'s."""
    try:
        return _decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise invalid_shape(error, "definition") from None


def address(document: bytes) -> str:
    """The content address of a definition: sha256 over its canonical bytes, in hex."""
    return hashlib.sha256(document).hexdigest()
