"""Datastores: named blob containers. Files go up and down through signed URLs that the service hands out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.arguments import refuse_unknown
from millstream.console import amount, say
from millstream.data import DataReference
from millstream.datastore_registration import Registering
from millstream.errors import InvalidRequest
from millstream.explained import Explained
from millstream.path_parts import tidy
from millstream.progress import Progress
from millstream.share_upload import Draft
from millstream.transfer import LARGE, Fetch, Send, below, fetch_all, send_all
from millstream.views import UploadTarget
from orchestrator.core.names import DATA_PATH, PATH

BODY = 500_000

if TYPE_CHECKING:
    from millstream.views import DatastoreView, RegisteredDatastoreView
    from millstream.workspace import Workspace


class Datastore(Registering, Explained):
    """The datastore `name` of a workspace; without a name, the default one. Made anew by `Datastore.register_...`.

    Neither this nor making references asks the service for anything; a name that is not there is found out when the
    pipeline is checked, or at the first upload.
    """

    def __init__(self, workspace: Workspace, name: str | None = None, **unknown: Any) -> None:
        refuse_unknown(Datastore.__init__, unknown)
        self.workspace = workspace
        self.name = name if name is not None else workspace.details.default_datastore

    @staticmethod
    def get(workspace: Workspace, datastore_name: str) -> Datastore:
        """The datastore of that name. Raises KeyError, with what there is."""
        return workspace.datastores[datastore_name]

    @staticmethod
    def get_default(workspace: Workspace) -> Datastore:
        return workspace.get_default_datastore()

    @property
    def datastore_type(self) -> str:
        return self._view.type

    @property
    def container_name(self) -> str:
        """The container, file system or share; empty for a SQL datastore."""
        return self._view.container

    @property
    def account_name(self) -> str:
        """The account of a registered datastore."""
        return self._registration.account

    @property
    def is_sas(self) -> bool:
        """Whether it was registered with a SAS token."""
        return self._registration.auth == "sas"

    @property
    def _view(self) -> DatastoreView:
        return next(store for store in self.workspace.details.datastores if store.name == self.name)

    @property
    def _registration(self) -> RegisteredDatastoreView:
        return self.workspace.api.datastore(self.name)

    def set_as_default(self) -> None:
        """Make it what is taken where no datastore is named, for all who use the workspace."""
        self.workspace.set_default_datastore(self.name)

    def unregister(self) -> None:
        """Forget its name and its secret; its data stays where it is. Raises Conflict for the default one."""
        self.workspace.api.delete_datastore(self.name)
        self.workspace.refresh()

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataReference:
        """A reference to a file or folder of this datastore, to be an input of steps."""
        return DataReference(self, data_reference_name, path)

    def as_mount(self) -> DataReference:
        return self.path()

    def as_download(self, path_on_compute: str | None = None) -> DataReference:
        return self.path().as_download(path_on_compute)

    def upload(
        self,
        src_dir: str | os.PathLike[str],
        target_path: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Upload every file below `src_dir` to `target_path`. Files that are there stay unless `overwrite`."""
        root = Path(src_dir)
        if not root.is_dir():
            raise InvalidRequest(f"{root} is not a folder.", field="src_dir")
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return self._upload(files, root, target_path, overwrite, show_progress)

    def upload_files(
        self,
        files: Sequence[str | os.PathLike[str]],
        relative_root: str | os.PathLike[str] | None = None,
        target_path: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Upload files to `target_path`, each under its path relative to `relative_root` (their common folder)."""
        if isinstance(files, (str, os.PathLike)):
            files = [files]
        paths = [Path(file).absolute() for file in files]
        for path in paths:
            if not path.is_file():
                raise InvalidRequest(f"There is no file {path}.", field="files")
        if not paths:
            raise InvalidRequest("Give at least one file.", field="files")
        root = Path(relative_root or os.path.commonpath([path.parent for path in paths])).absolute()
        return self._upload(paths, root, target_path, overwrite, show_progress)

    def download(
        self,
        target_path: str | os.PathLike[str],
        prefix: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> int:
        """Download the file `prefix`, or all below the folder `prefix`, keeping the paths. Returns how many files.

        Files that are there stay unless `overwrite`. A large file that was broken off goes on where it was.
        """
        folder, wanted = Path(target_path), tidy(prefix)
        listed = [
            file
            for file in self.workspace.api.files(self.name, DATA_PATH.check(wanted, "prefix"))
            if not wanted or file.path == wanted or file.path.startswith(f"{wanted}/")
        ]
        wishes = (
            Fetch(
                url=file.url,
                size=file.size,
                sha256=None,
                target=below(folder, file.path),
                etag=file.etag,
                renew=partial(self._url, file.path),
            )
            for file in listed
        )
        missing = [wish for wish in wishes if overwrite or not wish.target.exists()]
        size = sum(wish.size for wish in missing)
        progress = Progress(f"Downloading from {self.name}", files=len(missing), size=size)
        count = fetch_all(self.workspace.api.transport, missing, progress if show_progress else None)
        if show_progress:
            say(f"Downloaded {count} of {len(listed)} files ({amount(size)}) from {self.name} to {folder}")
        return count

    def _url(self, path: str, stale: str) -> str:
        """A URL in place of one that has expired."""
        (file,) = self.workspace.api.locate(self.name, [path])
        return stale if file is None else file.url

    def _upload(
        self, files: Sequence[Path], root: Path, target_path: str | None, overwrite: bool, show_progress: bool
    ) -> DataReference:
        target = DATA_PATH.check(tidy(target_path), "target_path")
        placed = {_remote_path(file, root, target): file for file in files}
        progress = None
        if show_progress:
            total = sum(path.stat().st_size for path in files)
            progress = Progress(f"Uploading to {self.name}", files=len(files), size=total)
        written = size = 0
        for batch in _batches(list(placed), self.workspace.details.limits.upload_files):
            drafts = {path: self._draft(path, placed[path]) for path in batch}
            wish = [
                {
                    "path": path,
                    "size": placed[path].stat().st_size,
                    "draft": draft.id if draft else secrets.token_hex(16),
                }
                for path, draft in drafts.items()
            ]
            wishes = {file["path"]: file for file in wish}
            slots = self.workspace.api.prepare_uploads(self.name, wish, overwrite=overwrite).files
            sends = [
                Send(
                    path=placed[slot.path],
                    target=slot.upload,
                    renew=partial(self._target, wishes[slot.path], overwrite),
                    draft=drafts[slot.path],
                )
                for slot in slots
                if slot.upload is not None
            ]
            written += send_all(self.workspace.api.transport, sends, progress)
            size += sum(send.path.stat().st_size for send in sends)
        if show_progress:
            there = len(placed) - written
            note = f"; {there} were there already" if there else ""
            say(f"Uploaded {written} of {len(placed)} files ({amount(size)}) to {self.name}/{target}{note}")
        return self.path(target)

    def _draft(self, path: str, source: Path) -> Draft | None:
        """What is known of the upload of a large file to a share."""
        if self.datastore_type != "AzureFile" or source.stat().st_size < LARGE:
            return None
        return Draft(f"{self.workspace.api.url}\0{self.name}\0{path}", source)

    def _target(self, file: dict[str, Any], overwrite: bool, /) -> UploadTarget | None:
        """Where to send a file, asked for anew; None: it is there and stays."""
        return self.workspace.api.prepare_uploads(self.name, [file], overwrite=overwrite).files[0].upload

    def __repr__(self) -> str:
        return f"Datastore({self.name!r})"


def _remote_path(file: Path, root: Path, target: str) -> str:
    try:
        inner = file.relative_to(root).as_posix()
    except ValueError:
        raise InvalidRequest(f"{file} does not lie below {root}.", field="relative_root") from None
    return PATH.check(f"{target}/{inner}" if target else inner, "files")


def _batches(paths: list[str], most: int) -> Iterator[list[str]]:
    """At most `most` paths at a time, and no more than fit in a request body."""
    batch: list[str] = []
    size = 0
    for path in paths:
        length = len(path.encode()) + 112
        if batch and (len(batch) == most or size + length > BODY):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += length
    if batch:
        yield batch
