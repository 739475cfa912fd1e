"""Webhooks over HTTP: registering them, naming them in a submission, and seeing what they have been told."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest

from orchestrator.core import notice as notices
from orchestrator.core.message import Delivery
from orchestrator.core.result import StepError, StepResult
from orchestrator.core.webhook import Event, Notify
from orchestrator.engine import outbox
from orchestrator.engine.memory import EngineSettings, ProcessMemory
from orchestrator.engine.noticebody import body_of
from orchestrator.engine.notify import notify
from orchestrator.ports import Post, Posted, Send
from tests.unit.engine.running import Runner, step
from tests.unit.triggers.calling import Api, Called, definition

KEY = "a-key-of-at-least-32-characters-or-more"
URL = "https://hooks.example.org/x?token=hidden"


class Hooked(Api):
    """A service with webhooks; `answers` are those of the receivers."""

    def __init__(self, **settings: str) -> None:
        super().__init__({"MILLSTREAM_WEBHOOK_KEYS": KEY, **settings})
        engine = EngineSettings(webhook_queue="calls", webhook_delays=(1.0, 2.0))
        self.memory.settings = engine
        self.posts: list[Post] = []
        self.answers: list[int] = []
        self.sent: list[Send] = []
        self.world.register(Post, self._called)
        self.world.register(Send, lambda send: self.sent.append(send))

    def _called(self, post: Post) -> Posted:
        self.posts.append(post)
        return Posted(status=self.answers.pop(0) if self.answers else 200)

    def deliver(self) -> int:
        """Deliver all messages that wait, however late they are due. Returns how many there were."""
        waiting, self.sent = self.sent, []
        for send in waiting:
            assert send.queue == "calls"
            delivery = Delivery(message_id="m", count=1)
            self.world.run(notify(self.memory, notices.decode(send.body), delivery))
        return len(waiting)

    def put(self, name: str, **fields: Any) -> Called:
        return self.call("PUT", f"webhooks/{name}", {"url": URL, **fields})

    def run(self, **fields: Any) -> Any:
        body = {"experiment_name": "e", "definition": definition(), **fields}
        return self.call("POST", "runs", body).json


@pytest.fixture
def api() -> Hooked:
    return Hooked()


def test_a_webhook_is_registered_and_its_secret_shown_once(api: Hooked) -> None:
    made = api.put("chat", events=["run.failed"], description="d")
    assert made.status == 201
    secret = made.json["secret"]
    assert secret.startswith("whsec_")
    assert made.json["url"] == "https://hooks.example.org/x?..."
    again = api.put("chat", events=["run.failed"])
    assert (again.status, again.json["secret"]) == (200, None)
    seen = api.call("GET", "webhooks/chat").json
    assert (seen["secret"], seen["events"], seen["enabled"]) == (None, ["run.failed"], True)
    assert [hook["name"] for hook in api.call("GET", "webhooks").json["webhooks"]] == ["chat"]
    renewed = api.put("chat", new_secret=True).json["secret"]
    assert renewed.startswith("whsec_")
    assert renewed != secret
    assert api.call("DELETE", "webhooks/chat").status == 200
    assert api.call("GET", "webhooks/chat").status == 404
    assert api.put("chat").json["secret"] not in (secret, renewed)


def test_no_secret_is_stored(api: Hooked) -> None:
    secret = api.put("chat").json["secret"]
    run = api.run(notify=[{"url": "https://one.example.org/"}])
    tables = str(vars(api.world.account.tables))
    for hidden in (secret, secret.removeprefix("whsec_"), run["notify"][0]["secret"].removeprefix("whsec_"), KEY):
        assert hidden not in tables


@pytest.mark.parametrize(
    ("name", "fields", "status", "field"),
    [
        ("a b", {}, 400, "webhook"),
        ("a", {"url": "ftp://x"}, 400, "url"),
        ("a", {"url": "http://127.0.0.1/"}, 400, "url"),
        ("a", {"url": "http://user:pw@example.org/"}, 400, "url"),
        ("a", {"events": ["run.exploded"]}, 400, "events[0]"),
        ("a", {"pipeline_id": "8c5e1d84-52a7-5b67-8a3f-0d6f9a0f1c22"}, 404, "pipeline_id"),
        ("a", {"secret": "x"}, 400, "secret"),
    ],
)
def test_a_wrong_registration_is_named(api: Hooked, name: str, fields: Any, status: int, field: str) -> None:
    refused = api.put(name, **fields)
    assert (refused.status, refused.json["error"]["field"]) == (status, field)


def test_without_a_key_there_are_none() -> None:
    api = Api()
    assert api.call("PUT", "webhooks/a", {"url": URL}).status == 409
    body = {"experiment_name": "e", "definition": definition(), "notify": [{"url": URL}]}
    refused = api.call("POST", "runs", body)
    assert (refused.status, refused.json["error"]["field"]) == (400, "notify")


def test_private_addresses_are_a_setting() -> None:
    assert Hooked(MILLSTREAM_WEBHOOK_PRIVATE="true").put("a", url="http://127.0.0.1:1/").status == 201


def test_a_run_names_its_own(api: Hooked) -> None:
    hooks = [{"url": URL, "events": ["run.canceled"]}, {"url": "https://b.example.org/", "events": ["run.completed"]}]
    run = api.run(notify=hooks)
    first = run["notify"][0]
    assert (first["url"], first["events"]) == ("https://hooks.example.org/x?...", ["run.canceled"])
    assert first["secret"].startswith("whsec_")
    assert api.call("GET", f"runs/{run['id']}").json["notify"][0]["secret"] is None
    assert api.run(notify=hooks)["notify"][0]["secret"] == first["secret"], "it belongs to the URL"
    api.call("POST", f"runs/{run['id']}/cancel")
    assert api.deliver() == 1
    (post,) = api.posts
    assert (post.url, post.signer) == (URL, first["id"])
    told = json.loads(post.body)
    assert told["type"] == "run.canceled"
    assert told["timestamp"].endswith("+00:00")
    assert (told["data"]["run"]["id"], told["data"]["run"]["status"]) == (run["id"], "Canceled")
    assert [(step["id"], step["status"]) for step in told["data"]["steps"]] == [("a", "Canceled"), ("b", "Canceled")]
    assert "hidden" not in post.body.decode()
    assert "whsec" not in post.body.decode()


@pytest.mark.parametrize(
    ("hooks", "field"),
    [
        ([{"url": "x"}], "notify[0].url"),
        ([{"url": URL}, {"url": "http://10.0.0.1/"}], "notify[1].url"),
        ([{"url": URL}, {"url": URL}], "notify"),
        ([{"url": f"{URL}{n}"} for n in range(6)], "notify"),
        ([{"url": URL, "events": ["run"]}], "notify[0].events[0]"),
    ],
)
def test_a_wrong_one_is_named(api: Hooked, hooks: Any, field: str) -> None:
    refused = api.call("POST", "runs", {"experiment_name": "e", "definition": definition(), "notify": hooks})
    assert (refused.status, refused.json["error"]["field"]) == (400, field)


def test_those_that_want_to_hear_are_told(api: Hooked) -> None:
    pipeline = api.call("POST", "pipelines", {"definition": definition()}).json["id"]
    api.put("all")
    api.put("completed", events=["run.completed"])
    api.put("off", enabled=False)
    api.put("of-pipeline", pipeline_id=pipeline)
    plain = api.run()["id"]
    published = api.call("POST", "runs", {"experiment_name": "e", "pipeline_id": pipeline}).json["id"]
    for run, expected in ((plain, ["all"]), (published, ["all", "of-pipeline"])):
        assert api.call("GET", f"runs/{run}/notices").json["notices"] == []
        api.call("POST", f"runs/{run}/cancel")
        assert api.deliver() == len(expected)
        shown = api.call("GET", f"runs/{run}/notices").json["notices"]
        assert [(notice["webhook"], notice["state"], notice["status"]) for notice in shown] == [
            (name, "delivered", 200) for name in expected
        ]
        assert len({notice["message_id"] for notice in shown}) == len(expected)
    assert api.call("GET", "runs/none/notices").status == 404


def test_one_that_refuses_is_called_again_and_given_up(api: Hooked) -> None:
    api.put("shy")
    api.answers = [500, 302, 503]
    run = api.run()["id"]
    api.call("POST", f"runs/{run}/cancel")
    states = []
    while api.deliver():
        (shown,) = api.call("GET", f"runs/{run}/notices").json["notices"]
        states.append((shown["state"], shown["attempts"], shown["status"], shown["next_at"] is not None))
    assert states == [("waiting", 1, 500, True), ("waiting", 2, 302, True), ("given up", 3, 503, False)]
    assert len({post.message_id for post in api.posts}) == 1


def test_one_that_is_gone_is_not_called_again(api: Hooked) -> None:
    api.put("gone")
    api.answers = [410]
    run = api.run()["id"]
    api.call("POST", f"runs/{run}/cancel")
    api.deliver()
    assert api.deliver() == 0
    (shown,) = api.call("GET", f"runs/{run}/notices").json["notices"]
    assert (shown["state"], shown["status"]) == ("given up", 410)


def test_a_webhook_that_was_removed_meanwhile_is_not_called(api: Hooked) -> None:
    api.put("removed")
    run = api.run()["id"]
    api.call("POST", f"runs/{run}/cancel")
    api.call("DELETE", "webhooks/removed")
    api.deliver()
    assert api.posts == []
    (shown,) = api.call("GET", f"runs/{run}/notices").json["notices"]
    assert shown["state"] == "dropped"


def test_a_repeated_cancel_tells_nobody_twice(api: Hooked) -> None:
    api.put("once")
    run = api.run()["id"]
    for _ in range(3):
        api.call("POST", f"runs/{run}/cancel")
        api.deliver()
    assert len(api.posts) == 1


def test_the_webhooks_of_a_run_are_those_of_its_repetition(api: Hooked) -> None:
    run = api.run(notify=[{"url": URL}])["id"]
    again = api.call("POST", f"runs/{run}/resubmit", {}).json
    assert [hook["url"] for hook in again["notify"]] == ["https://hooks.example.org/x?..."]
    assert api.call("POST", f"runs/{run}/resubmit", {"notify": []}).json["notify"] == []


def test_there_is_a_limit(api: Hooked) -> None:
    for number in range(50):
        assert api.put(f"h{number}").status == 201
    refused = api.put("one-more")
    assert (refused.status, refused.json["error"]["field"]) == (400, "webhook")
    assert api.put("h0").status == 200


def test_a_steps_error_is_told_shortly() -> None:
    """The body of a call has a bound, however many steps there are and whatever they say."""

    failure = StepResult(error=StepError(code="ScriptFailed", message="x" * 5000), exit_code=1)
    runner = Runner(*(step(f"s{n}") for n in range(150)), scripts={"s149": lambda _: failure}, keep_going=True)
    runner.start()
    runner.finish()
    told = msgspec.json.decode(runner.world.run(body_of(ProcessMemory(), "run1", Event.FAILED)))
    steps = told["data"]["steps"]
    assert (len(steps), steps[0]["id"], steps[0]["status"], len(steps[0]["error"])) == (100, "s149", "Failed", 1000)


def test_what_is_overdue_is_sent_again_with_growing_patience() -> None:
    """Its message is lost each time; the notice waits for its second call, which was due after an hour."""
    runner = Runner(step("a"))
    runner.memory.settings = EngineSettings(webhook_queue="calls", webhook_delays=(3600.0,), webhook_patience=100.0)
    sent: list[Send] = []
    runner.world.register(Send, lambda send: sent.append(send))
    runner.world.register(Post, lambda _: Posted(status=500))
    runner.start(notify=(Notify(url=URL),))
    runner.finish()
    delivery = Delivery(message_id="m", count=1)
    runner.world.run(notify(runner.memory, notices.decode(sent.pop().body), delivery))
    assert sent.pop().delay == 3600.0
    began = runner.clock.now()
    moments: list[float] = []
    while runner.clock.now() < began + 3600 + 1600:
        runner.clock.advance(60)
        for _ in range(2):
            runner.world.run(outbox.sweep(runner.memory))
        moments += [runner.clock.now() - began] * len(sent)
        assert all(send.delay == 0.0 for send in sent)
        sent.clear()
    assert moments[0] == 3720.0
    assert [round(later - earlier, -2) for earlier, later in itertools.pairwise(moments)] == [200, 400, 800]
