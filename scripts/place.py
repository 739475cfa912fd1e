"""The files of one local service: token, key, settings, data and the note that tells clients where it is."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import secrets
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_APPEAR_SECONDS = 60.0
_LOOK_SECONDS = 0.05
# Locally nobody waits ten minutes for the message of a host that was killed.
_KNOBS = {"queue_lease_seconds": 60, "break_dead_locks": 1}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, made at first use, that only its owner can look into. Git ignores the usual one, .millstream."""

    folder: Path

    @property
    def service_file(self) -> Path:
        """Where clients find the service; there only while it runs."""
        return self.folder / "service.json"

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    @property
    def run_token_key_file(self) -> Path:
        return self.folder / "run-token-key"

    @property
    def secret_key_file(self) -> Path:
        return self.folder / "secret-key"

    @property
    def webhook_key_file(self) -> Path:
        return self.folder / "webhook-key"

    @property
    def settings_file(self) -> Path:
        return self.folder / "local.settings.json"

    @property
    def data(self) -> Path:
        """Azurite's folder: the storage account."""
        return self.folder / "azurite"

    def token(self) -> str:
        """The bearer token of this service, made at the first call and kept."""
        return self._kept(self.token_file.name)

    def _kept(self, name: str) -> str:
        """A secret in a file of this name, made at the first call."""
        self.prepare()
        file = self.folder / name
        if not file.exists():
            _write_private(file, secrets.token_urlsafe(32))
        return file.read_text().strip()

    def run_token_key(self) -> str:
        """What the service signs the tokens of steps with, made at the first call and kept."""
        return self._kept(self.run_token_key_file.name)

    def webhook_key(self) -> str:
        """What the secrets of webhooks are derived from, made at the first call and kept."""
        return self._kept(self.webhook_key_file.name)

    def secret_key(self) -> str:
        """What encrypts the secrets of registered datastores, made at the first call and kept."""
        self.prepare()
        if not self.secret_key_file.exists():
            _write_private(self.secret_key_file, base64.b64encode(secrets.token_bytes(32)).decode())
        return self.secret_key_file.read_text().strip()

    def prepare(self) -> None:
        """Make the folder, and keep others out: Azurite's files in it are as open as the umask says."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Hold this place for the length of the block. False: a running service holds it."""
        self.prepare()
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def write_settings(self, connection_string: str) -> None:
        """local.settings.json for the host. The service gets the token's digest, never the token."""
        values = {
            "AzureWebJobsStorage": connection_string,
            "MILLSTREAM_TOKEN_SHA256": hashlib.sha256(self.token().encode()).hexdigest(),
            "MILLSTREAM_RUN_TOKEN_KEY": self.run_token_key(),
            "MILLSTREAM_SECRET_KEYS": self.secret_key(),
            "MILLSTREAM_BLOB_EVENTS": "polling",
            "MILLSTREAM_BLOB_EVENTS_IN": "workspaceblobstore/incoming",
            "MILLSTREAM_EXECUTIONS": "local",
            "MILLSTREAM_CACHE_DIR": str(self.folder / "cache"),
            "MILLSTREAM_WEBHOOK_KEYS": self.webhook_key(),
            "MILLSTREAM_WEBHOOK_PRIVATE": "true",
        }
        document = {"IsEncrypted": False, "Values": values, "devhost": _KNOBS}
        _write_private(self.settings_file, json.dumps(document, indent=2))

    def settings(self) -> dict[str, str]:
        """The values that write_settings wrote."""
        values: dict[str, str] = json.loads(self.settings_file.read_text())["Values"]
        return values

    def announce(self, url: str) -> None:
        """Tell clients below the clone where the service is."""
        _write_private(self.service_file, json.dumps({"url": url, "token_file": str(self.token_file.absolute())}))

    def find_running(self) -> str | None:
        """The URL of the service that holds this place, once it answers; None when it does not within a minute."""
        deadline = time.monotonic() + _APPEAR_SECONDS
        while time.monotonic() < deadline:
            if self.service_file.is_file():
                url: str = json.loads(self.service_file.read_text())["url"]
                if answers(url):
                    return url
            time.sleep(_LOOK_SECONDS)
        return None


def answers(url: str) -> bool:
    """Whether a service says at `url` that it is well."""
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=10) as response:  # noqa: S310 - always http://127.0.0.1
            return bool(response.status == 200)
    except OSError:
        return False


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, for the owner's eyes."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    partial.replace(path)
