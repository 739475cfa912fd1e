"""What a local service keeps for itself."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

from scripts.place import Place


def test_the_key_of_secrets_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    place = Place(tmp_path / "state")
    key = place.secret_key()
    assert len(base64.b64decode(key, validate=True)) == 32
    assert Place(tmp_path / "state").secret_key() == key
    assert stat.S_IMODE(place.secret_key_file.stat().st_mode) == 0o600
    place.write_settings("UseDevelopmentStorage=true")
    assert place.settings()["MILLSTREAM_SECRET_KEYS"] == key
    assert stat.S_IMODE(place.settings_file.stat().st_mode) == 0o600
