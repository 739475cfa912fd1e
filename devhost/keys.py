"""The access keys of the HTTP side, kept in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path

from devhost.errors import ConfigError

BLOBS_EXTENSION = "blobs_extension"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """``master`` opens everything, ``host`` every function, ``functions`` one each, ``system`` the webhooks."""

    master: str
    host: str
    system: str
    functions: dict[str, str]

    def is_master(self, key: str) -> bool:
        """Whether ``key`` is the master key."""
        return _same(key, self.master)

    def opens_webhook(self, key: str) -> bool:
        """Whether ``key`` opens the blob webhook."""
        return _same(key, self.system) or self.is_master(key)

    def opens(self, level: str, function: str, key: str) -> bool:
        """Whether ``key`` opens a function of auth level ``anonymous``, ``function`` or ``admin``."""
        if level == "anonymous" or self.is_master(key):
            return True
        if level != "function":
            return False
        own = self.functions.get(function, "")
        return _same(key, self.host) or (bool(own) and _same(key, own))


def _same(given: str, known: str) -> bool:
    return compare_digest(given.encode(), known.encode())


def load_keys(path: Path, functions: Iterable[str]) -> Keys:
    """Read the key file, adding what is missing; the file is created with mode 0600.

    Raises:
        ConfigError: the file exists and is not one of ours.
    """
    stored = _read(path)
    own = stored.get("functions", {})
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: not a key file; delete it to get new keys")
    keys = Keys(
        master=str(stored.get("master") or _new()),
        host=str(stored.get("host") or _new()),
        system=str(stored.get(BLOBS_EXTENSION) or _new()),
        functions={**own, **{name: _new() for name in functions if name not in own}},
    )
    document = {"master": keys.master, "host": keys.host, BLOBS_EXTENSION: keys.system, "functions": keys.functions}
    if document != stored:
        write_private(path, json.dumps(document, indent=2))
    return keys


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    draft.replace(path)


def _read(path: Path) -> dict[str, object]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise ConfigError(f"{path}: not a key file; delete it to get new keys")
    return stored


def _new() -> str:
    return secrets.token_urlsafe(40)
