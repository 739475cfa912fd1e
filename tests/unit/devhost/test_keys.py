"""Access keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from devhost.errors import ConfigError
from devhost.keys import Keys, load_keys

KEYS = Keys(master="m", host="h", system="s", functions={"f": "ff", "g": "gg"})


@pytest.mark.parametrize(
    ("level", "opened_by"),
    [("anonymous", {"m", "h", "ff", "gg", "s", ""}), ("function", {"m", "h", "ff"}), ("admin", {"m"})],
)
def test_which_keys_open_a_function(level: str, opened_by: set[str]) -> None:
    assert {key for key in ("m", "h", "ff", "gg", "s", "") if KEYS.opens(level, "f", key)} == opened_by


def test_an_unknown_level_stays_shut() -> None:
    assert not KEYS.opens("system", "f", "h")


def test_which_keys_open_the_webhook() -> None:
    assert [key for key in ("m", "h", "ff", "s", "") if KEYS.opens_webhook(key)] == ["m", "s"]


def test_the_file_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keys.json"
    first = load_keys(path, ["f"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert len({first.master, first.host, first.system, first.functions["f"]}) == 4
    written = path.stat().st_mtime_ns
    assert load_keys(path, ["f"]) == first
    assert path.stat().st_mtime_ns == written
    more = load_keys(path, ["f", "g"])
    assert (more.master, more.functions["f"]) == (first.master, first.functions["f"])
    assert more.functions["g"] not in ("", more.functions["f"])


@pytest.mark.parametrize("text", ["[", "[]", '{"functions": 1}'])
def test_a_file_of_something_else(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a key file"):
        load_keys(path, [])
    assert path.read_text() == text
