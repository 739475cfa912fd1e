"""App settings: the process environment over local.settings.json, and the knobs of the local host itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from devhost.errors import ConfigError

_PERCENT = re.compile(r"%([^%\s]+)%")
_DEFAULTS = {"FUNCTIONS_WORKER_RUNTIME": "python", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """What tests turn down. Every default is the value of the real host; the unit is seconds.

    Read from the ``devhost`` section of local.settings.json (``queue_lease_seconds``) or the environment
    (``DEVHOST_QUEUE_LEASE_SECONDS``), the environment winning.
    """

    queue_lease_seconds: float = 600.0
    renew_seconds: float = 0.0  # 0: half of the lease, as the real host
    blob_scan_seconds: float = 10.0
    drain_seconds: float = 30.0
    timer_lock_seconds: float = 60.0  # blob lease of a timer; the service takes 15..60
    blob_lock_seconds: float = 60.0  # blob lease of the blob scanner, likewise
    lock_retry_seconds: float = 60.0
    break_dead_locks: float = 0.0  # 1: take a lock at once when its holder was a process of this machine that is gone
    worker_start_seconds: float = 60.0
    max_body_bytes: float = 100 * 1024 * 1024
    eventgrid_polling: float = 0.0  # 1: the scanner also feeds functions whose source is EventGrid

    @property
    def renewal(self) -> float:
        """Seconds between two renewals of a message's lease."""
        return self.renew_seconds or self.queue_lease_seconds / 2

    @property
    def lease(self) -> int:
        """Seconds a received message is hidden; the service counts whole ones."""
        return max(1, round(self.queue_lease_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The app's settings. Names are looked up without regard to case, as .NET configuration does."""

    values: Mapping[str, str]
    knobs: Knobs

    def get(self, name: str) -> str | None:
        """The value of a setting, or None."""
        found = self.values.get(name)
        if found is not None:
            return found
        lowered = name.lower()
        return next((value for key, value in self.values.items() if key.lower() == lowered), None)

    def resolve(self, text: str, *, where: str) -> str:
        """Replace every ``%NAME%`` of a binding property.

        Raises:
            ConfigError: no such setting; the text names ``where`` it was used.
        """

        def replace(match: re.Match[str]) -> str:
            value = self.get(match[1])
            if value is None:
                raise ConfigError(f"{where}: %{match[1]}% is not a setting; add it to local.settings.json or export it")
            return value

        return _PERCENT.sub(replace, text)

    def flag(self, name: str) -> bool:
        """Whether a setting is true (``1`` or ``true``)."""
        return (self.get(name) or "").lower() in ("1", "true")

    @property
    def is_development(self) -> bool:
        """True when the environment is named Development (the local default)."""
        return (self.get("AZURE_FUNCTIONS_ENVIRONMENT") or "").lower() == "development"


def load_settings(path: Path, environment: Mapping[str, str]) -> Settings:
    """Read local.settings.json, which may be missing; a variable already in ``environment`` wins over the file.

    Raises:
        ConfigError: the file is not valid, or a knob is not a number.
    """
    document = _read(path)
    values = document.get("Values", {})
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: Values must be an object of names and texts")
    texts = {str(name): _text(path, name, value) for name, value in values.items()}
    merged = {**_DEFAULTS, **texts, **environment}
    return Settings(values=merged, knobs=_knobs(document.get("devhost", {}), environment, path))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must be a JSON object")
    if document.get("IsEncrypted"):
        raise ConfigError(f"{path}: encrypted settings cannot be read here; set IsEncrypted to false")
    return document


def _text(path: Path, name: Any, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ConfigError(f"{path}: Values.{name} must be a text")


def _knobs(section: Any, environment: Mapping[str, str], path: Path) -> Knobs:
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: devhost must be an object")
    known = {field.name for field in fields(Knobs)}
    if unknown := set(section) - known:
        raise ConfigError(f"{path}: unknown devhost knobs {sorted(unknown)}; known are {sorted(known)}")
    raw: dict[str, Any] = dict(section)
    raw.update((name, environment[key]) for name in known if (key := f"DEVHOST_{name.upper()}") in environment)
    numbers: dict[str, float] = {}
    for name, value in raw.items():
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError):
            raise ConfigError(f"devhost knob {name} must be a number, got {value!r}") from None
        if numbers[name] < 0:
            raise ConfigError(f"devhost knob {name} must not be negative, got {value!r}")
    return Knobs(**numbers)
