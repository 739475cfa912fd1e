"""The Key Vault over its real protocol: a stand-in on real HTTPS, to which Microsoft's client is held as well."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from orchestrator.adapters.key_vault import KeyVault, NameTaken, resource_of
from orchestrator.core.errors import InvalidRequest, Unavailable
from tests.key_vault_standin import RESOURCE, Refusal, StandIn, running_vault
from tests.secure_azurite import token

TAGS = {"owner": "lake"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running_vault(tmp_path_factory.mktemp("vault")) as vault:
        yield vault


@pytest.fixture
def standin(running: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """As new."""
    monkeypatch.setenv("SSL_CERT_FILE", running.ca_file)
    running.secrets.clear()
    running.deleted.clear()
    running.faults.clear()
    running.rights = {"get", "set", "delete", "list"}
    assert running.server is not None
    running.server.asked.clear()
    return running


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def vault(standin: StandIn, waits: list[float]) -> KeyVault:
    return KeyVault(standin.url, lambda: token(resource=RESOURCE), sleep=waits.append)


class Identity:
    """What Microsoft's client takes a token from."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        assert scopes == (f"{RESOURCE}/.default",), "it is what the challenge asks for"
        text, expires = token(resource=RESOURCE)
        return AccessToken(text, int(expires))


def test_a_secret_has_versions_of_which_each_is_read(vault: KeyVault) -> None:
    first, second = vault.set("lake", "one", TAGS), vault.set("lake", "two", TAGS)
    assert (vault.get("lake", first), vault.get("lake", second)) == ("one", "two")
    assert vault.get("lake", "0" * 32) is None
    assert vault.get("pond", first) is None


def test_a_deleted_secret_is_gone_and_its_name_taken(vault: KeyVault) -> None:
    version = vault.set("lake", "one", TAGS)
    vault.delete("lake")
    vault.delete("lake")
    assert vault.get("lake", version) is None
    with pytest.raises(NameTaken):
        vault.set("lake", "again", TAGS)


def test_they_are_listed_over_pages(vault: KeyVault, standin: StandIn) -> None:
    names = [f"s-{number:02}" for number in range(60)]
    for name in names:
        vault.set(name, "x", TAGS)
    found = list(vault.listed())
    assert [item.name for item in found] == names
    assert all(item.tags == TAGS and 0 <= item.age < 60 for item in found)
    assert standin.calls().count("GET /secrets") == 3


def test_microsofts_client_reads_what_was_written_and_writes_what_is_read(vault: KeyVault, standin: StandIn) -> None:
    with SecretClient(
        standin.url, Identity(), verify_challenge_resource=False, connection_verify=standin.ca_file
    ) as client:
        version = vault.set("lake", "pa55-wörd", TAGS)
        read = client.get_secret("lake", version)
        assert (read.value, read.properties.tags, read.properties.version) == ("pa55-wörd", TAGS, version)
        made = client.set_secret("pond", "deep", tags=TAGS)
        assert made.properties.version is not None
        assert vault.get("pond", made.properties.version) == "deep"
        assert [item.name for item in client.list_properties_of_secrets()] == ["lake", "pond"]
        vault.delete("lake")
        with pytest.raises(ResourceNotFoundError):
            client.get_secret("lake")
        assert client.get_deleted_secret("lake").name == "lake"
    assert standin.server is not None
    assert "authorization" not in standin.server.asked[1].headers, "it asks without a token, and is challenged"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_vault_that_is_busy_is_asked_again(
    vault: KeyVault, standin: StandIn, waits: list[float], status: int
) -> None:
    standin.faults += [Refusal(status, "Throttled"), Refusal(status, "Throttled", Retry_After="3")]
    version = vault.set("lake", "one", TAGS)
    assert vault.get("lake", version) == "one"
    assert 0.25 <= waits[0] <= 0.5
    assert waits[1:] == [3.0]


def test_a_vault_that_stays_busy_is_given_up(vault: KeyVault, standin: StandIn, waits: list[float]) -> None:
    standin.faults += [Refusal(429, "Throttled", Retry_After="3600")] * 4
    with pytest.raises(Unavailable, match="answered 429, 4 times"):
        vault.get("lake", "0" * 32)
    assert waits == [8.0] * 3, "nobody waits for an hour"


def test_an_answer_that_is_lost_makes_a_second_version(vault: KeyVault, standin: StandIn) -> None:
    standin.faults.append(None)
    version = vault.set("lake", "one", TAGS)
    assert vault.get("lake", version) == "one"
    assert len(standin.secrets["lake"]) == 2
    standin.faults.append(None)
    vault.delete("lake")
    assert standin.secrets == {}


def test_a_right_that_is_missing_names_the_role(vault: KeyVault, standin: StandIn) -> None:
    version = vault.set("lake", "hidden", TAGS)
    standin.rights.clear()
    with pytest.raises(Unavailable, match=r"ForbiddenByRbac.*'Key Vault Secrets User'"):
        vault.get("lake", version)
    for change in (lambda: vault.set("lake", "hidden", TAGS), lambda: vault.delete("lake")):
        with pytest.raises(Unavailable, match=r"'Key Vault Secrets Officer'") as raised:
            change()
        assert "hidden" not in str(raised.value)
    standin.faults.append(Refusal(403, "Forbidden", "ForbiddenByFirewall"))
    with pytest.raises(Unavailable, match="this network"):
        vault.get("lake", version)


def test_a_disabled_version_is_as_good_as_gone(vault: KeyVault, standin: StandIn) -> None:
    version = vault.set("lake", "one", TAGS)
    standin.secrets["lake"][0].enabled = False
    assert vault.get("lake", version) is None


def test_a_token_is_kept_and_renewed_when_it_is_refused(standin: StandIn) -> None:
    given = [token(resource="https://storage.azure.com"), token(resource=RESOURCE)]
    vault = KeyVault(standin.url, lambda: given.pop(0))
    version = vault.set("lake", "one", TAGS)
    assert vault.get("lake", version) == "one", "there is no third token"
    stranger = KeyVault(standin.url, lambda: token(resource="https://storage.azure.com"))
    with pytest.raises(Unavailable, match="does not accept the token"):
        stranger.get("lake", version)


def test_without_an_identity_or_an_answer_it_is_said(standin: StandIn, waits: list[float]) -> None:
    with pytest.raises(Unavailable, match="no identity"):
        KeyVault(standin.url, None).get("lake", "0" * 32)
    gone = KeyVault("https://127.0.0.1:9", lambda: token(resource=RESOURCE), sleep=waits.append)
    with pytest.raises(Unavailable, match="did not answer, 4 times"):
        gone.get("lake", "0" * 32)


def test_one_that_nobody_vouches_for_gets_no_token(
    standin: StandIn, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ssl.get_default_verify_paths().openssl_cafile)
    with pytest.raises(Unavailable, match="did not answer"):
        KeyVault(standin.url, lambda: token(resource=RESOURCE), sleep=waits.append).get("lake", "0" * 32)
    assert standin.calls() == []


def test_a_redirect_is_not_followed(standin: StandIn, vault: KeyVault) -> None:
    standin.faults.append(Refusal(302, "Moved", Location=f"{standin.url}/secrets/elsewhere?api-version=7.4"))
    with pytest.raises(Unavailable, match="answered 302"):
        vault.get("lake", "0" * 32)
    assert standin.calls() == ["GET /secrets/lake/" + "0" * 32]


def test_what_is_too_long_is_not_sent(vault: KeyVault, standin: StandIn) -> None:
    with pytest.raises(InvalidRequest, match="25,600 bytes"):
        vault.set("lake", "ö" * 12_801, TAGS)
    assert standin.calls() == []


@pytest.mark.parametrize(
    ("url", "resource"),
    [
        ("https://kv-x.vault.azure.net", "https://vault.azure.net"),
        ("https://kv-x.vault.usgovcloudapi.net/", "https://vault.usgovcloudapi.net"),
        ("https://kv-x.vault.azure.cn", "https://vault.azure.cn"),
        ("https://127.0.0.1:8443", "https://vault.azure.net"),
    ],
)
def test_the_token_is_for_the_vaults_of_the_cloud(url: str, resource: str) -> None:
    assert resource_of(url) == resource
