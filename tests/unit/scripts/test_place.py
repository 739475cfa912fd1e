"""The files of a local service."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from scripts.place import Place


def test_secrets_are_made_once_and_for_the_owners_eyes(tmp_path: Path) -> None:
    place = Place(tmp_path / "state")
    made = (place.token(), place.run_token_key(), place.webhook_key(), place.secret_key())
    assert len(set(made)) == len(made)
    assert min(len(secret) for secret in made) >= 32
    again = Place(tmp_path / "state")
    assert (again.token(), again.run_token_key(), again.webhook_key(), again.secret_key()) == made
    for file in (place.token_file, place.run_token_key_file, place.webhook_key_file, place.secret_key_file):
        assert file.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(place.secret_key(), validate=True)) == 32
    assert place.folder.stat().st_mode & 0o777 == 0o700


def test_the_service_gets_the_keys_and_of_the_token_only_its_sum(tmp_path: Path) -> None:
    place = Place(tmp_path / "state")
    place.write_settings("UseDevelopmentStorage=true")
    values = json.loads(place.settings_file.read_text())["Values"]
    assert values["MILLSTREAM_RUN_TOKEN_KEY"] == place.run_token_key()
    assert values["MILLSTREAM_SECRET_KEYS"] == place.secret_key()
    assert place.token() not in place.settings_file.read_text()
