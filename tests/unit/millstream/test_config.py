"""Finding the service and the token, and saying what to do when they are not to be found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from millstream import (
    ConfigurationError,
    FunctionsKeyAuthentication,
    InteractiveLoginAuthentication,
    TokenAuthentication,
    Workspace,
)
from millstream.authentication import Authentication
from millstream.config import Found, checked, find_config, find_endpoint, find_local_service, find_token, read_token

NAMES = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with no configuration above it, and no variables."""
    monkeypatch.chdir(tmp_path)
    for name in ("MILLSTREAM_ENDPOINT", "MILLSTREAM_TOKEN", "MILLSTREAM_ALLOW_PLAIN_HTTP"):
        monkeypatch.delenv(name, raising=False)


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def token_file(path: Path, token: str = "t0ken", mode: int = 0o600) -> Path:
    write(path, token)
    path.chmod(mode)
    return path


def local_service(place: Path, url: str = "http://127.0.0.1:7071") -> None:
    token_file(place / ".millstream" / "token", "local-token")
    write(place / ".millstream" / "service.json", {"url": url, "token_file": str(place / ".millstream" / "token")})


@pytest.mark.parametrize("place", [".azureml/config.json", "aml_config/config.json", "config.json", "project.json"])
def test_a_config_is_found_in_v1s_places_from_a_folder_below(tmp_path: Path, place: str) -> None:
    write(tmp_path / place, {**NAMES, "endpoint": "https://m.example/"})
    below = tmp_path / "notebooks" / "deep"
    below.mkdir(parents=True)
    assert find_config(below) == Found(**NAMES, url="https://m.example/")
    assert find_endpoint(find_config(below), {}) == "https://m.example"


def test_the_nearest_config_counts_and_others_that_mean_something_else_do_not(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {**NAMES, "workspace_name": "far"})
    near = tmp_path / "near"
    write(near / "config.json", {"compilerOptions": {}})
    write(near / "aml_config" / "config.json", "not json")
    found = find_config(near)
    assert found is not None
    assert found.workspace_name == "far"


def test_a_named_file_must_be_a_config(tmp_path: Path) -> None:
    good = write(tmp_path / "my.json", NAMES)
    assert find_config(good) == Found(**NAMES)
    assert find_config(tmp_path, "my.json") == Found(**NAMES)
    with pytest.raises(ConfigurationError, match="names no workspace_name"):
        find_config(write(tmp_path / "bad.json", {}))


def test_the_endpoint_comes_from_variable_config_and_local_service_in_this_order(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"scripts/up.*MILLSTREAM_ENDPOINT.*endpoint"):
        find_endpoint(None, {})
    local_service(tmp_path)
    assert find_endpoint(None, {}) == "http://127.0.0.1:7071"
    config = Found(**NAMES, url="https://c.example/api")
    assert find_endpoint(config, {}) == "https://c.example"
    assert find_endpoint(config, {"MILLSTREAM_ENDPOINT": "https://e.example"}) == "https://e.example"


def test_the_token_of_one_service_is_not_sent_to_another(tmp_path: Path) -> None:
    local_service(tmp_path)
    assert find_token("http://127.0.0.1:7071", None, {}) == "local-token"
    with pytest.raises(ConfigurationError, match=r"No token is known for https://m\.example"):
        find_token("https://m.example", None, {})
    assert find_token("https://m.example", None, {"MILLSTREAM_TOKEN": " given "}) == "given"


def test_a_config_may_name_a_token_file_beside_its_endpoint(tmp_path: Path) -> None:
    token_file(tmp_path / ".azureml" / "secret")
    write(tmp_path / ".azureml" / "config.json", {**NAMES, "endpoint": "https://m.example", "token_file": "secret"})
    config = find_config()
    assert find_token("https://m.example", config, {}) == "t0ken"
    with pytest.raises(ConfigurationError, match="No token is known"):
        find_token("https://other.example", config, {})


def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_token(token_file(tmp_path / "t", mode=0o644))
    with pytest.raises(ConfigurationError, match="is empty"):
        read_token(token_file(tmp_path / "e", " \n"))
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize("url", ["http://m.example", "ftp://m.example", "m.example", ""])
def test_a_url_that_would_show_the_token_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        checked(url, {})


def test_plain_http_can_be_allowed_and_is_for_this_machine() -> None:
    assert checked("http://m.example/", {"MILLSTREAM_ALLOW_PLAIN_HTTP": "1"}) == "http://m.example"
    assert checked("http://localhost:7071/api", {}) == "http://localhost:7071"
    assert checked("http://[::1]:7071", {}) == "http://[::1]:7071"


def test_a_broken_service_file_says_so(tmp_path: Path) -> None:
    write(tmp_path / ".millstream" / "service.json", "{")
    with pytest.raises(ConfigurationError, match=r"service\.json cannot be read.*scripts/up"):
        find_local_service()


def test_from_config_uses_the_local_service_or_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No Millstream service is known"):
        Workspace.from_config()
    with pytest.raises(ConfigurationError, match=r"no config\.json at"):
        Workspace.from_config(tmp_path)
    local_service(tmp_path)
    workspace = Workspace.from_config()
    assert workspace.url == "http://127.0.0.1:7071"
    assert workspace.authentication.get_authentication_header() == {"Authorization": "Bearer local-token"}


def test_from_config_says_at_once_that_the_token_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {**NAMES, "endpoint": "https://m.example"})
    with pytest.raises(ConfigurationError, match="No token is known"):
        Workspace.from_config()
    workspace = Workspace.from_config(auth=TokenAuthentication("mine"))
    assert (workspace.name, workspace.resource_group, workspace.subscription_id) == ("w", "g", "s")
    assert workspace.authentication.get_token() == "mine"


def test_write_config_and_from_config_fit_together_and_hold_no_token(tmp_path: Path) -> None:
    Workspace("s", "g", "w", url="https://m.example", token="secret").write_config()
    written = tmp_path / ".azureml" / "config.json"
    assert json.loads(written.read_text()) == {**NAMES, "endpoint": "https://m.example"}
    assert Workspace.from_config(auth=TokenAuthentication("x")).url == "https://m.example"


def test_authentication_objects_give_headers_and_show_no_token(tmp_path: Path) -> None:
    assert TokenAuthentication(lambda audience: f"for-{audience}").get_authentication_header() == {
        "Authorization": "Bearer for-millstream"
    }
    assert "secret" not in repr(TokenAuthentication("secret"))
    assert "secret" not in repr(Workspace(url="https://m.example", token="secret"))
    with pytest.raises(ConfigurationError, match="empty token"):
        TokenAuthentication("").get_authentication_header()
    local_service(tmp_path)
    login = InteractiveLoginAuthentication(force=False, tenant_id="t")
    assert login.get_authentication_header() == {"Authorization": "Bearer local-token"}


def test_unknown_arguments_are_refused_and_v1s_private_ones_are_not() -> None:
    with pytest.raises(TypeError, match='Did you mean "workspace_name"'):
        Workspace(workspace_nam="w")
    Workspace("s", "g", "w", _location="here", url="https://m.example")
    with pytest.raises(TypeError, match=r"Workspace\.get\(\) has no argument 'nam'"):
        Workspace.get("w", nam="x")


def test_in_a_step_the_run_token_is_for_its_own_service_and_comes_first(tmp_path: Path) -> None:
    local_service(tmp_path)
    here = {"MILLSTREAM_ENDPOINT": "http://127.0.0.1:7071", "AZUREML_RUN_TOKEN": "run-token"}
    assert find_token("http://127.0.0.1:7071/", None, here) == "run-token"
    with pytest.raises(ConfigurationError, match="No token is known"):
        find_token("https://other.example", None, here)
    elsewhere = {**here, "MILLSTREAM_ENDPOINT": "https://m.example"}
    assert find_token("http://127.0.0.1:7071", None, elsewhere) == "local-token"


def test_a_key_of_the_functions_app_is_sent_beside_a_token_or_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLSTREAM_FUNCTIONS_KEY", "a-key")
    monkeypatch.setenv("MILLSTREAM_ENDPOINT", "https://m.example")
    write(tmp_path / "config.json", NAMES)
    found = Workspace.from_config().authentication
    assert found.get_authentication_header() == {"x-functions-key": "a-key"}
    with pytest.raises(ConfigurationError, match="No token is known"):
        found.get_token()
    monkeypatch.setenv("MILLSTREAM_TOKEN", "mine")
    both = {"x-functions-key": "a-key", "Authorization": "Bearer mine"}
    assert Workspace.from_config().authentication.get_authentication_header() == both
    monkeypatch.setenv("AZUREML_RUN_TOKEN", "of-the-run")
    in_step = Workspace.from_config().authentication.get_authentication_header()
    assert in_step == {"Authorization": "Bearer of-the-run"}, "a script goes by its run token alone"


def test_a_key_that_is_given_shows_nowhere() -> None:
    key = FunctionsKeyAuthentication("a-key")
    assert key.get_authentication_header() == {"x-functions-key": "a-key"}
    assert "a-key" not in repr(key)
    with pytest.raises(ConfigurationError, match="no bearer token"):
        key.get_token()
    with pytest.raises(ConfigurationError, match="empty key"):
        FunctionsKeyAuthentication("")
    both = FunctionsKeyAuthentication("a-key", also=TokenAuthentication("mine"))
    assert both.get_authentication_header() == {"x-functions-key": "a-key", "Authorization": "Bearer mine"}


def test_an_authentication_must_say_how_it_gets_a_token() -> None:
    with pytest.raises(TypeError, match="get_token"):
        Authentication()  # type: ignore[abstract]
