"""scripts/up, seen from outside: what it prints, writes, passes on and leaves behind."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.e2e.local.upprocess import ROOT, Up, command
from tests.e2e.local.waiting import wait_until_gone

_ASK = """
import os, sys, urllib.request
headers = {"Authorization": "Bearer " + os.environ["MILLSTREAM_TOKEN"]}
request = urllib.request.Request(os.environ["MILLSTREAM_ENDPOINT"] + "/api/workspace", headers=headers)
print(urllib.request.urlopen(request).status, flush=True)
sys.exit(7)
"""
# A stand-in for Core Tools: it shows what it was given, answers the health route, and ends when it is interrupted.
_FUNC = """
import http.server, json, os, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()
given = {{"arguments": sys.argv[1:], "storage": os.environ["AzureWebJobsStorage"], "folder": os.getcwd()}}
open("{record}", "w").write(json.dumps(given))
try:
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Health).serve_forever()
except KeyboardInterrupt:
    open("{record}.ended", "w").close()
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A service that keeps no data, on any port."""
    service = Up(tmp_path / "state", "--in-memory", "--port", "0")
    yield service
    service.kill()


def test_it_serves_until_it_is_told_to_stop(up: Up) -> None:
    assert requests.get(f"{up.url}/api/health", timeout=30).json()["status"] == "ok"
    children = up.children()
    assert len(children) >= 2  # Azurite and the worker of the functions
    assert up.stop() == 0
    assert "Ctrl-C drains it" in up.log.read_text()
    assert not (up.state / "service.json").exists()
    wait_until_gone(*children)


def test_killed_it_leaves_no_process(up: Up) -> None:
    assert up.url
    children = up.children()
    up.kill()
    wait_until_gone(*children)


def test_only_its_token_opens_it_and_nobody_else_reads_it(up: Up) -> None:
    workspace = f"{up.url}/api/workspace"
    token = (up.state / "token").read_text().strip()
    assert requests.get(workspace, timeout=30).status_code == 401
    assert requests.get(workspace, headers={"Authorization": "Bearer guess"}, timeout=30).status_code == 401
    assert requests.get(workspace, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code == 200
    assert stat.S_IMODE(up.state.stat().st_mode) == 0o700
    for file in ("token", "service.json", "local.settings.json"):
        assert stat.S_IMODE((up.state / file).stat().st_mode) == 0o600
    assert token not in (up.state / "local.settings.json").read_text()


def test_a_second_one_says_so_and_a_command_uses_the_first(up: Up) -> None:
    url = up.url
    second = subprocess.run(command(up.state), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (second.returncode, url in second.stdout) == (0, True)
    asked = _run(up.state, "--", sys.executable, "-c", _ASK)
    assert (asked.returncode, asked.stdout) == (7, "200\n")
    assert requests.get(f"{url}/api/health", timeout=30).status_code == 200


def test_a_command_gets_a_service_for_as_long_as_it_runs(tmp_path: Path) -> None:
    """What the caller's shell holds for another service must not reach this one."""
    foreign = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "MILLSTREAM_ENDPOINT": "http://127.0.0.1:9"}
    asked = _run(tmp_path / "state", "--in-memory", "--", sys.executable, "-c", _ASK, **foreign)
    assert (asked.returncode, asked.stdout) == (7, "200\n")
    assert not (tmp_path / "state" / "service.json").exists()


def test_the_token_and_the_data_outlive_it(tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        service = Up(tmp_path / "state", "--port", "0")
        assert service.url
        tokens.append((tmp_path / "state" / "token").read_text())
        assert service.stop() == 0
    assert tokens[0] == tokens[1]
    assert (tmp_path / "state" / "azurite").is_dir()


def test_a_port_that_was_asked_for_is_not_exchanged(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = _run(tmp_path / "state", "--in-memory", "--port", port, "--", "true")
    assert (done.returncode, port in done.stderr) == (1, True)


def test_core_tools_take_the_place_of_the_local_host(tmp_path: Path) -> None:
    programs, record = tmp_path / "bin", tmp_path / "record"
    programs.mkdir()
    func, script = programs / "func", tmp_path / "func.py"
    script.write_text(_FUNC.format(record=record))
    func.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    func.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = _run(tmp_path / "state", "--func", "--in-memory", "--port", "0", "--", "true", PATH=path)
    assert done.returncode == 0, done.stderr
    given = json.loads(record.read_text())
    assert given["arguments"][:2] == ["start", "--port"]
    assert given["folder"] == str(ROOT)
    assert "devstoreaccount1" in given["storage"]
    assert Path(f"{record}.ended").exists()


def test_without_core_tools_it_says_what_is_missing(tmp_path: Path) -> None:
    done = _run(tmp_path / "state", "--func", "--in-memory", "--", "true", PATH=str(Path(sys.executable).parent))
    assert done.returncode == 1
    assert "func" in done.stderr


def test_where_no_key_is_asked_for_none_may_open(tmp_path: Path) -> None:
    role = {"MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS": "Owner"}
    done = _run(tmp_path / "state", "--func", "--in-memory", "--", "true", **role)
    assert done.returncode == 1
    assert "MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS" in done.stderr


def _run(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(state, *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
