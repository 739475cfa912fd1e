"""The HTTP API of the real app in the real host on Azurite: a run from end to end, and bad input refused by name."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from azurerest import Account, Queues, Transport
from tests.azurite import Azurite
from tests.e2e.devhost.harness import eventually
from tests.service import Reply, Service, arguments, from_step, running_service, script_step

pytestmark = pytest.mark.azurite

SCRIPT = """
import os, pathlib, sys
from millstream import Run

out, *inputs = sys.argv[1:]
text = "".join(pathlib.Path(name).read_text() for name in inputs) + os.environ["AZUREML_RUN_ID"][-1]
print("text is", text, flush=True)
pathlib.Path(out).write_text(text)
run = Run.get_context()
run.log("length", len(text))
os.makedirs("outputs", exist_ok=True)
pathlib.Path("outputs/note.txt").write_text("noted " + text)
run.register_model("letters", "outputs/note.txt")
"""
WAIT = """
import pathlib, time
print("first line", flush=True)
while not pathlib.Path({path!r}).exists():
    time.sleep(0.01)
print("last line", flush=True)
"""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"MILLSTREAM_BODY_BYTES": "20000", "MILLSTREAM_DEFINITION_BYTES": "60000"}
    with running_service(azurite, tmp_path_factory.mktemp("service"), settings) as service:
        yield service


@pytest.fixture(scope="module")
def snapshot(service: Service) -> str:
    return service.upload({"step.py": SCRIPT, "wait.py": "print(1)"})


def chain(snapshot: str) -> list[dict[str, Any]]:
    first = script_step("a", snapshot, arguments=arguments(("output", "out")), outputs=[{"name": "out"}])
    second = script_step(
        "b",
        snapshot,
        arguments=arguments(("output", "out"), ("input", "up")),
        inputs=[from_step("up", "a", "out")],
        outputs=[{"name": "out"}],
    )
    return [first, second]


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        data: bytes = answer.read()
        return data


def test_a_published_pipeline_runs_from_end_to_end(service: Service, snapshot: str) -> None:
    definition = {"name": "letters", "steps": chain(snapshot)}
    published = service.ask("POST", "pipelines", {"definition": definition})
    path = published["endpoint"].partition("/api/")[2]
    run = service.ask("POST", path, {"ExperimentName": "e2e", "ParameterAssignments": {}})["Id"]
    ended = service.wait(run)
    assert (ended["status"], ended["steps_done"], ended["experiment"]) == ("Completed", 2, "e2e")
    assert ended["ended_at"] >= ended["submitted_at"]

    assert service.log(run, "b") == "text is ab\n"
    metrics = service.ask("GET", f"runs/{run}/metrics")["steps"]
    assert [(metric["name"], metric["value"]) for metric in metrics["b"]] == [("length", 2)]
    outputs = service.ask("GET", f"runs/{run}/outputs?step=b")["steps"]["b"]
    assert get(outputs["outputs"]["out"]["files"][0]["url"]) == b"ab"
    assert [get(file["url"]) for file in outputs["artifacts"]] == [b"noted ab"]
    model = service.ask("GET", "models/letters")
    assert (model["version"], model["run_id"], model["step_id"]) == (2, run, "b")
    assert get(model["files"][0]["url"]) == b"noted ab"
    assert run in [line["id"] for line in service.ask("GET", f"runs?pipeline_id={published['id']}")["runs"]]


def test_a_log_is_followed_while_the_script_runs(service: Service, tmp_path: Any) -> None:
    signal = tmp_path / "go"
    waiting = service.upload({"step.py": WAIT.format(path=str(signal))})
    run = service.submit([script_step("a", waiting)])
    path = f"runs/{run}/steps/a/log"

    def first_part() -> Reply | None:
        reply = service.call("GET", path)
        return reply if reply.body else None

    part = eventually(first_part, 20, service.host.log)
    assert part is not None
    assert part.body == b"first line\n"
    assert part.headers["millstream-log-complete"] == "false"
    assert part.headers["content-type"] == "text/plain; charset=utf-8"
    offset = part.headers["millstream-log-next"]
    assert service.call("GET", f"{path}?offset={offset}").body == b""
    signal.touch()
    service.wait(run)
    rest = service.call("GET", f"{path}?offset={offset}")
    assert (rest.body, rest.headers["millstream-log-complete"]) == (b"last line\n", "true")
    assert service.call("GET", f"{path}?offset=-5").body == b"line\n"


def test_metrics_of_a_step_that_runs(service: Service, tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    source = 'from millstream import Run\nRun.get_context().log("loss", 0.5)\n' + WAIT.format(path=str(gate))
    run = service.submit([script_step("train", service.upload({"step.py": source}))])

    def logged() -> list[Any]:
        return [metric["value"] for metric in service.ask("GET", f"runs/{run}/metrics")["steps"].get("train", [])]

    assert eventually(logged, 10.0) == [0.5]
    assert service.steps(run)["train"]["status"] == "Running"
    gate.touch()
    assert service.wait(run)["status"] == "Completed"
    assert logged() == [0.5]


def test_a_cancelled_run_ends_its_script(service: Service, tmp_path: Any) -> None:
    waiting = service.upload({"step.py": WAIT.format(path=str(tmp_path / "never"))})
    run = service.submit([script_step("a", waiting), script_step("b", waiting, run_after=["a"])])
    eventually(lambda: service.steps(run)["a"]["status"] == "Running", 20, service.host.log)
    assert service.ask("POST", f"runs/{run}/cancel")["status"] == "Canceled"
    steps = service.steps(run)
    assert [steps["a"]["status"], steps["b"]["status"]] == ["Canceled", "Canceled"]


def test_data_goes_up_and_comes_down_by_signed_urls(service: Service) -> None:
    wish = {"files": [{"path": "raw/ü b.csv", "size": 3}]}
    (slot,) = service.ask("POST", "datastores/workspaceblobstore/uploads", wish)["files"]
    target = slot["upload"]
    request = urllib.request.Request(target["url"], b"1,2", target["headers"], method=target["method"])
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201
    (again,) = service.ask("POST", "datastores/workspaceblobstore/uploads", wish)["files"]
    assert (again["exists"], again["upload"]) == (True, None)
    (file,) = service.ask("GET", "datastores/workspaceblobstore/files?prefix=raw/")["files"]
    assert (file["path"], file["size"], get(file["url"])) == ("raw/ü b.csv", 3, b"1,2")


def body(snapshot: str, **changes: Any) -> dict[str, Any]:
    definition = {
        "name": "x",
        "steps": chain(snapshot),
        "parameters": [{"name": "rate", "type": "float", "default": 0.5}],
    }
    return {"experiment_name": "e", "definition": {**definition, **changes.pop("definition", {})}, **changes}


def cycle(snapshot: str) -> list[dict[str, Any]]:
    first, second = chain(snapshot)
    return [{**first, "run_after": ["b"]}, second]


def test_bad_input_is_refused_by_name(service: Service, snapshot: str) -> None:
    """The table of what a caller can do wrong, and the answer: status, code, field."""
    unknown = "00000000-0000-0000-0000-000000000000"
    misspelt = chain(snapshot)
    misspelt[1]["argumnets"] = []
    cases: list[tuple[str, Any, int, str, str | None]] = [
        (f"PipelineRuns/PipelineSubmit/{unknown}", {"ExperimentName": "e"}, 404, "NotFound", "pipeline_id"),
        ("PipelineRuns/PipelineSubmit/%2e%2e%2fx", {"ExperimentName": "e"}, 404, "NotFound", "pipeline_id"),
        ("runs", {"experiment_name": "e", "pipeline_id": unknown}, 404, "NotFound", "pipeline_id"),
        ("runs", b'{"experiment_name": "e", ', 400, "InvalidRequest", "body"),
        ("runs", b"\xff\xfe", 400, "InvalidRequest", "body"),
        ("runs", b"", 400, "InvalidRequest", "body"),
        ("runs", body(snapshot, parameters={"rate": "fast"}), 400, "InvalidRequest", "parameters.rate"),
        ("runs", body(snapshot, definition={"stpes": []}), 400, "InvalidRequest", "definition.stpes"),
        (
            "runs",
            body(snapshot, definition={"steps": misspelt}),
            400,
            "InvalidRequest",
            "definition.steps[1].argumnets",
        ),
        ("runs", body(snapshot, definition={"steps": cycle(snapshot)}), 400, "InvalidDefinition", "steps[0]"),
        ("runs", body("0" * 64), 400, "InvalidDefinition", "steps[0].snapshot"),
        ("runs", b" " * 60_001, 413, "TooLarge", "body"),
        ("snapshots", b" " * 20_001, 413, "TooLarge", "body"),
        ("runs", body(snapshot, tags={"t": "x" * 25_000}), 413, "TooLarge", "parameters"),
    ]
    for path, document, status, code, field in cases:
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        reply = service.call("POST", path, body=raw)
        error = reply.json()["error"]
        assert (reply.status, error["code"], error["field"]) == (status, code, field), (path, raw[:100], error)
    assert service.ask("GET", "health")["status"] == "ok"


@pytest.mark.parametrize("token", [None, "", "wrong", "Ärger"])
def test_a_wrong_token_is_refused(service: Service, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")} if token else {}
    for method, path in (("GET", "runs"), ("POST", "runs"), ("GET", "runs/x/steps/y/log"), ("POST", "pipelines")):
        reply = service.call(method, path, token=None, headers=headers)
        assert (reply.status, reply.json()["error"]["code"]) == (401, "Unauthorized")
        assert reply.headers["www-authenticate"] == "Bearer"


def test_a_message_of_nobody_does_not_harm(service: Service, azurite: Azurite, snapshot: str) -> None:
    """What the host has given up on and is no step message is dropped, with a line in the log; runs go on."""
    queues = Queues(Account.from_connection_string(azurite.connection), Transport())
    queues.create("millstream-steps-poison")
    queues.put("millstream-steps-poison", b"garbage")
    eventually(lambda: "none of ours" in service.host.log(), 20, service.host.log)
    assert service.wait(service.submit(chain(snapshot)))["status"] == "Completed"
