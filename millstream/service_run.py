"""What pipeline runs and step runs have in common, seen from outside through the service."""

from __future__ import annotations

import io
import os
import tempfile
import uuid
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.errors import Conflict, UnknownThing
from millstream.metric_log import MetricLog, record_of
from millstream.outputs import Stored
from millstream.progress import Progress
from millstream.run_context import NotAvailable, Run
from millstream.script_run import artifact_name
from millstream.transfer import Fetch, Send, below, fetch_all, send_all
from orchestrator.core.definition import Literal
from orchestrator.core.names import shown, suggestion

if TYPE_CHECKING:
    from millstream.api import Api
    from millstream.environment import Environment
    from millstream.experiment import Experiment
    from millstream.model import Model
    from millstream.part_run import PartRun
    from orchestrator.core.definition import Step

LOG_FILE = "user_logs/std_log.txt"
_GIVEN_AT_ONCE = 1000
FINISHED = {"Completed": "Finished"}
"""v1's pipeline service and its run history have two words for one status: get_status() and .status differ."""

UNAVAILABLE = {
    "add_type_provider": "there are no other kinds of run",
    "get_secret": "steps are given no secrets",
    "get_secrets": "steps are given no secrets",
    "list_by_compute": "runs are listed by experiment: Experiment.get_runs",
    "take_snapshot": "the sources are kept when the pipeline is submitted",
}


class ServiceRun(MetricLog, Run):
    """A run by its id. Everything is asked of the service when it is used."""

    id: str
    experiment: Experiment
    type: str

    unavailable: Mapping[str, str] = UNAVAILABLE
    """Members that v1 has and this one has not, with the reason or the alternative."""

    def __getattr__(self, name: str) -> Any:
        if reason := self.unavailable.get(name):
            raise NotAvailable(f"{type(self).__name__}.{name} does not work from outside a step: {reason}.")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def api(self) -> Api:
        return self.experiment.workspace.api

    @property
    @abstractmethod
    def status(self) -> str:
        """Running, Completed, Failed, Canceled; for steps also NotStarted, Queued and Skipped."""

    def get_status(self) -> str:
        """As `status`, but Finished for Completed, as v1 says it."""
        return FINISHED.get(self.status, self.status)

    get_detailed_status = get_status

    def _metric(self, name: str, kind: str, value: Any, description: str, step: int | None = None) -> None:
        run, step_id = self._log_at()
        self.api.log_metrics(
            run, step_id, [{"id": str(uuid.uuid4()), **record_of(name, kind, value, description, step)}]
        )

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: Any = None) -> PartRun:
        """A part of this run, for a loop in a driver: what it logs is kept with the run as `<name>/<metric>`.

        Its name must differ from those of other parts; by default it is a new one.
        """
        del outputs
        from millstream.part_run import PartRun

        return PartRun(self, artifact_name(name or f"child-{uuid.uuid4().hex[:8]}"), 1, run_id)

    def create_children(
        self, count: int | None = None, tag_key: str | None = None, tag_values: Sequence[Any] | None = None
    ) -> list[PartRun]:
        """Several parts of this run: `count` of them, or one for each of `tag_values`, tagged with it."""
        if (count is None) == (tag_values is None) or (tag_values is None) != (tag_key is None):
            raise ValueError("create_children() takes either count, or tag_key with tag_values.")
        if tag_values is None:
            return [self.child_run() for _ in range(count or 0)]
        children = [self.child_run() for _ in tag_values]
        for child, value in zip(children, tag_values, strict=True):
            child.tag(str(tag_key), value)
        return children

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: str | None = None) -> None:
        """Keep a file, or the bytes of a stream, with the run under `name`. Raises Conflict when there is one."""
        del datastore_name  # the files of runs have one place
        with local_file(path_or_stream) as path:
            self._give({name: path})

    def upload_files(self, names: Sequence[str], paths: Sequence[Any], **_: Any) -> None:
        """Keep several files, each under the name at the same place in `names`."""
        if len(names) != len(paths):
            raise ValueError(f"upload_files() got {len(names)} names for {len(paths)} paths.")
        self._give({name: Path(path) for name, path in zip(names, paths, strict=True)})

    def upload_folder(self, name: str, path: str | os.PathLike[str], datastore_name: str | None = None) -> None:
        """Keep every file below `path` under `name/`."""
        del datastore_name
        root = Path(path)
        if not root.is_dir():
            raise NotADirectoryError(f"upload_folder(): there is no folder {root}")
        files = sorted(file for file in root.rglob("*") if file.is_file())
        self._give({f"{name}/{file.relative_to(root).as_posix()}": file for file in files})

    def log_image(self, name: str, path: str | None = None, plot: Any = None, description: str = "") -> None:
        """Log an image: a file at `path`, or a matplotlib figure (or pyplot itself) as `plot`. Exactly one of them."""
        if (path is None) == (plot is None):
            raise ValueError("log_image() takes either path or plot.")
        drawn = io.BytesIO()
        if plot is not None:
            plot.savefig(drawn, format="png")
            drawn.seek(0)
        artifact = f"{name}{Path(path).suffix if path else '.png'}"
        self.upload_file(artifact, drawn if path is None else path)
        self._metric(name, "image", artifact, description)

    def _give(self, files: Mapping[str, Path]) -> None:
        """Raises Conflict before anything is sent when the run has a file of one of these names."""
        placed = {artifact_name(name): path for name, path in files.items()}
        for path in placed.values():
            if not path.is_file():
                raise FileNotFoundError(f"There is no file {path}")
        taken = self._artifacts().keys() & placed.keys()
        if taken:
            raise Conflict(f"The run has a file {shown(min(taken))} already. Give this one another name.", field="name")
        run, step = self._log_at()
        names = list(placed)
        for start in range(0, len(names), _GIVEN_AT_ONCE):
            targets = self.api.offer_files(run, step, names[start : start + _GIVEN_AT_ONCE])
            send_all(self.api.transport, [Send(path=placed[one.path], target=one.upload) for one in targets])

    @abstractmethod
    def _log_at(self) -> tuple[str, str]:
        """(pipeline run, step id) that what is logged belongs to; "": the run as a whole."""

    @property
    @abstractmethod
    def tags(self) -> dict[str, str]: ...

    def tag(self, key: str, value: Any = None) -> None:
        """Set a tag, also after the run has ended."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags; others stay."""
        self._label({str(key): "" if value is None else str(value) for key, value in tags.items()}, {})

    def remove_tags(self, tags: str | Sequence[str]) -> dict[str, str]:
        """Remove a tag or several. Returns those that are left."""
        return self._label(dict.fromkeys([tags] if isinstance(tags, str) else tags), {})

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Set properties, which cannot be changed afterwards. Raises Conflict for one that has another value."""
        self._label({}, {str(key): str(value) for key, value in properties.items()})

    @abstractmethod
    def _label(self, tags: Mapping[str, str | None], properties: Mapping[str, str]) -> dict[str, str]:
        """Change tags, None removes one, and add properties; the tags that there are then."""

    @property
    @abstractmethod
    def properties(self) -> dict[str, str]: ...

    def get_tags(self) -> dict[str, str]:
        return self.tags

    def get_properties(self) -> dict[str, str]:
        return self.properties

    def register_model(
        self,
        model_name: str,
        model_path: str | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        datasets: Any = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
    ) -> Model:
        """Register a file or folder of a run that has ended, as a model's next version.

        `model_path` is its name in `get_file_names`, by default the model's own. `datasets`, samples and resources are
        accepted and left aside.
        Raises UnknownThing, Conflict.
        """
        del datasets, sample_input_dataset, sample_output_dataset, resource_configuration
        from millstream.model import Model

        run, step, path = self._owner_of(model_path or model_name)
        wish = {
            "name": model_name,
            "path": path,
            "request_id": str(uuid.uuid4()),
            "tags": {str(key): str(value) for key, value in (tags or {}).items()},
            "properties": {str(key): str(value) for key, value in (properties or {}).items()},
            "description": description or "",
            "framework": model_framework,
            "framework_version": model_framework_version,
        }
        return Model(self.experiment.workspace, _view=self.api.register_step_model(run, step, wish))

    @abstractmethod
    def _owner_of(self, name: str) -> tuple[str, str, str]:
        """(pipeline run, step id, path in the step) of a file or folder of the run."""

    def get_environment(self) -> Environment:
        """The environment that was asked for, with its packages and variables. Of a pipeline run, that of its first
        step.
        """
        from millstream.environment import Environment

        step = self._step()
        made = Environment.recorded(step.settings.get("environment", {}))
        made.environment_variables = {
            name: value.value for name, value in step.environment.items() if isinstance(value, Literal)
        }
        return made

    @abstractmethod
    def _step(self) -> Step:
        """The definition of the step, or of the first one."""

    @abstractmethod
    def get_snapshot_id(self) -> str:
        """The id of the source folder; of a pipeline run, that of all its steps. Raises InvalidRequest if they have
        several.
        """

    def restore_snapshot(self, snapshot_id: str | None = None, path: str | os.PathLike[str] | None = None) -> str:
        """Download the source folder, as a zip, into the folder `path`, or the current one. Returns its path."""
        from millstream.sources import restore

        return restore(self.api, snapshot_id or self.get_snapshot_id(), path)

    def flush(self, timeout_seconds: float = 300) -> None:
        """Nothing: nothing waits here."""

    def start(self) -> None:
        """Nothing: a run starts by itself."""

    def complete(self, _set_status: bool = True) -> None:
        """Nothing: the exit codes of its scripts decide how a run ends."""

    def fail(self, error_details: Any = None, error_code: Any = None, _set_status: bool = True) -> None:
        """Nothing: the exit codes of its scripts decide how a run ends."""

    def clean(self) -> None:
        """Nothing: nothing lies on this machine."""

    @abstractmethod
    def _artifacts(self) -> dict[str, Stored]:
        """The files of the run by name, logs apart."""

    @abstractmethod
    def _logs(self) -> dict[str, bytes]:
        """The logs of the run by file name."""

    def get_file_names(self) -> list[str]:
        """What the scripts left in ./outputs or uploaded, and the logs."""
        return sorted({**self._artifacts(), **dict.fromkeys(self._logs())})

    def download_file(
        self, name: str, output_file_path: str | os.PathLike[str] | None = None, _validate_checksum: bool = True
    ) -> None:
        """Download one file to `output_file_path`: a file, or a folder that is there. Default: the current folder."""
        del _validate_checksum  # always
        target = Path(output_file_path or ".")
        if target.is_dir() or str(output_file_path or "").endswith(("/", os.sep)):
            target = below(target, name.rpartition("/")[2])
        self._bring({name: target})

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | os.PathLike[str] | None = None,
        output_paths: Sequence[str | os.PathLike[str]] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: float | None = None,
    ) -> None:
        """Download all files, or those whose names begin with `prefix`, keeping their paths.

        With `append_prefix` False the prefix is left out of the paths. `output_paths` gives a path for each file.
        """
        del batch_size, timeout_seconds
        names = [name for name in self.get_file_names() if name.startswith(prefix or "")]
        if output_paths is not None:
            if len(output_paths) != len(names):
                raise ValueError(f"download_files(): {len(output_paths)} output_paths for {len(names)} files.")
            self._bring({name: Path(path) for name, path in zip(names, output_paths, strict=True)})
            return
        folder = Path(output_directory or ".")
        cut = 0 if append_prefix else len(prefix or "")
        self._bring({name: below(folder, name[cut:].lstrip("/") or name.rpartition("/")[2]) for name in names})

    def get_all_logs(self, destination: str | os.PathLike[str] | None = None) -> list[str]:
        """Download the logs to `destination`/<run id>/. Returns the paths."""
        folder = Path(destination or ".") / self.id
        targets = {name: below(folder, name) for name in self._logs()}
        self._bring(targets)
        return [str(path) for path in targets.values()]

    def _bring(self, targets: dict[str, Path]) -> None:
        artifacts, logs = self._artifacts(), self._logs()
        for name in targets:
            if name not in artifacts and name not in logs:
                hint = suggestion(name, [*artifacts, *logs], "files")
                raise UnknownThing(f"The run has no file {shown(name)}. {hint}", field="name")
        wishes = [fetch_of(artifacts[name], path) for name, path in targets.items() if name in artifacts]
        progress = Progress("Downloading", files=len(wishes), size=sum(wish.size for wish in wishes))
        fetch_all(self.api.transport, wishes, progress)
        for name in (name for name in targets if name not in artifacts):
            targets[name].parent.mkdir(parents=True, exist_ok=True)
            targets[name].write_bytes(logs[name])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServiceRun) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(experiment={self.experiment.name!r}, id={self.id!r})"


def fetch_of(stored: Stored, target: Path) -> Fetch:
    file = stored.file
    return Fetch(url=file.url, size=file.size, sha256=file.sha256 or None, target=target, renew=stored.renew)


@contextmanager
def local_file(path_or_stream: Any) -> Iterator[Path]:
    """The path of a file, or of one with the bytes, or text, of a stream, as long as the block lasts."""
    if not hasattr(path_or_stream, "read"):
        yield Path(path_or_stream)
        return
    with tempfile.TemporaryDirectory(prefix="millstream-") as folder:
        path = Path(folder) / "stream"
        with path.open("wb") as file:
            while chunk := path_or_stream.read(1 << 20):
                file.write(chunk.encode() if isinstance(chunk, str) else chunk)
        yield path


def whole_log(api: Api, run_id: str, step_id: str) -> bytes:
    """All of a step's log so far."""
    parts: list[bytes] = []
    offset = 0
    while True:
        part = api.log(run_id, step_id, offset)
        parts.append(part.data)
        if not part.data:
            return b"".join(parts)
        offset = part.next


def moment(seconds: float | None) -> str | None:
    """Epoch seconds as v1 writes times."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def only(metrics: dict[str, Any], name: str | None) -> dict[str, Any]:
    return metrics if name is None else {key: value for key, value in metrics.items() if key == name}
