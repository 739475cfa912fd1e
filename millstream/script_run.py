"""What `Run.get_context()` returns: v1's methods of a run, for the script of a step. Standard library only."""

# pathlib would double the time that this import takes
# ruff: noqa: PTH100, PTH103, PTH110, PTH112, PTH113, PTH118, PTH119, PTH120, PTH122, PTH123
from __future__ import annotations

import os
import re
import sys
from abc import abstractmethod

from millstream.metric_log import MetricLog, record_of
from millstream.metrics import fold
from millstream.run_context import NotAvailable, Run, RunContextError, late

TYPE_CHECKING = False  # as in run_context
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from millstream.changed_blob import ChangedBlob
    from millstream.experiment import Experiment

_MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,254}", re.ASCII).fullmatch

UNAVAILABLE = {
    "add_type_provider": "there are no other kinds of run",
    "get_environment": "the step runs in the environment of the service",
    "get_secret": "a step is given no secrets",
    "list_by_compute": "runs are listed by experiment: Experiment.get_runs",
    "get_secrets": "a step is given no secrets",
    "restore_snapshot": "the step's source folder is its working directory",
    "submit_child": "submit a pipeline from outside, with Experiment.submit",
    "take_snapshot": "the source folder was kept when the run was submitted",
    "wait_for_completion": "a step cannot wait for itself",
    "get_all_logs": "a step cannot read its own log",
}


class ScriptRun(MetricLog, Run):
    """What `Run.get_context()` returns: v1's methods, over `_emit`, which differs inside and outside a step."""

    id: str
    name: str
    type = "azureml.StepRun"
    number = 1
    description = ""
    status = "Running"
    attempt: int
    step_id: str
    pipeline_run_id: str
    parameters: dict[str, Any]
    input_datasets: dict[str, Any]
    output_datasets: dict[str, Any]

    def __init__(self) -> None:
        self._metrics: list[dict[str, Any]] = []
        self._tags: dict[str, str] = {}
        self._properties: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self._children: list[ScriptRun] = []

    def __getattr__(self, name: str) -> Any:
        if name in UNAVAILABLE:
            raise NotAvailable(f"Run.{name} does not work inside a step: {UNAVAILABLE[name]}.")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __enter__(self) -> ScriptRun:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def _emit(self, record: dict[str, Any]) -> None: ...

    @abstractmethod
    def _keep(self, name: str, path: str) -> str:
        """Have a file kept as it is now. Returns where on this machine it is found so."""

    @property
    @abstractmethod
    def experiment(self) -> Experiment:
        """The experiment, with the workspace behind it."""

    @property
    def display_name(self) -> str:
        return self.name

    @property
    def parent(self) -> ScriptRun:
        """The pipeline run. What is logged on it is kept with this step, and shown among the metrics of both."""
        twin = object.__new__(type(self))
        twin.__dict__ = {**self.__dict__, "id": self.pipeline_run_id, "type": "azureml.PipelineRun"}
        return twin

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._properties)

    @property
    def changed_blobs(self) -> list[ChangedBlob]:
        """The blobs whose change has started the run, by path; none if nothing of the kind did.

        For steps that take the parameter to which the schedule assigns the path of the change.
        """
        path = os.environ.get("MILLSTREAM_CHANGES")
        found: list[ChangedBlob] = [] if path is None else late("millstream.changed_blob").read(path)
        return found

    def log_image(self, name: str, path: str | None = None, plot: Any = None, description: str = "") -> None:
        """Log an image: a file at `path`, or a matplotlib figure (or pyplot itself) as `plot`. Exactly one of them."""
        if (path is None) == (plot is None):
            raise ValueError("log_image() takes either path or plot.")
        source = path if plot is None else self._saved(plot)
        artifact = f"{name}{os.path.splitext(str(source))[1] or '.png'}"
        self.upload_file(artifact, source)
        self._metric(name, "image", artifact, description)

    def get_metrics(self, name: str | None = None, **_: Any) -> dict[str, Any]:
        """What this script has logged so far, by name; only `name`, if given."""
        return fold(record for record in self._metrics if name in (None, record["name"]))

    def tag(self, key: str, value: Any = None) -> None:
        """Set a tag of this step."""
        self._tags[str(key)] = "" if value is None else str(value)
        self._emit({"op": "tag", "key": str(key), "value": self._tags[str(key)]})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.tag(key, value)

    def remove_tags(self, tags: str | Sequence[str]) -> dict[str, str]:
        """Remove a tag of this step, or several. Returns those that this script has set and that are left."""
        for key in [tags] if isinstance(tags, str) else tags:
            self._tags.pop(str(key), None)
            self._emit({"op": "tag", "key": str(key), "value": None})
        return self.tags

    def get_tags(self) -> dict[str, str]:
        return self.tags

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Set properties, which cannot be changed afterwards."""
        for key, value in properties.items():
            text = str(value)
            if self._properties.setdefault(str(key), text) != text:
                raise RunContextError(f"The property {key!r} is {self._properties[str(key)]!r} and cannot be changed.")
            self._emit({"op": "property", "key": str(key), "value": text})

    def get_properties(self) -> dict[str, str]:
        return self.properties

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: str | None = None) -> None:
        """Keep a file, or the bytes of a stream, with the run under `name`, as it is now."""
        del datastore_name  # artifacts have one place
        artifact = artifact_name(name)
        if artifact in self._files:
            raise RunContextError(f"The run has a file {artifact!r} already. Give this one another name.")
        if hasattr(path_or_stream, "read"):
            path_or_stream = self._written(path_or_stream, artifact)
        path = os.path.abspath(os.fspath(path_or_stream))
        if not os.path.isfile(path):
            raise FileNotFoundError(f"upload_file(): there is no file {path}")
        self._files[artifact] = self._keep(artifact, path)

    def upload_files(self, names: Sequence[str], paths: Sequence[Any], **_: Any) -> None:
        """Keep several files, each under the name at the same place in `names`."""
        if len(names) != len(paths):
            raise ValueError(f"upload_files() got {len(names)} names for {len(paths)} paths.")
        for name, path in zip(names, paths, strict=True):
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: Any, datastore_name: str | None = None) -> None:
        """Keep every file below `path` under `name/`."""
        root = os.fspath(path)
        if not os.path.isdir(root):
            raise NotADirectoryError(f"upload_folder(): there is no folder {root}")
        for folder, folders, files in os.walk(root):
            folders.sort()
            for file in sorted(files):
                whole = os.path.join(folder, file)
                inner = os.path.relpath(whole, root).replace(os.sep, "/")
                self.upload_file(f"{name}/{inner}", whole, datastore_name)

    def get_file_names(self) -> list[str]:
        """The files that this script has uploaded."""
        return sorted(self._files)

    def download_file(self, name: str, output_file_path: Any = None, _validate_checksum: bool = False) -> None:
        """A copy of a file that this script has uploaded, at `output_file_path`: a file, or a folder that is there."""
        del _validate_checksum
        source = self._files.get(artifact_name(name))
        if source is None:
            raise RunContextError(f"This script has uploaded no file {name!r}, but {self.get_file_names()}.")
        target = os.fspath(output_file_path or os.path.basename(name))
        _copy(source, os.path.join(target, os.path.basename(name)) if os.path.isdir(target) else target)

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: Any = None,
        output_paths: Sequence[Any] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> None:
        """Copies of all that this script has uploaded, or of those whose names begin with `prefix`.

        With `append_prefix` False the prefix is left out of the paths. `output_paths` gives a path for each file.
        """
        del batch_size, timeout_seconds
        names = [name for name in self.get_file_names() if name.startswith(prefix or "")]
        if output_paths is not None and len(output_paths) != len(names):
            raise ValueError(f"download_files(): {len(output_paths)} output_paths for {len(names)} files.")
        cut = 0 if append_prefix else len(prefix or "")
        for number, name in enumerate(names):
            inner = name[cut:].lstrip("/") or os.path.basename(name)
            place = output_paths[number] if output_paths else os.path.join(os.fspath(output_directory or "."), inner)
            _copy(self._files[name], os.fspath(place))

    def register_model(
        self,
        model_name: str,
        model_path: str | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        **_: Any,
    ) -> PendingModel:
        """Register a file or folder of this run as the next version of a model, when the step has succeeded.

        `model_path` (default: the model's name) is an uploaded file, or lies in ./outputs, uploaded in the end.
        """
        if not _MODEL_NAME(model_name):
            raise ValueError(f"{model_name!r} cannot name a model: use letters, digits, -, _ and ., up to 255 of them.")
        path = artifact_name(model_path or model_name)
        if not self._has(path):
            raise RunContextError(
                f"register_model(): the run has no file {path!r}. Write it to ./outputs and give model_path="
                f"'outputs/...', or upload it first with run.upload_file."
            )
        labels = {str(key): str(value) for key, value in (tags or {}).items()}
        facts = {str(key): str(value) for key, value in (properties or {}).items()}
        self._emit(
            {
                "op": "model",
                "name": model_name,
                "path": path,
                "tags": labels,
                "properties": facts,
                "description": description or "",
                "framework": model_framework,
                "framework_version": model_framework_version,
            }
        )
        return PendingModel(model_name, labels, facts, description or "")

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: Any = None) -> ScriptRun:
        """A part of this run, for a loop in the script: what it logs is kept with the step as `<name>/<metric>`."""
        del outputs
        number = len(self._children) + 1
        child: ScriptRun = late("millstream.child_run").ChildRun(self, name or f"child_{number}", number, run_id)
        self._children.append(child)
        return child

    def create_children(
        self, count: int | None = None, tag_key: str | None = None, tag_values: Sequence[Any] | None = None
    ) -> list[ScriptRun]:
        """Several parts of this run: `count` of them, or one for each of `tag_values`, tagged with it."""
        if (count is None) == (tag_values is None) or (tag_values is None) != (tag_key is None):
            raise ValueError("create_children() takes either count, or tag_key with tag_values.")
        if tag_values is None:
            return [self.child_run() for _ in range(count or 0)]
        children = [self.child_run() for _ in tag_values]
        for child, value in zip(children, tag_values, strict=True):
            child.tag(str(tag_key), value)
        return children

    def get_children(self, recursive: bool = False, **_: Any) -> list[ScriptRun]:
        """The parts that were made in this process, newest first."""
        found = list(reversed(self._children))
        return [run for child in found for run in (child, *child.get_children(True))] if recursive else found

    def get_status(self) -> str:
        return self.status

    get_detailed_status = get_status

    def get_details(self) -> dict[str, Any]:
        """What is known of the run here, under v1's names."""
        return {
            "runId": self.id,
            "status": self.status,
            "properties": self.properties,
            "tags": self.tags,
            "parameters": dict(self.parameters),
            "inputDatasets": [],
            "outputDatasets": [],
        }

    get_details_with_logs = get_details

    def start(self) -> None:
        """Nothing: the run has started."""

    def complete(self) -> None:
        """Nothing: the exit code of the script decides how the step ends."""

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Say why on standard error; the exit code of the script decides how the step ends."""
        if error_details is not None:
            sys.stderr.write(f"{error_code or 'Error'}: {error_details}\n")

    def cancel(self) -> None:
        """Nothing: cancel the pipeline run from outside."""

    def flush(self, timeout_seconds: float = 300) -> None:
        """Nothing: what is logged has been handed over when the call returns."""

    def clean(self) -> None:
        """Nothing: the working folder is removed when the step has ended."""

    def get_snapshot_id(self) -> str:
        return self._properties.get("azureml.snapshotid", "")

    def _metric(self, name: str, kind: str, value: Any, description: str, step: int | None = None) -> None:
        record = {"op": "metric", **record_of(name, kind, value, description, step)}
        self._emit(record)
        self._metrics.append(record)

    def _has(self, path: str) -> bool:
        uploaded = any(name == path or name.startswith(f"{path}/") for name in self._files)
        return uploaded or (path.split("/")[0] == "outputs" and os.path.exists(path))

    @abstractmethod
    def _scratch(self, name: str) -> str:
        """A new path, with the ending of `name`, for a file that lives as long as the run."""

    def _saved(self, plot: Any) -> str:
        target = self._scratch("plot.png")
        plot.savefig(target)
        return target

    def _written(self, stream: Any, name: str) -> str:
        target = self._scratch(name)
        with open(target, "wb") as file:
            while chunk := stream.read(1 << 20):
                file.write(chunk.encode() if isinstance(chunk, str) else chunk)
        return target


def _copy(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    with open(source, "rb") as file, open(target, "wb") as copy:
        while chunk := file.read(1 << 20):
            copy.write(chunk)


class PendingModel:
    """A model whose registration was asked for. Its version is given when the step has succeeded; until then None."""

    version = None

    def __init__(self, name: str, tags: dict[str, str], properties: dict[str, str], description: str) -> None:
        self.name = name
        self.tags = tags
        self.properties = properties
        self.description = description

    @property
    def id(self) -> str:
        return f"{self.name}:pending"

    def __repr__(self) -> str:
        return f"Model({self.name}, registered when the step succeeds)"


def artifact_name(name: Any) -> str:
    """The name of a file of the run: relative, with `/`, staying below the run's own folder."""
    parts = [part for part in str(name).replace(os.sep, "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or str(name).startswith("/") or "\0" in str(name):
        raise ValueError(f"{name!r} is not a name for a file of the run: use a relative path without '..'.")
    return "/".join(parts)
