"""What the host says, and how it exits, when it cannot start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.devhost.harness import APPS, ROOT

HTTP = """
import azure.functions as func
app = func.FunctionApp()
@app.route(route="a")
def a(req: func.HttpRequest) -> str:
    return "a"
"""


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a host to its end; its keys are kept outside of the app."""
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "devhost", str(folder), "--state-dir", state, *arguments]
        variables = {"PATH": "/usr/bin:/bin", **environment}
        return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=30)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(HTTP)
    return tmp_path


def test_a_missing_host_json(app: Path) -> None:
    (app / "host.json").unlink()
    ended = run(app)
    assert ended.returncode == 2
    assert "host.json is missing" in ended.stderr


@pytest.mark.parametrize(
    "text", ["{", '{"version": "3.0"}', '{"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}']
)
def test_a_bad_host_json(app: Path, text: str) -> None:
    (app / "host.json").write_text(text)
    ended = run(app)
    assert ended.returncode == 2
    assert "host.json" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_app_that_does_not_import_shows_the_users_traceback(app: Path) -> None:
    (app / "function_app.py").write_text("import json\nimport no_such_module\n")
    ended = run(app, "--port", "0")
    assert ended.returncode == 3
    assert "ModuleNotFoundError: No module named 'no_such_module'" in ended.stderr
    assert "function_app.py" in ended.stderr


def test_an_app_that_ends_while_it_loads(app: Path) -> None:
    (app / "function_app.py").write_text("import os\nos._exit(9)\n")
    ended = run(app, "--port", "0")
    assert ended.returncode == 3
    assert "exit code 9" in ended.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("app = 1", "no top level function app"),
        (HTTP + "other = func.FunctionApp()\n", "more than one"),
        (HTTP.replace("req: func.HttpRequest", "request: func.HttpRequest"), "without a binding"),
        (HTTP.replace("req: func.HttpRequest", "req: func.TimerRequest"), "does not match"),
        (HTTP.replace("req: func.HttpRequest", "req: 'Missing'"), "Missing"),
    ],
)
def test_an_app_that_cannot_be_indexed(app: Path, text: str, complaint: str) -> None:
    (app / "function_app.py").write_text(text)
    ended = run(app, "--port", "0")
    assert ended.returncode == 3
    assert complaint in ended.stderr


def test_no_function_app(app: Path) -> None:
    (app / "function_app.py").unlink()
    ended = run(app, "--port", "0")
    assert ended.returncode == 3
    assert "there is no function_app.py" in ended.stderr


def test_an_unknown_setting_in_a_binding() -> None:
    ended = run(APPS / "timers", "--port", "0", AzureWebJobsStorage="UseDevelopmentStorage=true")
    assert ended.returncode == 2
    assert "%FAST% is not a setting" in ended.stderr


def test_a_missing_connection() -> None:
    ended = run(APPS / "timers", "--port", "0", FAST="* * * * * *")
    assert ended.returncode == 2
    assert "AzureWebJobsStorage" in ended.stderr


def test_a_bad_schedule() -> None:
    ended = run(APPS / "timers", "--port", "0", FAST="nonsense", AzureWebJobsStorage="UseDevelopmentStorage=true")
    assert ended.returncode == 2
    assert "six fields" in ended.stderr


def test_a_binding_that_is_not_served(app: Path) -> None:
    text = HTTP.replace('@app.route(route="a")', '@app.route(route="a")\n@app.table_output("t", "x", "y")')
    (app / "function_app.py").write_text(
        text.replace("req: func.HttpRequest", "req: func.HttpRequest, t: func.Out[str]")
    )
    ended = run(app, "--port", "0")
    assert ended.returncode == 2
    assert "no 'table' binding" in ended.stderr


def test_a_taken_port(app: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run(app, "--port", str(port))
    assert ended.returncode == 4
    assert f"127.0.0.1:{port}" in ended.stderr


@pytest.mark.parametrize(
    "document",
    ["[", '{"IsEncrypted": true}', '{"devhost": {"lease": 1}}', '{"devhost": {"drain_seconds": "soon"}}'],
)
def test_bad_settings(app: Path, document: str) -> None:
    (app / "local.settings.json").write_text(document)
    ended = run(app, "--port", "0")
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_settings_reach_the_worker_and_the_environment_wins(app: Path) -> None:
    code = (
        HTTP
        + "import os, json, sys\nraise RuntimeError(json.dumps([os.environ.get(n) for n in 'ABC'] + sys.path[:1]))\n"
    )
    (app / "function_app.py").write_text(code)
    (app / "local.settings.json").write_text(json.dumps({"Values": {"A": "file", "B": "file", "C": True}}))
    ended = run(app, "--port", "0", B="environment")
    assert json.dumps(["file", "environment", "true", str(app)]) in ended.stderr
