"""The Azurite launcher, on the real Azurite."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

from azurerest import Account, Queues, Transport
from devhost.azurite import Azurite
from devhost.azurite.process import Ports
from tests.e2e.local.waiting import wait_for, wait_until_gone

ROOT = Path(__file__).resolve().parents[3]
_STARTER = """
import os, signal
from devhost.azurite import Azurite
print(Azurite.start().process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def queues(azurite: Azurite) -> Queues:
    return Queues(Account.from_connection_string(azurite.connection_string), Transport())


def test_it_keeps_what_was_written(tmp_path: Path) -> None:
    with Azurite.start(location=tmp_path) as azurite:
        queues(azurite).create("kept")
        queues(azurite).put("kept", b"here")
    assert azurite.process.returncode == 0
    with Azurite.start(location=tmp_path) as azurite:
        assert [message.body for message in queues(azurite).receive("kept")] == [b"here"]


def test_in_memory_it_keeps_nothing_and_takes_free_ports() -> None:
    with Azurite.start() as one, Azurite.start() as other:
        assert not {*one.ports} & {*other.ports}
        queues(one).create("mine")
        assert not queues(other).delete_queue("mine")


def test_it_evades_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = Ports(blob=taken.getsockname()[1], queue=0, table=0)
        with Azurite.start(ports=wanted) as azurite:
            assert azurite.ports.blob != wanted.blob
            assert queues(azurite).create("reached")


def test_it_ends_with_the_process_that_started_it() -> None:
    starter = subprocess.run([sys.executable, "-c", _STARTER], cwd=ROOT, capture_output=True, text=True, check=False)
    assert starter.returncode == -signal.SIGKILL, starter.stderr
    wait_until_gone(int(starter.stdout))


def test_the_command_line_says_where_it_listens_and_stops_on_a_signal(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "devhost.azurite", "--ready-file", str(ready)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(ready.exists)
        document = json.loads(ready.read_text())
        account = Account.from_connection_string(document["connection_string"])
        assert Queues(account, Transport()).create("asked")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        wait_until_gone(document["pid"])
    finally:
        process.kill()
        process.wait()
