"""HTTP triggers of a real host, by the rules of the real one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from azurerest.blobs import Blobs
from tests.e2e.devhost.conftest import StartHost
from tests.e2e.devhost.harness import Answer, RunningHost, eventually

BOX = "web-box"


@pytest.fixture(scope="module")
def host(start_module_host: StartHost) -> RunningHost:
    return start_module_host("web", BOX=BOX, DEVHOST_MAX_BODY_BYTES="2000000", **{"AzureWebJobs.off.Disabled": "true"})


def test_a_request_arrives_whole(host: RunningHost) -> None:
    answer = host.request("POST", "/API/Items/7/a%20b?x=1&x=2&empty=&y=%C3%A4", b"\x00\xff", {"X-Probe": "p"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["params"] == {"x": "1,2", "y": "ä"}
    assert seen["route"] == {"id": "7", "part": "a b"}
    assert seen["header"] == "p"
    assert seen["names"] == [name.lower() for name in seen["names"]]
    assert seen["body"] == "\x00\xff"
    assert seen["url"] == host.ready["url"] + "/API/Items/7/a%20b?x=1&x=2&empty=&y=%C3%A4"


def test_an_optional_route_parameter_may_be_missing(host: RunningHost) -> None:
    assert host.request("GET", "/api/items/7").json()["route"] == {"id": "7"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/items/seven"),  # fails the constraint
        ("GET", "/api/items/99999999999"),  # not an int
        ("PUT", "/api/items/7"),  # a method that is not listed: 404, not 405
        ("GET", "/items/7"),  # without the prefix
        ("GET", "/api/items/7/a/b"),
        ("GET", "/api/off"),  # disabled
        ("GET", "/nowhere"),
    ],
)
def test_no_route_is_404_without_a_body(host: RunningHost, method: str, path: str) -> None:
    answer = host.request(method, path)
    assert (answer.status, answer.body) == (404, b"")


def test_a_disabled_function_opens_for_the_master_key(host: RunningHost) -> None:
    assert host.admin("GET", "/api/off").body == b"on"


def test_a_catch_all_takes_the_rest(host: RunningHost) -> None:
    assert host.request("GET", "/api/files/a/b%2Fc").body == b"a/b%2Fc"
    assert host.request("GET", "/api/files").body == b"(none)"


def test_keys(host: RunningHost) -> None:
    ready = host.ready
    for path in ("/api/guarded", "/api/guarded?code=wrong", "/api/guarded?code="):
        answer = host.request("GET", path)
        assert (answer.status, answer.body) == (401, b"")
    assert host.request("GET", f"/api/guarded?code={ready['host_key']}").body == b"in"
    assert host.request("GET", "/api/guarded", headers={"x-functions-key": ready["host_key"]}).body == b"in"
    assert host.request("GET", f"/api/ruled?code={ready['host_key']}").status == 401
    assert host.request("GET", f"/api/ruled?code={ready['master_key']}").body == b"in"
    header = {"x-functions-key": "wrong"}
    assert host.request("GET", f"/api/guarded?code={ready['host_key']}", headers=header).status == 401


def test_the_key_files_are_private(host: RunningHost) -> None:
    for path in (host.folder / "state" / "keys.json", host.folder / "ready.json"):
        assert Path(path).stat().st_mode & 0o777 == 0o600


def test_what_functions_give(host: RunningHost) -> None:
    text = host.request("GET", "/api/gives/text")
    assert (text.status, text.body, text.headers["content-type"]) == (200, b"plain", "text/plain; charset=utf-8")
    raw = host.request("GET", "/api/gives/bytes")
    assert (raw.body, raw.headers["content-type"]) == (bytes(range(256)), "application/x-own")
    empty = host.request("GET", "/api/gives/empty")
    assert (empty.status, empty.body) == (204, b"")


@pytest.mark.parametrize("what", ["none", "dict", "number", "raise", "badstatus"])
def test_what_is_no_response_is_500_without_a_body(host: RunningHost, what: str) -> None:
    answer = host.request("GET", f"/api/gives/{what}")
    assert (answer.status, answer.body) == (500, b"")


def test_the_traceback_is_printed(host: RunningHost) -> None:
    host.request("GET", "/api/gives/raise")
    eventually(lambda: "ValueError: as asked" in host.log(), 5, host.log)
    assert "function_app.py" in host.log()


def test_cookies_and_status(host: RunningHost) -> None:
    answer = host.request("GET", "/api/gives/cookies")
    assert (answer.status, answer.body, answer.headers["x-own"]) == (418, b"c", "1")
    assert answer.cookies == [
        "one=a%25b; max-age=5; path=/x; httponly",
        "two=2; expires=Wed, 21 Oct 2026 07:28:00 GMT; path=/; secure; samesite=lax",
    ]


def test_the_largest_body(host: RunningHost) -> None:
    assert host.request("POST", "/api/size", b"x" * 2_000_000).body == b"2000000"
    assert host.request("POST", "/api/size", b"x" * 2_000_001).status == 413


def test_too_many_requests(host: RunningHost) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(host.request("GET", "/api/wait?seconds=0.5").status)

    threads = [threading.Thread(target=ask) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 6 + [429] * 3


def test_blob_bindings_of_a_request(host: RunningHost, blobs: Blobs) -> None:
    assert host.request("GET", "/api/lookup/absent?to=x").status == 404
    blobs.create_container(BOX)
    blobs.put(BOX, "here.txt", b"content")
    assert host.request("GET", "/api/lookup/here?to=there").body == b"content"
    assert blobs.get(BOX, "copy-there.txt").data == b"CONTENT"


def test_an_output_without_its_expression_fails_the_request(host: RunningHost, blobs: Blobs) -> None:
    blobs.create_container(BOX)
    blobs.put(BOX, "there.txt", b"content")
    assert host.request("GET", "/api/lookup/there").status == 500


def test_the_admin_routes(host: RunningHost) -> None:
    assert host.request("GET", "/admin/host/ping").status == 200
    assert host.request("GET", "/admin/host/status").status == 401
    assert host.request("GET", f"/admin/host/status?code={host.ready['host_key']}").status == 401
    status = host.admin("GET", "/admin/host/status").json()
    assert (status["state"], status["id"]) == ("Running", host.ready["host_id"])
    assert host.admin("POST", "/admin/functions/absent", b"{}").status == 404
    assert host.admin("POST", "/admin/functions/size", b"[]").status == 400
    assert host.admin("POST", "/admin/functions/size", b'{"input": "abc"}').status == 202
    assert {"name": "off", "trigger": "http", "isDisabled": True} in host.admin("GET", "/admin/functions").json()


def test_the_home_page(host: RunningHost) -> None:
    assert host.request("GET", "/").status == 200


def test_user_logs_are_printed(host: RunningHost) -> None:
    host.request("GET", "/api/wait?seconds=0.001")
    eventually(lambda: "waiting 0.001 s" in host.log(), 5, host.log)


def test_a_worker_crash_fails_every_request_in_it_at_once(start_host: StartHost) -> None:
    host = start_host("web", BOX=BOX)
    answers: dict[str, Answer] = {}

    def ask(path: str) -> None:
        answers[path] = host.request("GET", path)

    neighbour = threading.Thread(target=ask, args=("/api/wait?seconds=60",))
    neighbour.start()
    eventually(lambda: "waiting 60" in host.log(), 5, host.log)
    assert host.request("GET", "/api/gives/exit").status == 500
    neighbour.join(5)
    assert answers["/api/wait?seconds=60"].status == 500
    # The next one waits for the new worker.
    assert host.request("GET", "/api/gives/text").body == b"plain"


def test_a_stop_finishes_the_requests_under_way(start_host: StartHost) -> None:
    host = start_host("web", BOX=BOX)
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(host.request("GET", "/api/wait?seconds=1")))
    asking.start()
    eventually(lambda: "waiting 1" in host.log(), 5, host.log)
    assert host.terminate() == 0
    asking.join(5)
    assert [answer.body for answer in answers] == [b"waited"]
