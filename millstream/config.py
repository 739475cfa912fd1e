"""Which service to speak to, and with which token: found in files and variables, or said clearly what is missing.

The endpoint is, in this order: the argument `url`, MILLSTREAM_ENDPOINT, "endpoint" in a config.json, and the service
that scripts/up keeps running (.millstream/service.json). The token: the argument, MILLSTREAM_TOKEN, the "token_file"
named beside the endpoint; MILLSTREAM_FUNCTIONS_KEY goes with it, or alone. In a step: the run token, for the service
that runs it. A token that belongs to one endpoint is never sent to another.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from millstream.errors import ConfigurationError

ENDPOINT = "MILLSTREAM_ENDPOINT"
TOKEN = "MILLSTREAM_TOKEN"  # noqa: S105 - the name of a variable
RUN_TOKEN = "AZUREML_RUN_TOKEN"  # noqa: S105 - as above
FUNCTIONS_KEY = "MILLSTREAM_FUNCTIONS_KEY"
PLAIN_HTTP = "MILLSTREAM_ALLOW_PLAIN_HTTP"
PASSWORD = "MILLSTREAM_PASSWORD_"  # noqa: S105 - as above
FOLDERS = (".azureml", "aml_config", "")
NAMES = ("config.json", "project.json")
LOCAL_SERVICE = Path(".millstream") / "service.json"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Found(msgspec.Struct, frozen=True, kw_only=True, rename={"url": "endpoint"}):
    """What a config.json holds: v1's three names, and, for us, where the service is. `token_file` may be relative."""

    workspace_name: str = ""
    resource_group: str = ""
    subscription_id: str = ""
    url: str = ""
    token_file: str = ""


class LocalService(msgspec.Struct, frozen=True, kw_only=True):
    """What scripts/up leaves for clients while the service runs."""

    url: str
    token_file: str


def password_variable(datastore: str) -> str:
    """Where a client says the password of a SQL datastore that it queries by itself."""
    return PASSWORD + re.sub(r"\W", "_", datastore, flags=re.ASCII).upper()


def find_password(datastore: str) -> str | None:
    """The password of a SQL datastore, if it is said."""
    return os.environ.get(password_variable(datastore)) or None


def find_config(path: str | os.PathLike[str] | None = None, file_name: str | None = None) -> Found | None:
    """The config.json at `path`, or the nearest one from there (or the current folder) upwards. None: there is none.

    Raises ConfigurationError for a file at exactly `path` that is not one.
    """
    start = Path(path or ".").absolute()
    if start.is_file():
        found = _read_config(start)
        if found is None:
            raise ConfigurationError(f"{start} is not a workspace configuration: it names no workspace_name.")
        return found
    names = (file_name,) if file_name else NAMES
    for folder in (start, *start.parents):
        for place in (folder / sub / name for sub in FOLDERS for name in names):
            if place.is_file() and (found := _read_config(place)):
                return found
    return None


def find_local_service(start: Path | None = None) -> LocalService | None:
    """The service that scripts/up runs, from `start` or the current folder upwards. None: there is none."""
    first = (start or Path.cwd()).absolute()
    for folder in (first, *first.parents):
        place = folder / LOCAL_SERVICE
        if place.is_file():
            try:
                local = msgspec.json.decode(place.read_bytes(), type=LocalService)
            except msgspec.MsgspecError as error:
                raise ConfigurationError(f"{place} cannot be read: {error}. Run scripts/up again.") from error
            return msgspec.structs.replace(local, token_file=str(folder / local.token_file))
    return None


def find_endpoint(config: Found | None, environment: Mapping[str, str] = os.environ) -> str:
    """The URL of the service. Raises ConfigurationError saying what to write where."""
    if url := environment.get(ENDPOINT) or (config.url if config else ""):
        return checked(url, environment)
    if local := find_local_service():
        return local.url
    raise ConfigurationError(
        "No Millstream service is known here. Start the local one with scripts/up, or set MILLSTREAM_ENDPOINT, or "
        'write "endpoint": "https://..." into the config.json of the workspace.'
    )


def find_token(url: str, config: Found | None, environment: Mapping[str, str] = os.environ) -> str:
    """The token for the service at `url`. Raises ConfigurationError saying what to write where."""
    if RUN_TOKEN in environment and _same(environment.get(ENDPOINT, ""), url):
        return environment[RUN_TOKEN]
    if token := environment.get(TOKEN, "").strip():
        return token
    for owner, file in _token_files(config):
        if _same(owner, url):
            return read_token(Path(file))
    raise ConfigurationError(
        f"No token is known for {url}. Set MILLSTREAM_TOKEN, or name a file that only you can read as "
        '"token_file" beside "endpoint" in the config.json of the workspace.'
    )


def find_functions_key(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """The key of the Functions app at `url`; "": none is known. The script of a step has none, whatever is set."""
    if RUN_TOKEN in environment and _same(environment.get(ENDPOINT, ""), url):
        return ""
    return environment.get(FUNCTIONS_KEY, "").strip()


def adopt(url: str, token: str | None) -> None:
    """Make this service the one that this process, and the processes that it starts, find. None: by its key alone."""
    os.environ[ENDPOINT] = url
    if token is not None:
        os.environ[TOKEN] = token


def read_token(path: Path) -> str:
    """A token from a file that nobody else can read. Raises ConfigurationError."""
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"The token file {path} cannot be read: {error.strerror}.") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(f"Others can read the token file {path}. Make it yours alone: chmod 600 {path}")
    if not token:
        raise ConfigurationError(f"The token file {path} is empty.")
    return token


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where things are kept on this machine that may be lost."""
    return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "millstream"


def checked(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """The URL, without a slash at its end. Raises ConfigurationError where a token would travel in the clear."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url!r} is not the URL of a service: write https://host.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not environment.get(PLAIN_HTTP):
        raise ConfigurationError(f"{url} would carry the token in clear text. Use https, or set {PLAIN_HTTP}=1.")
    return url.rstrip("/").removesuffix("/api")


def write_config(folder: Path, file_name: str, config: Found) -> Path:
    """Write a config.json below `folder`/.azureml. Returns its path."""
    target = folder / FOLDERS[0] / file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    known = {name: value for name, value in msgspec.to_builtins(config).items() if value}
    target.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=4) + b"\n")
    return target


def _token_files(config: Found | None) -> Iterator[tuple[str, str]]:
    if config and config.token_file:
        yield config.url, config.token_file
    if local := find_local_service():
        yield local.url, local.token_file


def _same(one: str, other: str) -> bool:
    return one.rstrip("/").removesuffix("/api") == other.rstrip("/").removesuffix("/api")


def _read_config(path: Path) -> Found | None:
    """None for a file that is about something else."""
    try:
        config = msgspec.json.decode(path.read_bytes(), type=Found)
    except msgspec.MsgspecError:
        return None
    if not config.workspace_name:
        return None
    file = str(path.parent / Path(config.token_file).expanduser()) if config.token_file else ""
    return msgspec.structs.replace(config, token_file=file)
