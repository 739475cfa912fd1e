"""The run token: what it says, and what is not taken for one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import msgspec
import pytest

from orchestrator.core.errors import Unauthorized
from orchestrator.core.run_token import RunToken, is_one, sign, verify

KEY = b"k" * 32
TOKEN = RunToken(run="r", step="train", position=3, attempt=2, owner="0123456789ab", expires_at=1000)


def _part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _forged(header: object, key: bytes = KEY) -> str:
    signed = f"{_part(header)}.{_part(msgspec.to_builtins(TOKEN))}"
    digest = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_what_is_signed_is_read_until_it_expires() -> None:
    text = sign(TOKEN, KEY)
    assert is_one(text)
    assert verify(text, KEY, now=999.9) == TOKEN
    with pytest.raises(Unauthorized, match="expired"):
        verify(text, KEY, now=1000)
    assert TOKEN.step_run_id == "r_train"


def test_it_is_a_json_web_token() -> None:
    header, payload, _ = sign(TOKEN, KEY).split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["exp"] == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        sign(TOKEN, b"another key" * 4),
        sign(TOKEN, KEY)[:-1],
        sign(TOKEN, KEY) + "x",
        sign(TOKEN, KEY) + "\udcff",
        sign(TOKEN, KEY).rpartition(".")[0] + ".",
        "".join(reversed(sign(TOKEN, KEY))),
        _forged({"alg": "none", "typ": "JWT"}),
        _forged({"typ": "JWT", "alg": "HS256"}),
        _forged({"alg": "HS256", "typ": "JWT", "kid": "../../key"}),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Unauthorized, match="not accepted"):
        verify(text, KEY, now=0)


def test_every_changed_character_is_noticed() -> None:
    text = sign(TOKEN, KEY)
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        changed = text[:at] + other + text[at + 1 :]
        # The last character of a sum of 32 bytes holds two bits that say nothing: another text, so it is refused too.
        with pytest.raises(Unauthorized):
            verify(changed, KEY, now=0)
