"""The `path` of v1's factories, in all its forms, as the sources of a document."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from millstream.data import DataReference
from millstream.data_path import DataPath
from millstream.errors import InvalidRequest
from millstream.path_parts import tidy
from millstream.tokens import refuse_tokens
from orchestrator.core.dataset import DatastoreFiles, Source, WebFile

if TYPE_CHECKING:
    from millstream.datastore import Datastore
    from millstream.workspace import Workspace

_ELSEWHERE = ("wasb", "wasbs", "abfs", "abfss", "adl", "azureml", "file", "ftp")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a datastore, to be written to."""

    datastore: Datastore
    path: str


def sources_of(path: Any) -> tuple[tuple[Source, ...], Workspace | None]:
    """The sources, and the workspace of their datastores if one is known. Raises InvalidRequest, TypeError."""
    every = list(_each(path))
    if not every:
        raise InvalidRequest("Give at least one path.", field="path")
    workspaces = [workspace for _, workspace in every if workspace is not None]
    return tuple(source for source, _ in every), workspaces[0] if workspaces else None


def place_of(target: Any) -> Place:
    """Where to write: a Datastore, a DataPath, a DataReference, or (datastore, path)."""
    if isinstance(target, (DataPath, DataReference)):
        store, path = target.datastore, target.path_on_datastore
    elif isinstance(target, tuple) and len(target) == 2:
        store, path = target
    else:
        store, path = target, ""
    if isinstance(store, str) or not hasattr(store, "upload"):
        raise TypeError(f"The target is {target!r}. Use a Datastore, a DataPath of one, or (datastore, 'path').")
    return Place(store, tidy(refuse_tokens(path, "target")))


def _each(path: Any) -> Iterator[tuple[Source, Workspace | None]]:
    match path:
        case DataPath() | DataReference():
            yield _in_datastore(path.datastore, path.path_on_datastore)
        case (store, inner) if _is_datastore(store) and isinstance(inner, (str, list, tuple)):
            for one in [inner] if isinstance(inner, str) else inner:
                yield _in_datastore(store, one)
        case str() | os.PathLike():
            yield _web(str(path)), None
        case Sequence():
            for one in path:
                yield from _each(one)
        case _ if _is_datastore(path):
            yield _in_datastore(path, "")
        case _:
            raise TypeError(
                f"A path is a DataPath, a DataReference, (datastore, 'path'), an http(s) URL or a list of them, not "
                f"{path!r}."
            )


def _in_datastore(store: Datastore | str, path: str) -> tuple[Source, Workspace | None]:
    plain = tidy(refuse_tokens(path, "path"))
    if isinstance(store, str):
        return DatastoreFiles(datastore=store, path=plain), None
    return DatastoreFiles(datastore=store.name, path=plain), store.workspace


def _web(url: str) -> WebFile:
    scheme = urlsplit(url).scheme.lower()
    if scheme in ("http", "https"):
        return WebFile(url=url)
    if scheme in _ELSEWHERE:
        message = f"URLs that begin with {scheme}: are not read. Name the container as a datastore, and the path in it."
    else:
        message = f"{url!r} is a path of this machine. Upload it to a datastore first: Datastore.upload(...)."
    raise InvalidRequest(message, field="path")


def _is_datastore(thing: Any) -> bool:
    return hasattr(thing, "upload_files") and hasattr(thing, "workspace")
