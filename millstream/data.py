"""Handles on data: what steps take in and put out, under v1's names.

A handle says what is meant, not where it lies: the path is known when the step runs. The script gets it as an argument
and in the environment variable AZUREML_DATAREFERENCE_<name>.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.explained import Explained
from millstream.path_parts import PathPart, path_parts, path_text
from millstream.tokens import Token, data_token, data_variable, refuse_tokens
from millstream.training_output import TrainingOutput
from orchestrator.core.definition import Output, Registration
from orchestrator.core.names import PATH, PORT, shown

if TYPE_CHECKING:
    from millstream.datastore import Datastore
    from millstream.output_config import OutputFileDatasetConfig
    from millstream.pipeline_dataset import PipelineOutputFileDataset
    from millstream.steps import PipelineStep

INPUT_MODES = ("mount", "download")
OUTPUT_MODES = ("mount", "upload")


class DataReference(Token):
    """A file or folder of a datastore. `mode` is "mount" or "download"; both bring a copy before the script starts.

    PipelineParameters may be part of the path.

    Without a `data_reference_name`, the name is made from the path (v1 draws a random one), or is the datastore's.
    """

    def __init__(
        self,
        datastore: Datastore | str,
        data_reference_name: str | None = None,
        path_on_datastore: str | None = None,
        mode: str = "mount",
        path_on_compute: str | None = None,
        overwrite: bool = False,
        **unknown: Any,
    ) -> None:
        refuse_unknown(DataReference.__init__, unknown)
        self.datastore = datastore
        self.parts: tuple[PathPart, ...] = path_parts(path_on_datastore, "path_on_datastore")
        self.path_on_datastore = path_text(self.parts)
        self.data_reference_name = PORT.check(
            data_reference_name or port_name(self.path_on_datastore or self.datastore_name), "data_reference_name"
        )
        self.mode = _mode(mode, INPUT_MODES, "A DataReference")
        self.path_on_compute = compute_path(path_on_compute)
        self.overwrite = overwrite

    @property
    def name(self) -> str:
        return self.data_reference_name

    @property
    def datastore_name(self) -> str:
        return self.datastore if isinstance(self.datastore, str) else self.datastore.name

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataReference:
        """A reference to `path` below this one."""
        more = path_text(path_parts(path, "path"))
        below = "/".join(part for part in (self.path_on_datastore, more) if part)
        return DataReference(self.datastore, data_reference_name, below, self.mode, self.path_on_compute)

    def as_mount(self) -> DataReference:
        return self._in_mode("mount", None)

    def as_download(self, path_on_compute: str | None = None, overwrite: bool = False) -> DataReference:
        del overwrite
        return self._in_mode("download", path_on_compute)

    def as_upload(self, path_on_compute: str | None = None, overwrite: bool = False) -> OutputFileDatasetConfig:
        """An output: the folder that the script writes is copied to this place of the datastore, when it has ended.

        The script finds it under the name of the reference. List it among the outputs of the step.
        """
        from millstream.output_config import OutputFileDatasetConfig

        if not self.path_on_datastore:
            raise ValueError(f"DataReference {shown(self.name)}: as_upload needs a path_on_datastore to upload to.")
        place = (self.datastore, self.path_on_datastore)
        return OutputFileDatasetConfig(self.name, place, path_on_compute).as_upload(overwrite)

    def _in_mode(self, mode: str, path_on_compute: str | None) -> DataReference:
        return DataReference(self.datastore, self.data_reference_name, self.path_on_datastore, mode, path_on_compute)

    def __str__(self) -> str:
        return data_token(self.name, self)

    def __repr__(self) -> str:
        return f"DataReference({self.name!r}: {self.path_on_datastore!r} in {self.datastore_name!r})"


class PipelineData(Token, Explained):
    """What one step writes and others read: a file or a folder, as the script likes.

    With `output_mode` "upload", the script writes to `output_path_on_compute` in its working folder. `datastore` None
    means the pipeline's default. The name is that of the ports and of the environment variable. `training_output`: of a
    HyperDriveStep, which of its results it is.
    """

    def __init__(
        self,
        name: str,
        datastore: Datastore | str | None = None,
        output_name: str | None = None,
        output_mode: str = "mount",
        output_path_on_compute: str | None = None,
        output_overwrite: bool | None = None,
        data_type: str | None = None,
        is_directory: bool | None = None,
        pipeline_output_name: str | None = None,
        training_output: TrainingOutput | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(PipelineData.__init__, unknown)
        if training_output is not None and not isinstance(training_output, TrainingOutput):
            raise TypeError(f"PipelineData {shown(name)}: training_output is no TrainingOutput: {training_output!r}.")
        self.training_output = training_output
        self.name = PORT.check(name, "name")
        self.output_name = PORT.check(output_name or name, "output_name")
        self.datastore = datastore
        self.output_mode = _mode(output_mode, OUTPUT_MODES, "A PipelineData")
        self.output_path_on_compute = compute_path(output_path_on_compute)
        self.output_overwrite = output_overwrite
        self.data_type = data_type
        self.is_directory = is_directory
        self.pipeline_output_name = pipeline_output_name or None
        self.producer: PipelineStep | None = None
        self.registration: Registration | None = None

    @property
    def datastore_name(self) -> str | None:
        return self.datastore if self.datastore is None or isinstance(self.datastore, str) else self.datastore.name

    @property
    def port(self) -> PipelineData:
        """What identifies the output: itself."""
        return self

    def output(self, default_datastore: str) -> Output:
        """The port, as in the definition."""
        return Output(
            name=self.output_name,
            datastore=self.datastore_name or default_datastore,
            mode=self.output_mode,
            path_on_compute=self.output_path_on_compute,
            is_directory=self.is_directory,
            register=self.registration,
            pipeline_output=self.pipeline_output_name,
        )

    def as_dataset(self) -> PipelineOutputFileDataset:
        """This data as a dataset of files: to be registered, parsed, or taken in under v1's variables for datasets."""
        from millstream.pipeline_dataset import PipelineOutputFileDataset

        return PipelineOutputFileDataset(self)

    def as_mount(self, input_name: str | None = None) -> InputPortBinding:
        return self.create_input_binding(input_name, "mount")

    def as_download(
        self, input_name: str | None = None, path_on_compute: str | None = None, overwrite: bool | None = None
    ) -> InputPortBinding:
        return self.create_input_binding(input_name, "download", path_on_compute, overwrite)

    def as_input(self, input_name: str) -> InputPortBinding:
        return self.create_input_binding(input_name)

    def create_input_binding(
        self,
        input_name: str | None = None,
        mode: str | None = None,
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
    ) -> InputPortBinding:
        """This data as an input of another name or mode."""
        return InputPortBinding(input_name or self.name, self, mode or "mount", path_on_compute, overwrite)

    def get_env_variable_name(self) -> str:
        return data_variable(self.output_name)

    def __str__(self) -> str:
        return data_token(self.name, self)

    def __repr__(self) -> str:
        return f"PipelineData({self.name!r})"


class InputPortBinding(Token):
    """Data as an input of a step under a name of its own."""

    def __init__(
        self,
        name: str,
        bind_object: PipelineData | DataReference,
        bind_mode: str = "mount",
        path_on_compute: str | None = None,
        overwrite: bool | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(InputPortBinding.__init__, unknown)
        if not isinstance(bind_object, (PipelineData, DataReference)):
            raise TypeError(
                f"InputPortBinding {shown(name)}: bind PipelineData or a DataReference, not {bind_object!r}."
            )
        self.name = PORT.check(name, "name")
        self.bind_object = bind_object
        self.bind_mode = _mode(bind_mode, INPUT_MODES, "An input")
        self.path_on_compute = compute_path(path_on_compute)
        self.overwrite = overwrite

    def __str__(self) -> str:
        return data_token(self.name, self)

    def __repr__(self) -> str:
        return f"InputPortBinding({self.name!r}, {self.bind_object!r})"


def port_name(text: str) -> str:
    """A port name made from any text, always the same one."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")[:128] or "data"


def compute_path(path: str | None) -> str | None:
    """A path relative to the working folder; unlike in a datastore, a leading / would mean another place."""
    if path is None:
        return None
    plain = path.replace("\\", "/").rstrip("/").removeprefix("./")
    return PATH.check(refuse_tokens(plain, "path_on_compute"), "path_on_compute")


def _mode(mode: str, known: tuple[str, ...], what: str) -> str:
    if mode not in known:
        raise ValueError(f"{what} cannot have the mode {mode!r}. Use {' or '.join(map(repr, known))}.")
    return mode
