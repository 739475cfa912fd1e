"""Process trees: how they end, and that nothing of them is left."""

# ruff: noqa: E501
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.failures import StartFailed
from steps.fork_server import Command, ForkServer
from steps.zygote import tree
from tests.unit.steps.running import BASE, Running, command, eventually, is_alive, through

SLEEPER = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"
STUBBORN = (
    "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.getpid())\ntime.sleep(600)\n"
)
# Twice forked, own session, standard streams elsewhere: as a daemon does it.
DAEMON = """
import os, signal, sys, time
source, sink = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(1, b"%d\\n" % os.getpid())
        os.write(sink, b"x")
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.environ.clear()
        if sys.argv[1:] == ["executed"]:
            os.execve("/bin/sleep", ["sleep", "600"], {})
        time.sleep(600)
    os._exit(0)
os.wait()
os.read(source, 1)
"""


@pytest.fixture
def own_server() -> Iterator[ForkServer]:
    server = ForkServer(sys.executable, BASE)
    yield server
    server.close()


def start(server: ForkServer, folder: Path, source: str, order: Command) -> tuple[Running, int]:
    """Start a script that first prints the id of its most important process."""
    (folder / "script.py").write_text(source)
    running = Running(server, order)
    return running, int(running.read_until(b"\n").split()[0])


@pytest.mark.parametrize("fresh", [False, True])
def test_a_script_that_takes_too_long_is_ended(server: ForkServer, tmp_path: Path, fresh: bool) -> None:
    running, pid = start(server, tmp_path, SLEEPER, command(tmp_path, timeout=0.5, fresh=fresh))
    end = running.end()
    assert end.timed_out
    assert end.status is not None
    assert os.waitstatus_to_exitcode(end.status) == -signal.SIGTERM
    assert 0.5 <= end.seconds < 5
    assert not is_alive(pid)


def test_one_that_ignores_that_is_killed(server: ForkServer, tmp_path: Path) -> None:
    running, pid = start(server, tmp_path, STUBBORN, command(tmp_path, timeout=0.5, grace=0.2))
    end = running.end()
    assert end.timed_out
    assert end.status == signal.SIGKILL
    assert not is_alive(pid)


def test_one_that_cleans_up_has_the_grace_to_do_so(server: ForkServer, tmp_path: Path) -> None:
    source = (
        "import os, signal, sys, time\nsignal.signal(15, lambda *_: (print('clean'), sys.exit(4)))\nprint(os.getpid())\n"
        "while True:\n    time.sleep(0.01)\n"
    )
    running, _ = start(server, tmp_path, source, command(tmp_path, grace=20))
    running.child.stop()
    end = running.end()
    assert b"clean" in running.output
    assert end.status == 4 << 8
    assert not end.timed_out


def test_stop_and_kill(server: ForkServer, tmp_path: Path) -> None:
    running, pid = start(server, tmp_path, STUBBORN, command(tmp_path, grace=0.2))
    running.child.stop()
    assert running.end().status == signal.SIGKILL
    assert not is_alive(pid)
    running, pid = start(server, tmp_path, STUBBORN, command(tmp_path, grace=600))
    running.child.stop(kill=True)
    assert running.end().status == signal.SIGKILL
    assert not is_alive(pid)


@pytest.mark.parametrize("how", ["forked", "executed"])
def test_a_daemon_does_not_outlive_its_script(server: ForkServer, tmp_path: Path, how: str) -> None:
    running, pid = start(server, tmp_path, DAEMON, command(tmp_path, how))
    end = running.end()
    assert end.status == 0
    assert end.strays == 1
    assert not is_alive(pid)


def test_a_daemon_does_not_outlive_a_killed_script(server: ForkServer, tmp_path: Path) -> None:
    source = DAEMON.replace("source, 1)", "source, 1)\ntime.sleep(600)")
    running, pid = start(server, tmp_path, source, command(tmp_path, timeout=0.5))
    assert running.end().timed_out
    assert not is_alive(pid)


def test_a_tree_that_grows_while_it_is_killed(server: ForkServer, tmp_path: Path) -> None:
    source = (
        "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(os.getpid(), flush=True)\n"
        "until = time.time() + 30\n"
        "while time.time() < until:\n    if os.fork():\n        time.sleep(0.01)\n        os._exit(0)\n    os.setsid()\n"
    )
    running, _ = start(server, tmp_path, source, command(tmp_path, timeout=0.3, grace=0.1))
    running.end()
    marker = str(tmp_path)
    assert not [name for name in os.listdir("/proc") if name.isdigit() and _in_folder(name, marker)]


def _in_folder(pid: str, folder: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/cwd") == folder
    except OSError:
        return False


def test_helpers_that_end_by_themselves_are_no_strays(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import os, time\nif os.fork() == 0:\n    time.sleep(0.05)\n")
    assert Running(server, command(tmp_path)).end().strays == 0


@pytest.mark.parametrize("how", ["forked", "executed"])
def test_a_script_that_kills_its_keeper_dies_and_is_cleared(own_server: ForkServer, tmp_path: Path, how: str) -> None:
    source = DAEMON.replace(
        "source, 1)",
        "source, 1)\nos.write(1, b'script %d\\n' % os.getpid())\nos.kill(os.getppid(), 9)\ntime.sleep(600)",
    )
    running, pid = start(own_server, tmp_path, source, command(tmp_path, how))
    with pytest.raises(EOFError):
        while running.child.hear() is None:
            pass
    script = int(running.read_until(b"script ").split(b"script ")[1])
    assert eventually(lambda: not is_alive(pid) and not is_alive(script))
    running.close()
    (tmp_path / "script.py").write_text("print('next')")
    assert through(own_server, command(tmp_path)).text == "next\n"


def test_a_killed_zygote_is_started_again_and_running_scripts_go_on(own_server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import os\nprint(os.getppid(), flush=True)\nopen('gate').read()\nprint('end')\n"
    )
    os.mkfifo(tmp_path / "gate")
    running = Running(own_server, command(tmp_path))
    keeper = int(running.read_until(b"\n"))
    zygote = int(Path(f"/proc/{keeper}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(zygote, signal.SIGKILL)
    (tmp_path / "other.py").write_text("print('other')")
    assert through(own_server, command(tmp_path, script="other.py")).text == "other\n"
    (tmp_path / "gate").write_text("")
    assert running.end().status == 0
    assert running.output.endswith(b"end\n")


@pytest.mark.parametrize("how", ["forked", "executed"])
def test_a_killed_worker_leaves_no_process(tmp_path: Path, how: str) -> None:
    (tmp_path / "script.py").write_text(
        DAEMON.replace("source, 1)", "source, 1)\nprint(os.getpid(), os.getppid())\ntime.sleep(600)")
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, json.dumps([str(tmp_path), how])],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert worker.stdout is not None
    try:
        pids = [int(worker.stdout.readline()), *map(int, worker.stdout.readline().split())]
        zygote = int(Path(f"/proc/{pids[-1]}/stat").read_text().rpartition(")")[2].split()[1])
        assert all(map(is_alive, [*pids, zygote]))
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
    assert eventually(lambda: not any(map(is_alive, [*pids, zygote])))


_WORKER = """
import json, sys
from pathlib import Path
from steps.fork_server import ForkServer
from steps.zygote import tree
from tests.unit.steps.running import BASE, command
folder, how = json.loads(sys.argv[1])
server = ForkServer(sys.executable, BASE)
child = server.start(command(Path(folder), how, timeout=None), 1)
child.hear()
"""


def test_a_closed_child_is_killed(server: ForkServer, tmp_path: Path) -> None:
    running, pid = start(server, tmp_path, STUBBORN, command(tmp_path, grace=600))
    running.close()
    assert eventually(lambda: not is_alive(pid))


def test_the_prepared_processes_end_with_the_server(tmp_path: Path) -> None:
    before = set(tree.descendants(os.getpid()))
    server = ForkServer(sys.executable, BASE)
    (tmp_path / "script.py").write_text("print()")
    through(server, command(tmp_path))
    started = set(tree.descendants(os.getpid())) - before
    assert len(started) >= 1
    server.close()
    assert eventually(lambda: not any(map(is_alive, started)))


def test_commands(server: ForkServer, tmp_path: Path) -> None:
    order = Command(
        command=("sh", "-c", "echo $1 $X; exit 3", "sh", "a;b"),
        folder=tmp_path,
        environment=BASE | {"X": "y"},
        timeout=5,
        grace=1,
    )
    assert (through(server, order).output, through(server, order).code) == (b"a;b y\n", 3)


def test_a_command_that_is_not_there(server: ForkServer, tmp_path: Path) -> None:
    order = Command(command=("no-such-command",), folder=tmp_path, environment=BASE, timeout=5, grace=1)
    ran = through(server, order)
    assert ran.code == 126
    assert "cannot execute no-such-command" in ran.text


def test_a_folder_that_is_not_there(server: ForkServer, tmp_path: Path) -> None:
    ran = through(server, command(tmp_path / "none"))
    assert ran.code == 126
    assert "cannot enter the working folder" in ran.text


def test_large_arguments_and_environment(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import os, sys\nprint(len(sys.argv[1]), len(os.environ['LARGE']))")
    order = command(tmp_path, "x" * 1_000_000, environment={"LARGE": "y" * 2_000_000})
    assert through(server, order).text == "1000000 2000000\n"


def test_an_interpreter_that_is_not_there() -> None:
    server = ForkServer("/bin/false", BASE)
    source, sink = os.pipe()
    with pytest.raises(StartFailed):
        server.start(command(Path("/")), sink)
    os.close(source)
    os.close(sink)
    server.close()


def test_many_at_once(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys, time\ntime.sleep(0.05)\nprint(sys.argv[1])")
    said: dict[int, str] = {}

    def run(number: int) -> None:
        said[number] = through(server, command(tmp_path, str(number))).text

    threads = [threading.Thread(target=run, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {number: f"{number}\n" for number in range(24)}


def test_no_core_is_written(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import resource\nprint(resource.getrlimit(resource.RLIMIT_CORE))")
    assert through(server, command(tmp_path)).text == "(0, 0)\n"


def test_what_a_script_sees_of_its_parents_is_clean(tmp_path: Path) -> None:
    """The environments of script, keeper and zygote. Not the worker's own: see steps/worker.py."""
    os.environ["FAKE_STORAGE_KEY"] = "c2VjcmV0"
    try:
        server = ForkServer(sys.executable, BASE)
        (tmp_path / "script.py").write_text(
            "import os\nkeeper = os.getppid()\nzygote = open(f'/proc/{keeper}/stat').read().rpartition(')')[2].split()[1]\n"
            "for pid in ('self', keeper, zygote):\n    print(open(f'/proc/{pid}/environ').read().replace(chr(0), ' '))\n"
            "print(os.environ)\n"
        )
        text = through(server, command(tmp_path)).text
        server.close()
    finally:
        del os.environ["FAKE_STORAGE_KEY"]
    assert text.count("PYTHONUNBUFFERED") == 4
    assert "FAKE_STORAGE_KEY" not in text
