"""Settings: read once, strictly; secrets stay secret."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest

from orchestrator.core.secret import Secret
from orchestrator.setting_document import described, reference
from orchestrator.setting_types import InvalidSetting
from orchestrator.settings import Settings, read

ROOT = Path(__file__).parents[3]
LEAST = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
DIGEST = hashlib.sha256(b"token").hexdigest()


def test_the_connection_is_all_that_is_needed() -> None:
    settings = read(LEAST)
    assert settings.storage.reveal() == "UseDevelopmentStorage=true"
    assert settings.queue == "millstream-steps"
    assert settings.default_datastore == "workspaceblobstore"
    assert settings.token_digests == ()


def test_an_empty_value_counts_as_not_given() -> None:
    assert read({**LEAST, "MILLSTREAM_QUEUE": ""}).queue == "millstream-steps"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("MILLSTREAM_CLAIM_TTL_SECONDS", "120.5", "claim_ttl", 120.5),
        ("MILLSTREAM_BODY_BYTES", "2048", "body_bytes", 2048),
        ("MILLSTREAM_FORK_SERVER", "False", "fork_server", False),
        ("MILLSTREAM_KEEP_WORK_DIRS", "1", "keep_work_dirs", True),
        ("MILLSTREAM_QUEUE", "my-steps", "queue", "my-steps"),
        ("MILLSTREAM_PUBLIC_URL", "https://host.example/base/", "public_url", "https://host.example/base"),
        ("MILLSTREAM_DATASTORES", '{"main": "data"}', "datastores", {"main": "data"}),
        ("MILLSTREAM_CACHE_DIR", "cache", "cache_dir", Path("cache")),
        ("MILLSTREAM_TOKEN_SHA256", f"{DIGEST.upper()}, {DIGEST}", "token_sha256", (DIGEST, DIGEST)),
    ],
)
def test_values_are_parsed(variable: str, text: str, name: str, value: object) -> None:
    assert getattr(read({**LEAST, variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MILLSTREAM_CLAIM_TTL_SECONDS", "soon"),
        ("MILLSTREAM_CLAIM_TTL_SECONDS", "0"),
        ("MILLSTREAM_CLAIM_TTL_SECONDS", "nan"),
        ("MILLSTREAM_CLAIM_TTL_SECONDS", "-5"),
        ("MILLSTREAM_BODY_BYTES", "1e6"),
        ("MILLSTREAM_BODY_BYTES", "0"),
        ("MILLSTREAM_FORK_SERVER", "maybe"),
        ("MILLSTREAM_QUEUE", "Capital"),
        ("MILLSTREAM_QUEUE", "a" * 57),
        ("MILLSTREAM_QUEUE", "two--hyphens"),
        ("MILLSTREAM_PUBLIC_URL", "ftp://host"),
        ("MILLSTREAM_PUBLIC_URL", "https://host/?code=1"),
        ("MILLSTREAM_DATASTORES", "{"),
        ("MILLSTREAM_DATASTORES", "[]"),
        ("MILLSTREAM_DATASTORES", "{}"),
        ("MILLSTREAM_DATASTORES", '{"a": 1}'),
        ("MILLSTREAM_DATASTORES", '{"a": "Not A Container"}'),
        ("MILLSTREAM_DATASTORES", '{"a/b": "data"}'),
        ("MILLSTREAM_TOKEN_SHA256", "abc"),
        ("MILLSTREAM_TOKEN_SHA256", ","),
        ("MILLSTREAM_TOKEN", "   "),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named(variable: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=variable) as caught:
        read({**LEAST, variable: text})
    assert caught.value.field == variable


def test_a_missing_setting_stops_the_start() -> None:
    with pytest.raises(InvalidSetting, match="are both missing"):
        read({})


def test_the_account_is_named_in_one_way() -> None:
    assert read({"AzureWebJobsStorage__accountName": "ours"}).storage_account == "ours"
    with pytest.raises(InvalidSetting, match="are both set"):
        read({**LEAST, "AzureWebJobsStorage__accountName": "ours"})


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("MILLSTREAM_QUEUES", "MILLSTREAM_QUEUE"),
        ("MILLSTREAM_CLAIM_TTL", "MILLSTREAM_CLAIM_TTL_SECONDS"),
        ("MILLSTREAM_BODY", "MILLSTREAM_BODY_BYTES"),
        ("MILLSTREAM_TOKEN_SHA_256", "MILLSTREAM_TOKEN_SHA256"),
    ],
)
def test_a_slip_of_the_pen_is_caught(slip: str, meant: str) -> None:
    with pytest.raises(InvalidSetting, match=f"Did you mean {meant}"):
        read({**LEAST, slip: "5"})


@pytest.mark.parametrize("name", ["MILLSTREAM_SPOOL", "MILLSTREAM_STEP_INFO", "MILLSTREAM_AZURITE_JS", "PATH"])
def test_names_of_other_parts_are_left_alone(name: str) -> None:
    assert read({**LEAST, name: "x"}) == read(LEAST)


def test_a_heartbeat_must_be_faster_than_a_claim_lasts() -> None:
    with pytest.raises(InvalidSetting, match="MILLSTREAM_HEARTBEAT_SECONDS"):
        read({**LEAST, "MILLSTREAM_CLAIM_TTL_SECONDS": "10"})


def test_tokens_are_known_by_their_sums() -> None:
    settings = read({**LEAST, "MILLSTREAM_TOKEN": "token", "MILLSTREAM_TOKEN_SHA256": "00" * 32})
    assert settings.token_digests == (bytes(32), bytes.fromhex(DIGEST))


def test_no_secret_is_shown() -> None:
    settings = read({"AzureWebJobsStorage": "AccountKey=hush", "MILLSTREAM_TOKEN": "hush"})
    assert "hush" not in f"{settings} {settings!r}"
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hush"))


def test_a_wrong_secret_is_not_quoted() -> None:
    with pytest.raises(InvalidSetting) as caught:
        read({**LEAST, "MILLSTREAM_TOKEN_SHA256": "hush"})
    assert "hush" not in str(caught.value)


def test_every_setting_is_described() -> None:
    names = [setting.variable for setting in described()]
    assert len(names) == len(set(names)) == len(dataclasses.fields(Settings))
    assert all(setting.meaning.endswith(".") for setting in described())


def test_the_document_is_fresh() -> None:
    path = ROOT / "docs" / "settings.md"
    if os.environ.get("MILLSTREAM_RENEW_DOCS"):
        path.write_text(reference())
    assert path.read_text() == reference(), "renew it with MILLSTREAM_RENEW_DOCS=1"


def test_host_json_agrees_with_the_defaults() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    hours, minutes, seconds = (int(part) for part in host["functionTimeout"].split(":"))
    assert hours * 3600 + minutes * 60 + seconds == read(LEAST).function_timeout


def test_only_function_app_reads_the_environment() -> None:
    sources = {path: ast.parse(path.read_text()) for path in (ROOT / "orchestrator").rglob("*.py")}
    readers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
    ]
    assert sources
    assert readers == []


def test_where_blobs_are_told_of() -> None:
    stores = {"MILLSTREAM_DATASTORES": '{"a": "aaa", "b": "bbb"}'}
    assert read({**LEAST, **stores}).blob_event_places == ()
    polling = {**LEAST, **stores, "MILLSTREAM_BLOB_EVENTS": "polling"}
    assert read(polling).blob_event_places == (("aaa", ""), ("bbb", ""))
    some = read({**polling, "MILLSTREAM_BLOB_EVENTS_IN": "b/in/x/, a ,b/in/x"})
    assert some.blob_event_places == (("aaa", ""), ("bbb", "in/x"))


@pytest.mark.parametrize("value", ["c", "a/{name}", "a/../b", "/"])
def test_places_of_blob_events_must_exist(value: str) -> None:
    with pytest.raises(InvalidSetting) as wrong:
        read({**LEAST, "MILLSTREAM_DATASTORES": '{"a": "aaa"}', "MILLSTREAM_BLOB_EVENTS_IN": value})
    assert wrong.value.field == "MILLSTREAM_BLOB_EVENTS_IN"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, ""),
        ({"WEBSITE_HOSTNAME": "app.azurewebsites.net"}, "https://app.azurewebsites.net"),
        ({"WEBSITE_HOSTNAME": "127.0.0.1:7071"}, "http://127.0.0.1:7071"),
        ({"WEBSITE_HOSTNAME": "localhost:7071"}, "http://localhost:7071"),
        ({"WEBSITE_HOSTNAME": "[::1]:7071"}, "http://[::1]:7071"),
        ({"WEBSITE_HOSTNAME": "x", "MILLSTREAM_PUBLIC_URL": "https://m.example/"}, "https://m.example"),
        ({"WEBSITE_HOSTNAME": "x", "MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS": "Reader"}, "https://x/api/in-step"),
        ({"MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS": "Reader"}, ""),
    ],
)
def test_where_steps_reach_the_service(given: dict[str, str], url: str) -> None:
    assert read({**LEAST, **given}).service_url == url


def test_a_signing_key_is_long_and_not_shown() -> None:
    key = "hush" * 8
    settings = read({**LEAST, "MILLSTREAM_RUN_TOKEN_KEY": key})
    assert settings.run_token_key.reveal() == key
    assert "hush" not in f"{settings} {settings!r}"
    with pytest.raises(InvalidSetting, match="32 characters") as caught:
        read({**LEAST, "MILLSTREAM_RUN_TOKEN_KEY": "hush" * 7})
    assert "hush" not in str(caught.value)


def test_variables_of_the_client_are_no_slips() -> None:
    """A machine may have both."""
    given = {
        "MILLSTREAM_FUNCTIONS_KEY": "x",
        "MILLSTREAM_ENDPOINT": "https://m.example",
        "MILLSTREAM_PASSWORD_LAKE": "x",
    }
    assert read({**LEAST, **given}) == read(LEAST)
