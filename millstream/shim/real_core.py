"""What a real azureml-core is helped with inside a step: its uploads. Standard library only.

It takes every place for an account of Azure's public storage: `https://<account>.blob.<suffix>/...` is all that it can
send to, so that on a laptop, or by an endpoint of another form, nothing arrives. The files go to the URL as it is given
then. And the worker is told of each file that was uploaded, since it does not see storage from where it is.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False  # as in millstream.shim
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

UPLOADING = "azureml._file_utils.upload"
_SPOOL = "MILLSTREAM_SPOOL"
_GIVEN = "/given/"


class Helper:
    """A meta path finder for one module of azureml-core: that which uploads."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != UPLOADING:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader = spec.loader
            load = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                help_uploads(module)

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Help, in a step; elsewhere nothing happens."""
    if _SPOOL in os.environ and not any(isinstance(finder, Helper) for finder in sys.meta_path):
        sys.meta_path.insert(0, Helper())


def help_uploads(module: ModuleType) -> None:
    """Have the module's function send anywhere, and tell of what it has sent."""
    usual: Callable[..., Any] = module.upload_blob_from_stream

    def upload_blob_from_stream(stream: Any, url: str, content_type: str | None = None, **more: Any) -> Any:
        sent = None
        if _is_public(url):
            sent = usual(stream, url, content_type=content_type, **more)
        else:
            _put(stream, url, content_type)
        _tell(url)
        return sent

    module.upload_blob_from_stream = upload_blob_from_stream  # type: ignore[attr-defined]


def _is_public(url: str) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return parts.scheme == "https" and parts.netloc.split(".")[1:2] == ["blob"] and parts.port is None


def _put(stream: Any, url: str, content_type: str | None) -> None:
    """Raises urllib.error.URLError."""
    from urllib.request import Request, urlopen

    start = stream.tell()
    length = stream.seek(0, os.SEEK_END) - start
    stream.seek(start)
    headers = {
        "x-ms-blob-type": "BlockBlob",
        "If-None-Match": "*",
        "Content-Length": str(length),
        "Content-Type": content_type or "application/octet-stream",
    }
    with urlopen(Request(url, stream, headers, method="PUT"), timeout=600) as answer:  # noqa: S310 - the service's own
        answer.read()


def _tell(url: str) -> None:
    from urllib.parse import unquote, urlsplit

    name = unquote(urlsplit(url).path).partition(_GIVEN)[2]
    line = json.dumps({"op": "given", "name": name}, separators=(",", ":")).encode() + b"\n"
    spool = os.open(os.environ[_SPOOL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(spool, line)
    finally:
        os.close(spool)
