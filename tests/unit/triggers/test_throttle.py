"""How fast callers may ask: each by their own bucket, strangers by their address, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator.triggers.auth import Principal, Role
from orchestrator.triggers.throttle import Throttle, remote
from tests.unit.triggers.calling import TOKEN, Api

SLOW = {"MILLSTREAM_REQUEST_RATE": "2", "MILLSTREAM_REFUSAL_RATE": "0.5"}
"""A burst of 20 requests and of 5 refusals."""


class Anybody:
    """The bearer token is the name."""

    def authorize(self, headers: Mapping[str, str]) -> Principal:
        return Principal(name=headers["authorization"], roles=frozenset({Role.OWNER}))


def test_who_asks_too_fast_is_told_when_to_ask_again() -> None:
    api = Api(SLOW)
    assert [api.call("GET", "runs").status for _ in range(20)] == [200] * 20
    refused = api.call("GET", "runs")
    assert (refused.status, refused.json["error"]["code"], refused.headers["Retry-After"]) == (
        429,
        "TooManyRequests",
        "1",
    )
    assert '"key" asks more than 2 times a second (MILLSTREAM_REQUEST_RATE)' in refused.json["error"]["message"]
    api.now += 1.0
    assert [api.call("GET", "runs").status for _ in range(3)] == [200, 200, 429]


def test_the_routes_of_version_1_say_it_in_their_shape() -> None:
    api = Api(SLOW)
    for _ in range(20):
        api.call("GET", "runs")
    assert api.call("GET", "PipelineRuns/x").json["Error"]["Code"] == "TooManyRequests"


def test_each_caller_has_a_bucket_of_their_own() -> None:
    api = Api(SLOW, authorizer=Anybody())
    for name in ("ann", "bob"):
        assert [api.call("GET", "runs", token=name).status for _ in range(21)] == [200] * 20 + [429]


def test_what_needs_no_token_is_not_throttled() -> None:
    api = Api(SLOW)
    assert {api.call("GET", "health", token=None).status for _ in range(100)} == {200}


def test_strangers_are_held_up_sooner_by_their_address_and_nobody_else_is() -> None:
    api = Api(SLOW)
    here, there = {"X-Forwarded-For": "10.0.0.1:5050"}, {"X-Forwarded-For": "10.0.0.2:5050"}
    tried = [api.call("GET", "runs", token="wrong", headers=here).status for _ in range(7)]
    assert tried == [401] * 5 + [429] * 2
    refused = api.call("GET", "runs", token=None, headers=here)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "2")
    assert "MILLSTREAM_REFUSAL_RATE" in refused.json["error"]["message"]
    assert api.call("GET", "runs", token="wrong", headers=there).status == 401
    assert api.call("GET", "runs", token=TOKEN, headers=here).status == 200, "nobody is locked out by a neighbour"
    api.now += 2.0
    assert api.call("GET", "runs", token="wrong", headers=here).status == 401


def test_a_made_up_address_does_not_help() -> None:
    api = Api(SLOW)
    tried = [
        api.call("GET", "runs", token="wrong", headers={"X-Forwarded-For": f"1.1.1.{n}, 10.0.0.1:{5000 + n}"}).status
        for n in range(7)
    ]
    assert tried == [401] * 5 + [429] * 2


def test_nothing_is_held_up_where_there_is_no_limit() -> None:
    api = Api({"MILLSTREAM_REQUEST_RATE": "0", "MILLSTREAM_REFUSAL_RATE": "0"})
    assert {api.call("GET", "runs").status for _ in range(3000)} == {200}
    assert {api.call("GET", "runs", token=None).status for _ in range(500)} == {401}


def test_the_defaults_are_far_from_what_clients_ask() -> None:
    """A hundred scripts and their client, each asking ten times a second for a minute."""
    api = Api(authorizer=Anybody())
    names = [f"script {number}" for number in range(100)]
    throttles = api.dispatcher._throttles
    for tenth in range(600):
        api.now = tenth / 10
        for name in names:
            throttles.admit(name)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("", ""),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:4711", "10.0.0.1"),
        ("made up, 10.0.0.1:4711", "10.0.0.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("x" * 10_000, "x" * 64),
    ],
)
def test_the_address_is_what_the_nearest_proxy_says(forwarded: str, address: str) -> None:
    assert remote({"x-forwarded-for": forwarded} if forwarded else {}) == address


def test_memory_is_bounded_and_those_in_use_are_kept() -> None:
    now = 0.0
    throttle = Throttle(0.1, clock=lambda: now, most=10)
    assert throttle.take("busy") == 0.0
    for number in range(1000):
        throttle.take(f"stranger {number}")
        assert throttle.take("busy") > 0.0
        assert len(throttle) <= 10
