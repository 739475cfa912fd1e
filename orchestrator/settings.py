"""Every setting of the service: its name, type, default and meaning. Read once, in function_app.py.

    settings = read(os.environ)

A setting that does not parse, and a name that looks like a slip of the pen, stop the start with a message that names
the setting. Secrets are wrapped: no repr, log line or traceback shows them. docs/settings.md is generated from here.
"""

# ruff: noqa: RUF009 - `_setting` is `dataclasses.field` by another name
from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.core.errors import MillstreamError
from orchestrator.core.names import DATASTORE

PREFIX = "MILLSTREAM_"


class InvalidSetting(MillstreamError):
    """A setting is missing or does not parse; `field` is its name. The service does not start."""

    code = "InvalidSetting"


class Secret:
    """A text that is handed on by `reveal()` and shown by nothing."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("it is empty")
    return value.strip()


def _secret(value: str) -> Secret:
    return Secret(_text(value))


def _seconds(value: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value) or not float(value):
        raise ValueError("it must be a number of seconds above 0")
    return float(value)


def _count(value: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,14}", value):
        raise ValueError("it must be a whole number above 0")
    return int(value)


def _flag(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return known[value.strip().lower()]
    except KeyError:
        raise ValueError('it must be "true" or "false"') from None


def _digests(value: str) -> tuple[str, ...]:
    digests = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not digests or not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests):
        raise ValueError("it must be one or more sha256 sums of 64 hex digits, separated by commas")
    return digests


def _queue_name(value: str) -> str:
    # 63 less "-poison": the host gives longer queues no poison queue.
    if not re.fullmatch("[a-z0-9](-?[a-z0-9]){2,55}", value):
        raise ValueError("a queue name has 3 to 56 lower-case letters, digits and single hyphens between them")
    return value


def _container_name(value: str) -> str:
    if not (3 <= len(value) <= 63 and re.fullmatch("[a-z0-9](-?[a-z0-9])*", value)):
        raise ValueError(f"{value!r} is not a container: 3 to 63 lower-case letters, digits and single hyphens")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", value):
        raise ValueError("it must be an http or https URL without query")
    return value.rstrip("/")


def _text_map(value: str) -> dict[str, str]:
    parsed = json.loads(value)
    if not isinstance(parsed, dict) or not parsed or not all(isinstance(item, str) for item in parsed.values()):
        raise ValueError('it must be a JSON object of texts with at least one entry, as {"name": "value"}')
    for name in parsed:
        if not DATASTORE.allows(name):
            raise ValueError(f"{name!r} is not a name: use letters, digits, - and _")
    return parsed


def _containers(value: str) -> dict[str, str]:
    return {name: _container_name(container) for name, container in _text_map(value).items()}


def _setting(variable: str, parse: Callable[[str], Any], meaning: str, default: Any = dataclasses.MISSING) -> Any:
    """One setting. `default` None or a value; left out, the setting is required. Callables make a fresh default."""
    metadata = {"variable": variable, "parse": parse, "meaning": meaning}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service was configured with. `storage` is the only setting without a default."""

    storage: Secret = _setting(
        "AzureWebJobsStorage", _secret, "Connection string of the storage account that holds everything."
    )
    token_sha256: tuple[str, ...] = _setting(
        "MILLSTREAM_TOKEN_SHA256",
        _digests,
        "sha256 sums, in hex, of the bearer tokens that are accepted. Several, separated by commas, let a token be "
        "changed without a gap. Without this setting and MILLSTREAM_TOKEN every call is refused.",
        (),
    )
    token: Secret = _setting(
        "MILLSTREAM_TOKEN",
        _secret,
        "A bearer token that is accepted, in clear: for a machine of one's own.",
        Secret(""),
    )
    workspace: str = _setting("MILLSTREAM_WORKSPACE", _text, "Name of the workspace.", "millstream")
    subscription_id: str = _setting(
        "MILLSTREAM_SUBSCRIPTION_ID",
        _text,
        "Azure subscription that clients and scripts are told.",
        "00000000-0000-0000-0000-000000000000",
    )
    resource_group: str = _setting(
        "MILLSTREAM_RESOURCE_GROUP", _text, "Resource group that clients and scripts are told.", "millstream"
    )
    public_url: str = _setting(
        "MILLSTREAM_PUBLIC_URL",
        _url,
        "URL under which callers reach the service, without /api; endpoints of published pipelines begin with it. "
        "Without it, the URL of the request at hand.",
        "",
    )
    datastores: Mapping[str, str] = _setting(
        "MILLSTREAM_DATASTORES",
        _containers,
        "JSON object: datastore name -> blob container. The first is the default datastore.",
        lambda: {"workspaceblobstore": "workspaceblobstore"},
    )
    computes: Mapping[str, str] = _setting(
        "MILLSTREAM_COMPUTES",
        _text_map,
        "JSON object: compute name that steps may ask for -> kind of compute.",
        lambda: {"function": "function"},
    )
    queue: str = _setting("MILLSTREAM_QUEUE", _queue_name, "Queue whose messages drive the steps.", "millstream-steps")
    claim_ttl: float = _setting(
        "MILLSTREAM_CLAIM_TTL_SECONDS",
        _seconds,
        "A step whose claim has had no heartbeat for so long may be taken over by another worker.",
        90.0,
    )
    sweep_quiet: float = _setting(
        "MILLSTREAM_SWEEP_QUIET_SECONDS", _seconds, "The sweep leaves a run alone that moved within this time.", 45.0
    )
    heartbeat: float = _setting(
        "MILLSTREAM_HEARTBEAT_SECONDS", _seconds, "Time between two heartbeats of a step.", 30.0
    )
    cancel_check: float = _setting(
        "MILLSTREAM_CANCEL_CHECK_SECONDS", _seconds, "Time between two looks whether a run was cancelled.", 3.0
    )
    function_timeout: float = _setting(
        "MILLSTREAM_FUNCTION_TIMEOUT_SECONDS",
        _seconds,
        "functionTimeout of host.json. Every script is ended 30 s before it.",
        1800.0,
    )
    cache_dir: Path = _setting(
        "MILLSTREAM_CACHE_DIR",
        lambda value: Path(_text(value)),
        "Local folder for unpacked sources and for the working folders of steps.",
        lambda: Path(tempfile.gettempdir()) / "millstream",
    )
    log_bytes: int = _setting("MILLSTREAM_LOG_BYTES", _count, "The most of a step's output that is kept.", 10_000_000)
    fork_server: bool = _setting(
        "MILLSTREAM_FORK_SERVER", _flag, "Start scripts by forking a warm interpreter where the system can.", True
    )
    keep_work_dirs: bool = _setting(
        "MILLSTREAM_KEEP_WORK_DIRS", _flag, "Leave the working folders of steps behind, to look into.", False
    )
    definition_bytes: int = _setting(
        "MILLSTREAM_DEFINITION_BYTES", _count, "The largest request body with a pipeline definition.", 4 * 1024 * 1024
    )
    body_bytes: int = _setting("MILLSTREAM_BODY_BYTES", _count, "The largest other request body.", 1024 * 1024)
    assignment_bytes: int = _setting(
        "MILLSTREAM_ASSIGNMENT_BYTES", _count, "The most a run's parameters, tags and properties take as JSON.", 24_000
    )
    snapshot_bytes: int = _setting(
        "MILLSTREAM_SNAPSHOT_BYTES", _count, "The largest source folder, unpacked.", 300_000_000
    )
    snapshot_files: int = _setting("MILLSTREAM_SNAPSHOT_FILES", _count, "The most files of a source folder.", 2000)
    url_seconds: float = _setting(
        "MILLSTREAM_SIGNED_URL_SECONDS", _seconds, "How long a signed URL is good for.", 900.0
    )

    def __post_init__(self) -> None:
        if self.heartbeat * 2 > self.claim_ttl:
            raise InvalidSetting(
                f"MILLSTREAM_HEARTBEAT_SECONDS ({self.heartbeat:g}) must be at most half of "
                f"MILLSTREAM_CLAIM_TTL_SECONDS ({self.claim_ttl:g}), or living steps are taken for dead.",
                field="MILLSTREAM_HEARTBEAT_SECONDS",
            )

    @property
    def default_datastore(self) -> str:
        return next(iter(self.datastores))

    @property
    def token_digests(self) -> tuple[bytes, ...]:
        """sha256 of every token that is accepted; empty: none is."""
        digests = [bytes.fromhex(digest) for digest in self.token_sha256]
        if self.token:
            digests.append(hashlib.sha256(self.token.reveal().encode()).digest())
        return tuple(digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A setting for people: `default` is None when it must be given."""

    variable: str
    meaning: str
    default: str | None


def described() -> Iterator[Described]:
    """All settings, in the order of Settings."""
    for spec in dataclasses.fields(Settings):
        yield Described(variable=spec.metadata["variable"], meaning=spec.metadata["meaning"], default=_shown(spec))


def _shown(spec: dataclasses.Field[Any]) -> str | None:
    if spec.name == "cache_dir":
        return "millstream in the folder for temporary files"
    if spec.default_factory is not dataclasses.MISSING:
        return json.dumps(spec.default_factory())
    if spec.default is dataclasses.MISSING:
        return None
    if isinstance(spec.default, bool):
        return str(spec.default).lower()
    return f"{spec.default:g}" if isinstance(spec.default, float) else str(spec.default or "none")


def read(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`; an empty value counts as not given. Raises InvalidSetting."""
    specs = {spec.metadata["variable"]: spec for spec in dataclasses.fields(Settings)}
    _refuse_slips(environment, specs)
    values: dict[str, Any] = {}
    for variable, spec in specs.items():
        if text := environment.get(variable, ""):
            values[spec.name] = _parsed(variable, spec.metadata["parse"], text)
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise InvalidSetting(f"The setting {variable} is missing: {spec.metadata['meaning']}", field=variable)
    return Settings(**values)


def _parsed(variable: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        # Only reasons written here are shown: a parser's own might quote a secret.
        reason = "it is not JSON" if isinstance(error, json.JSONDecodeError) else error
        raise InvalidSetting(f"The setting {variable} is not valid: {reason}.", field=variable) from None


def _refuse_slips(environment: Mapping[str, str], known: Mapping[str, Any]) -> None:
    """A name close to a setting's is a slip. Other MILLSTREAM_ names belong to other parts, such as the client."""
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            unitless = [f"{name}{unit}" for unit in ("_SECONDS", "_BYTES") if f"{name}{unit}" in known]
            if near := unitless or difflib.get_close_matches(name, known, n=1, cutoff=0.9):
                raise InvalidSetting(f"There is no setting {name}. Did you mean {near[0]}?", field=name)
