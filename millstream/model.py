"""Registered models."""

from __future__ import annotations

import builtins
import hashlib
import os
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.errors import InvalidRequest
from millstream.progress import Progress
from millstream.transfer import Fetch, Send, below, fetch_all, send_all
from millstream.views import ModelView, UploadTarget

if TYPE_CHECKING:
    from millstream.runs import ServiceRun
    from millstream.workspace import Workspace


class Model:
    """A version of a model: `version`, or the latest. Raises UnknownThing. An id, "name:version", is a name too."""

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,
        version: int | None = None,
        *,
        _view: ModelView | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(Model.__init__, unknown)
        wanted = name or id or ""
        if version is None and wanted.rpartition(":")[2].isdigit():
            wanted, _, number = wanted.rpartition(":")
            version = int(number)
        self.workspace = workspace
        self._view = _view or workspace.api.model(wanted, version)

    @staticmethod
    def list(
        workspace: Workspace, name: str | None = None, tags: Any = None, latest: bool = False, **_: Any
    ) -> builtins.list[Model]:
        """The models, by name, each with its latest version first; only the latest with `latest`.

        `tags`: a list of names, or of [name, value], that a model must have.
        """
        found: builtins.list[Model] = []
        seen: set[str] = set()
        for view in workspace.api.models(name=name):
            if (latest and view.name in seen) or not _tagged(view.tags, tags):
                continue
            seen.add(view.name)
            found.append(Model(workspace, _view=view))
        return found

    @staticmethod
    def register(
        workspace: Workspace,
        model_path: str | os.PathLike[str],
        model_name: str,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        description: str | None = None,
        datasets: Any = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: Any = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
    ) -> Model:
        """Register a file or folder of this machine as the next version of a model.

        Inside a step, `run.register_model` does it without a second copy. `datasets`, samples and resources are
        accepted and left aside. Raises InvalidRequest.
        """
        del datasets, child_paths, sample_input_dataset, sample_output_dataset, resource_configuration
        files = _local_files(Path(model_path))
        manifest = [{"path": path, **_measured(place)} for path, place in files.items()]
        slots = workspace.api.prepare_model(manifest).files
        sends = [
            Send(path=files[slot.path], target=slot.upload, renew=partial(_target, workspace, manifest, slot.path))
            for slot in slots
            if slot.upload
        ]
        send_all(workspace.api.transport, sends, Progress(f"Uploading {model_name}", files=len(sends)))
        wish = {
            "name": model_name,
            "path": Path(model_path).absolute().name,
            "files": manifest,
            "request_id": str(uuid.uuid4()),
            "tags": {str(key): str(value) for key, value in (tags or {}).items()},
            "properties": {str(key): str(value) for key, value in (properties or {}).items()},
            "description": description or "",
            "framework": model_framework,
            "framework_version": model_framework_version,
        }
        view = workspace.api.register_model(wish)
        say(f"Registered model {view.name}, version {view.version}")
        return Model(workspace, _view=view)

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Workspace | None = None) -> str:
        """Download a model below azureml-models/ (as v1 names the folder). Returns the path of its file or folder."""
        from millstream.workspace import Workspace

        model = Model(_workspace or Workspace.here(), model_name, version=version)
        return model.download(Path("azureml-models") / model.name / str(model.version), exist_ok=True)

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def version(self) -> int:
        return self._view.version

    @property
    def id(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._view.tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._view.properties)

    @property
    def description(self) -> str:
        return self._view.description

    @property
    def model_framework(self) -> str | None:
        return self._view.framework

    @property
    def model_framework_version(self) -> str | None:
        return self._view.framework_version

    @property
    def run_id(self) -> str:
        """The step run that registered it; "" for one that came from files of a machine."""
        return f"{self._view.run_id}_{self._view.step_id}" if self._view.run_id else ""

    @property
    def run(self) -> ServiceRun | None:
        """The step run that registered it; None for one that came from files of a machine."""
        return self.workspace.get_run(self.run_id) if self.run_id else None

    def download(self, target_dir: str | os.PathLike[str] = ".", exist_ok: bool = False) -> str:
        """Download the model's file, or its folder, into `target_dir`. Returns the path of what was downloaded.

        Raises FileExistsError if it is there already, unless `exist_ok`.
        """
        view = self.workspace.api.model(self.name, self.version)
        name = view.path.rpartition("/")[2] or view.name
        target = below(Path(target_dir), name)
        if target.exists() and not exist_ok:
            raise FileExistsError(f"{target} is there already. Pass exist_ok=True to replace it.")
        inner = {file: file.path.removeprefix(view.path).lstrip("/") for file in view.files}
        wishes = [
            Fetch(
                url=file.url,
                size=file.size,
                sha256=file.sha256,
                target=below(target, path) if path else target,
                renew=partial(self._url, file.path),
            )
            for file, path in inner.items()
        ]
        progress = Progress(f"Downloading {self.name}", files=len(wishes), size=sum(wish.size for wish in wishes))
        fetch_all(self.workspace.api.transport, wishes, progress)
        return str(target)

    def _url(self, path: str, stale: str) -> str:
        """A URL in place of one that has expired."""
        files = self.workspace.api.model(self.name, self.version).files
        return next((file.url for file in files if file.path == path), stale)

    def __repr__(self) -> str:
        return f"Model(name={self.name!r}, version={self.version})"


def _target(workspace: Workspace, manifest: builtins.list[dict[str, Any]], path: str) -> UploadTarget | None:
    """Where to send a file, asked for anew."""
    slots = workspace.api.prepare_model(manifest).files
    return next((slot.upload for slot in slots if slot.path == path), None)


def _local_files(path: Path) -> dict[str, Path]:
    """Path in the model -> file. The file or folder itself is the first part. Raises InvalidRequest."""
    if path.is_file():
        return {path.absolute().name: path}
    root = path.absolute()
    files = sorted(file for file in root.rglob("*") if file.is_file()) if root.is_dir() else []
    if not files:
        raise InvalidRequest(f"There is no file {path}, nor a folder with files.", field="model_path")
    return {f"{root.name}/{file.relative_to(root).as_posix()}": file for file in files}


def _measured(file: Path) -> dict[str, Any]:
    with file.open("rb") as data:
        return {"sha256": hashlib.file_digest(data, "sha256").hexdigest(), "size": file.stat().st_size}


def _tagged(labels: Mapping[str, str], wanted: Any) -> bool:
    for item in wanted or ():
        name, value = (item, None) if isinstance(item, str) else (item[0], item[1])
        if name not in labels or (value is not None and labels[name] != str(value)):
            return False
    return True
