"""A script cannot tell how it was started: prepared process, fresh interpreter of the worker, or plain `python`."""

# ruff: noqa: E501
from __future__ import annotations

from pathlib import Path

import pytest

from steps.fork_server import ForkServer
from tests.unit.steps.running import command, plainly, through

SCRIPTS: dict[str, str | bytes] = {
    "nothing": "",
    "prints": "import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('out again')",
    "arguments": "import sys\nprint(sys.argv)\nprint(sys.orig_argv[1:], sys.executable)",
    "namespace": (
        "print(sorted(globals()))\n"
        "print(__name__, __file__, __package__, __spec__, __doc__, __builtins__, type(__loader__), __loader__.path)\n"
        "import sys\nmain = sys.modules['__main__']\nprint(vars(main) is globals(), main)"
    ),
    "docstring and annotations": "'''Said.'''\nx: int = 1\nprint(__doc__, __annotations__)",
    "path": "import sys, os\nprint(sys.path)\nprint(os.getcwd())\nprint(sorted(sys.path_importer_cache)[:0])",
    "environment": "import os\nprint(sorted(os.environ.items()))\nprint(os.popen('env | sort | grep -v ^_=').read())",
    "flags": "import sys\nprint(sys.flags, sys.warnoptions, sys._xoptions, sys.dont_write_bytecode, sys.prefix)",
    "site": "import site\nprint(site.ENABLE_USER_SITE, site.USER_BASE, site.USER_SITE, site.PREFIXES)",
    "standard streams": (
        "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr):\n"
        "    print(type(s), type(s.buffer), s.name, s.mode, s.encoding, s.errors, s.isatty(), s.line_buffering,"
        " s.write_through, s is getattr(sys, '__' + s.name.strip('<>') + '__'))\nprint(repr(sys.stdin.read()))"
    ),
    "descriptors": "import os\nprint(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))",
    "signals": (
        "import signal\nprint([(s, signal.getsignal(s)) for s in signal.valid_signals()])\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.set_wakeup_fd(-1))"
    ),
    "limits and session": "import os, resource\nprint(os.getsid(0) == os.getpid() == os.getpgrp(), os.umask(0o22))",
    "exit 3": "import sys\nsys.exit(3)",
    "exit 0": "import sys\nsys.exit(0)",
    "exit None": "raise SystemExit",
    "exit text": "import sys\nsys.exit('no luck: ü')",
    "exit object": "import sys\nsys.exit({'a': 1})",
    "exit 256": "import sys\nsys.exit(256)",
    "exit -1": "import sys\nsys.exit(-1)",
    "exit true": "import sys\nsys.exit(True)",
    "os._exit": "import os\nprint('x', end='')\nos._exit(7)",
    "exception": "def f():\n    return 1 / 0\n\ndef g():\n    f()\n\ng()",
    "chained": "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('so') from e",
    "context": "try:\n    {}['k']\nexcept KeyError:\n    raise ValueError('so')",
    "group": "raise ExceptionGroup('many', [ValueError('a'), TypeError('b')])",
    "notes": "e = ValueError('x')\ne.add_note('look here')\nraise e",
    "exception of exception": "class E(Exception):\n    def __str__(self): return 1/0\nraise E",
    "syntax error": "print(1)\nx = = 2\n",
    "indentation": "if True:\nprint(1)\n",
    "null byte": "print(1)\n\0\n",
    "bad encoding": "# -*- coding: nonsense -*-\nprint(1)",
    "not utf-8": b"print('\xff')",
    "latin-1": b"# -*- coding: latin-1 -*-\nprint('\xe9')",
    "byte order mark": b"\xef\xbb\xbfprint('bom')",
    "recursion": "def f(): f()\ntry:\n    f()\nexcept RecursionError as e:\n    print(e)",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "interrupted": "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "segmentation fault": "import ctypes\nctypes.string_at(0)",
    "abort": "import os\nos.abort()",
    "broken pipe": "import os\nr, w = os.pipe()\nos.close(r)\nos.write(w, b'x')",
    "atexit": "import atexit\natexit.register(print, 'bye')\nprint('body')",
    "atexit raises": "import atexit\nclass F:\n    def __repr__(self): return 'F'\n    def __call__(self): raise ValueError('late')\natexit.register(F())\nprint('body')",
    "atexit after error": "import atexit\natexit.register(print, 'bye')\n1 / 0",
    "thread joins": (
        "import threading, time\ndef f():\n    time.sleep(0.05)\n    print('thread')\n"
        "threading.Thread(target=f).start()\nprint('main')"
    ),
    "daemon thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "thread raises": "import threading\ndef f():\n    raise ValueError('t')\nt = threading.Thread(target=f)\nt.start()\nt.join()",
    "executor": (
        "from concurrent.futures import ThreadPoolExecutor\nimport time\n"
        "pool = ThreadPoolExecutor(1)\npool.submit(lambda: (time.sleep(0.05), print('done')))"
    ),
    "unclosed file": "import os\nf = open('kept.txt', 'w')\nf.write('text')",
    "destructor": "class A:\n    def __del__(self): print('gone')\na = A()\nprint('end')",
    "destructor in cycle": "class A:\n    def __del__(self): print('gone', print is not None)\na = A()\na.self = a",
    "destructor uses globals": "import os\nclass A:\n    def __del__(self): print('gone', os is not None)\na = A()",
    "destructor of a module": "import helper\nhelper.keep()",
    "weak finalizer": "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, 'final')",
    "own excepthook": "import sys\nsys.excepthook = lambda *a: print('hook', a[1], a[2].tb_next is None)\n1 / 0",
    "hook raises": "import sys\ndef h(*a):\n    raise KeyError('hook')\nsys.excepthook = h\n1 / 0",
    "hook exits": "import sys\ndef h(*a):\n    sys.exit(9)\nsys.excepthook = h\n1 / 0",
    "replaced stdout": "import sys, io\nsys.stdout = io.StringIO()\nprint('lost')",
    "buffered stdout": "import sys, io\nsys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, 'w', closefd=False)))\nprint('kept')",
    "closed stdout": "import sys\nsys.stdout.close()",
    "main guard": "if __name__ == '__main__':\n    print('main')",
    "import beside": "import helper\nprint(helper.__file__, helper.VALUE)",
    "import main": "import __main__, sys\nprint(__main__ is sys.modules['__main__'], __main__.__file__)",
    "import missing": "import no_such_module_anywhere",
    "import raises": "import broken",
    "future": "from __future__ import annotations\nx: undefined_name = 1\nprint(__annotations__)",
    "no inherited future": "x: print('evaluated') = 1",
    "pickle": "import pickle\nclass A: x = 1\nprint(pickle.loads(pickle.dumps(A())).x, A.__module__)",
    "inspect": "import inspect\ndef f():\n    return 2\nprint(inspect.getsource(f))",
    "logging": "import logging\nlogging.basicConfig(level=10)\nlogging.info('hello')\nlogging.getLogger('x').warning('w')",
    "logging clock": "import logging, time\nr = logging.makeLogRecord({})\nr = logging.LogRecord('n', 10, '', 1, '', (), None)\nprint(0 <= r.relativeCreated < 2000, type(logging._startTime))",
    "warning": "import warnings\nwarnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)",
    "multiprocessing spawn": (
        "import multiprocessing\ndef f(x):\n    return x * x\nif __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.map(f, [1, 2, 3]))"
    ),
    "multiprocessing fork": (
        "import multiprocessing\ndef f(x):\n    return x * x\nif __name__ == '__main__':\n"
        "    with multiprocessing.get_context('fork').Pool(1) as pool:\n        print(pool.map(f, [1, 2, 3]))"
    ),
    "fork": "import os\npid = os.fork()\nif pid == 0:\n    print('child')\nelse:\n    os.waitpid(pid, 0)\n    print('parent')",
    "subprocess": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True).stdout)",
    "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\nprint(asyncio.run(f()))",
    "argparse": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', type=int)\nprint(p.parse_args())",
    "argparse help": "import argparse\nargparse.ArgumentParser().parse_args(['-h'])",
    "temporary files": "import tempfile, os\nprint(os.path.dirname(tempfile.mkdtemp()), tempfile.gettempdir())",
    "time zone": "import time\nprint(time.tzname)",
    "locale": "import locale\nprint(locale.getpreferredencoding(), locale.setlocale(locale.LC_ALL))",
    "unicode": "print('žluťoučký 🐎')\nprint('\\udc80')",
    "binary": "import os\nos.write(1, bytes(range(256)))",
    "numpy": "import numpy\nprint(numpy.arange(3).sum())\nf = open('kept.txt', 'w')\nf.write('text')",
}
ENVIRONMENTS: dict[str, tuple[dict[str, str], str]] = {
    "HASHSEED": ({"PYTHONHASHSEED": "7"}, "print(hash('a'), {'a', 'b', 'c'})"),
    "TZ": ({"TZ": "Asia/Tokyo"}, "import time\nprint(time.tzname)"),
    "PYTHONPATH": ({"PYTHONPATH": "more"}, "import further\nprint(further.VALUE)"),
    "PYTHONOPTIMIZE": ({"PYTHONOPTIMIZE": "1"}, "assert False\nprint(__debug__)"),
    "PYTHONWARNINGS": ({"PYTHONWARNINGS": "error"}, "import warnings\nwarnings.warn('x')"),
    "LANG": ({"LANG": "C", "LC_ALL": "C"}, "import sys\nprint(sys.stdout.encoding, sys.stdout.errors)"),
    "other": ({"ANSWER": "42 = 6 x 7", "EMPTY": ""}, "import os\nprint(os.environ['ANSWER'], os.getenv('EMPTY'))"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text(
        "VALUE = 5\nclass A:\n    def __del__(self): print('gone', VALUE)\ndef keep():\n    global a\n    a = A()\n"
    )
    (tmp_path / "broken.py").write_text("raise RuntimeError('at import')\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "further.py").write_text("VALUE = 6\n")
    return tmp_path


def write(folder: Path, source: str | bytes) -> None:
    (folder / "script.py").write_bytes(source if isinstance(source, bytes) else source.encode(errors="surrogateescape"))


def left(folder: Path) -> str | None:
    """What the script wrote to its file, which is then removed."""
    file = folder / "kept.txt"
    if not file.exists():
        return None
    text = file.read_text()
    file.unlink()
    return text


def both(server: ForkServer, folder: Path, *arguments: str, fresh: bool = False) -> tuple[object, object]:
    """(output, exit code, kept file) of the script through the server and as a plain process."""
    environment = {"TMPDIR": str(folder)}
    expected = plainly(folder, *arguments, environment=environment), left(folder)
    order = command(folder, *arguments, environment=environment, fresh=fresh)
    return (through(server, order), left(folder)), expected


@pytest.mark.parametrize("name", SCRIPTS)
def test_prepared_equals_plain(server: ForkServer, folder: Path, name: str) -> None:
    write(folder, SCRIPTS[name])
    arguments = ("--x", "1") if name == "argparse" else ("a b", "", "ž", "--flag")
    ours, expected = both(server, folder, *arguments)
    assert ours == expected


@pytest.mark.parametrize(
    "name", ["arguments", "descriptors", "environment", "exit text", "signals", "standard streams"]
)
def test_fresh_equals_plain(server: ForkServer, folder: Path, name: str) -> None:
    write(folder, SCRIPTS[name])
    ours, expected = both(server, folder, "a b", "", fresh=True)
    assert ours == expected


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_equals_plain(server: ForkServer, folder: Path, name: str) -> None:
    environment, source = ENVIRONMENTS[name]
    write(folder, source)
    expected = plainly(folder, environment=environment)
    assert through(server, command(folder, environment=environment)) == expected


WHO = "import os\nprint(b'zygote' in open('/proc/self/cmdline', 'rb').read())\n"


def test_a_usual_script_runs_in_a_prepared_process(server: ForkServer, folder: Path) -> None:
    write(folder, WHO)
    assert through(server, command(folder)).text == "True\n"
    assert through(server, command(folder, fresh=True)).text == "False\n"


@pytest.mark.parametrize("name", ["csv.py", "random", "subprocess.cpython-311-x86_64-linux-gnu.so"])
def test_a_module_of_the_scripts_own_wins_over_a_prepared_one(server: ForkServer, folder: Path, name: str) -> None:
    beside = folder / name
    if name.endswith(".py"):
        beside.write_text("OWN = True\n")
    elif "." in name:
        beside.write_bytes(b"")
    else:
        beside.mkdir()
        (beside / "__init__.py").write_text("OWN = True\n")
    write(folder, WHO)
    assert through(server, command(folder)).text == "False\n"


def test_a_script_in_a_folder_finds_its_neighbours(server: ForkServer, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "beside.py").write_text("VALUE = 1\n")
    (folder / "sub" / "script.py").write_text(
        "import sys, os, beside\nprint(sys.argv, sys.path[0], os.getcwd(), __file__)"
    )
    order = command(folder, script="sub/script.py")
    assert through(server, order) == plainly(folder, script="sub/script.py")


def test_scripts_do_not_share_state(server: ForkServer, folder: Path) -> None:
    write(
        folder,
        "import random, json, uuid\nprint(random.random(), uuid.uuid4(), hasattr(json, 'mark'))\njson.mark = 1\n",
    )
    said = [through(server, command(folder)).text for _ in range(3)]
    assert len(set(said)) == 3
    assert all(line.endswith("False\n") for line in said)


def test_no_module_of_the_project_is_there(server: ForkServer, folder: Path) -> None:
    write(
        folder,
        "import sys\nprint([m for m in sys.modules if m.split('.')[0] in ('steps', 'orchestrator', 'azurerest')])",
    )
    assert through(server, command(folder)).text == "[]\n"
