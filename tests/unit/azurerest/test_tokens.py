"""Tokens of identities, against a stand-in for what gives them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from azurerest.errors import Forbidden, Invalid, StorageError, Unreachable
from azurerest.tokens import managed_identity, service_principal
from tests.identity import CLIENT, SECRET, TENANT, Identity, running_identity


@pytest.fixture
def identity() -> Iterator[Identity]:
    with running_identity() as identity:
        yield identity


def test_an_app_has_an_identity(identity: Identity) -> None:
    provide = managed_identity(identity.variables)
    assert provide is not None
    token, expires = provide()
    assert token.count(".") == 2
    assert 3500 < expires - time.time() <= 3600


@pytest.mark.parametrize("missing", ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"])
def test_an_app_has_none(identity: Identity, missing: str) -> None:
    assert managed_identity({**identity.variables, missing: ""}) is None


def test_a_service_principal_has_a_secret(identity: Identity) -> None:
    token, expires = service_principal(TENANT, CLIENT, SECRET, authority=identity.url)()
    assert token.count(".") == 2
    assert 3500 < expires - time.time() <= 3600


def test_a_wrong_secret_is_refused_and_not_told(identity: Identity) -> None:
    with pytest.raises(Forbidden, match="status 401 invalid_client") as refused:
        service_principal(TENANT, CLIENT, "wrong~secret", authority=identity.url)()
    assert "wrong~secret" in identity.asked[0]
    fault: BaseException | None = refused.value
    while fault is not None:
        assert "wrong~secret" not in repr(fault) + str(fault)
        fault = fault.__cause__


def test_a_secret_does_not_travel_in_the_open() -> None:
    with pytest.raises(Invalid, match="plain HTTP"):
        service_principal(TENANT, CLIENT, SECRET, authority="http://login.example")


def test_nobody_there_is_said() -> None:
    with pytest.raises(Unreachable):
        service_principal(TENANT, CLIENT, SECRET, authority="http://127.0.0.1:9")()


def test_what_is_no_answer_is_said(identity: Identity) -> None:
    variables = {**identity.variables, "IDENTITY_ENDPOINT": f"{identity.url}/nowhere"}
    provide = managed_identity(variables)
    assert provide is not None
    with pytest.raises(StorageError, match="The app's identity got no token"):
        provide()
