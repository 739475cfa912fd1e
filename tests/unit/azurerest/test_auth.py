"""Signatures and tokens."""

from __future__ import annotations

import threading

import pytest

from azurerest.account import Account
from azurerest.auth import Bearer, Credential, Draft, SharedAccessSignature, SharedKey, blob_text, table_text
from azurerest.errors import Invalid

KEY = "a2V5"  # "key"


def draft(service: str = "blob", **changes: object) -> Draft:
    whole: dict[str, object] = {
        "service": service,
        "account": "myaccount",
        "verb": "GET",
        "path": "/mycontainer",
        "query": (),
        "headers": {},
        "length": 0,
    }
    return Draft(**(whole | changes))  # type: ignore[arg-type]


def test_the_string_to_sign_of_the_reference() -> None:
    """The example under "Constructing the signature string" of the Shared Key reference."""
    headers = {"x-ms-version": "2015-02-21", "x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT"}
    query = (("timeout", "20"), ("restype", "container"), ("comp", "metadata"))
    assert blob_text(draft(query=query, headers=headers)) == (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    )


def test_the_string_to_sign_of_a_write() -> None:
    headers = {
        "content-type": "text/plain",
        "content-md5": "md5",
        "if-match": '"1"',
        "if-none-match": "*",
        "x-ms-z": "z",
        "x-ms-a": "a",
    }
    assert blob_text(draft(verb="PUT", path="/c/a%20b", headers=headers, length=11)) == (
        'PUT\n\n\n11\nmd5\ntext/plain\n\n\n"1"\n*\n\n\nx-ms-a:a\nx-ms-z:z\n/myaccount/c/a%20b'
    )


def test_the_string_to_sign_of_a_table() -> None:
    headers = {"content-type": "application/json", "x-ms-date": "Sun, 11 Oct 2009 19:52:39 GMT", "if-match": "*"}
    query = (("$filter", "a eq 1"), ("comp", "acl"))
    assert table_text(draft("table", path="/t()", query=query, headers=headers)) == (
        "GET\n\napplication/json\nSun, 11 Oct 2009 19:52:39 GMT\n/myaccount/t()?comp=acl"
    )


def test_hmac_sha256() -> None:
    """The well-known digest of this sentence under the key "key"."""
    signed = SharedKey(KEY).sign("The quick brown fox jumps over the lazy dog")
    assert signed == "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg="


def test_the_header_names_the_account() -> None:
    one = draft()
    assert SharedKey(KEY).authorize(one) == ""
    assert one.headers["authorization"] == f"SharedKey myaccount:{SharedKey(KEY).sign(blob_text(one_unsigned(one)))}"


def one_unsigned(one: Draft) -> Draft:
    return one._replace(headers={name: value for name, value in one.headers.items() if name != "authorization"})


@pytest.mark.parametrize("key", ["", "not base64!", "YQ"])
def test_a_bad_account_key(key: str) -> None:
    with pytest.raises(Invalid):
        SharedKey(key)


@pytest.mark.parametrize("query", ["", "sv=1", "sig=a b", "sig=a\r\nx: y"])
def test_a_bad_sas(query: str) -> None:
    with pytest.raises(Invalid):
        SharedAccessSignature(query)


def test_no_credential_shows_its_secret() -> None:
    bearer = Bearer(lambda: ("secret", 1e12))
    assert bearer.token() == "secret"
    secrets: list[Credential] = [SharedKey("c2VjcmV0"), SharedAccessSignature("sig=secret"), bearer]
    account = Account("account", "http://a", "http://a", "http://a", secrets[0])
    assert not any("secret" in repr(each) or "c2VjcmV0" in repr(each) for each in (*secrets, account))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_kept_until_five_minutes_before_its_end() -> None:
    clock = Clock()
    asked: list[float] = []

    def provide() -> tuple[str, float]:
        asked.append(clock.now)
        return f"token{len(asked)}", clock.now + 3600

    bearer = Bearer(provide, clock=clock)
    seen = []
    for now in (1000.0, 4299.0, 4301.0, 4302.0):
        clock.now = now
        one = draft()
        bearer.authorize(one)
        seen.append(one.headers["authorization"])
    assert seen == ["Bearer token1", "Bearer token1", "Bearer token2", "Bearer token2"]
    assert asked == [1000.0, 4301.0]


def test_a_failed_refresh_matters_only_when_the_token_has_ended() -> None:
    clock = Clock()
    answers: list[tuple[str, float] | None] = [("token1", 1000.0 + 3600), None, None, None]
    asked: list[float] = []

    def provide() -> tuple[str, float]:
        asked.append(clock.now)
        answer = answers.pop(0)
        if answer is None:
            raise ConnectionError("no identity service")
        return answer

    bearer = Bearer(provide, clock=clock)
    for now in (1000.0, 4400.0, 4401.0, 4420.0):
        clock.now = now
        assert bearer.token() == "token1"
    assert asked == [1000.0, 4400.0, 4420.0]
    clock.now = 4600.0
    with pytest.raises(ConnectionError):
        bearer.token()


def test_others_go_on_with_the_old_token_while_one_refreshes() -> None:
    clock = Clock()
    inside, go_on = threading.Event(), threading.Event()
    answers = [("token1", 4600.0), ("token2", 9000.0)]

    def provide() -> tuple[str, float]:
        if len(answers) == 1:
            inside.set()
            assert go_on.wait(5)
        return answers.pop(0)

    bearer = Bearer(provide, clock=clock)
    assert bearer.token() == "token1"
    clock.now = 4500.0
    refreshed: list[str] = []
    thread = threading.Thread(target=lambda: refreshed.append(bearer.token()))
    thread.start()
    assert inside.wait(5)
    assert bearer.token() == "token1"
    go_on.set()
    thread.join(5)
    assert (refreshed, bearer.token()) == (["token2"], "token2")
