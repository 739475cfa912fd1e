"""Every invocation through the local host's worker and through Microsoft's own runtime must come out the same."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devhost import wire
from devhost.console import Console
from devhost.dispatcher import Dispatcher
from devhost.worker.loader import load_function
from tests.conformance.cases import Case, Wire, all_cases
from tests.conformance.signatures import BUILDERS, verdicts

HERE = Path(__file__).resolve().parent
APP = HERE / "app"
ROOT = HERE.parent.parent
VENV = ROOT / ".cache" / "conformance-venv"
ORACLE = ("azure-functions==2.3.0", "azure-functions-runtime==1.3.0")
CASES = all_cases()
ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "TZ": "UTC"}


def _python_313() -> str | None:
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("3.13.*/bin/python3.13"))
    found = [*map(str, pyenv), *([path] if (path := shutil.which("python3.13")) else [])]
    works = (one for one in found if subprocess.run([one, "-c", ""], capture_output=True, check=False).returncode == 0)
    return next(works, None)


def _oracle_python() -> str:
    """The interpreter with the oracle's pinned packages, made on first use; skips when that is not possible here."""
    python = VENV / "bin" / "python"
    stamp = VENV / "pinned.txt"
    if stamp.is_file() and stamp.read_text() == "\n".join(ORACLE):
        return str(python)
    base = _python_313()
    if base is None:
        pytest.skip("the conformance oracle needs Python 3.13")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None:
        pytest.skip("the conformance oracle is installed with uv, which is not here")
    shutil.rmtree(VENV, ignore_errors=True)
    for command in (
        [uv, "venv", "--python", base, str(VENV)],
        [uv, "pip", "install", "--python", str(python), *ORACLE],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the conformance oracle cannot be installed: {done.stderr.strip()[-300:]}")
    stamp.write_text("\n".join(ORACLE))
    return str(python)


@pytest.fixture(scope="session")
def oracle() -> dict[str, Any]:
    """What Microsoft's runtime answers to all cases, and which signatures it takes."""
    done = subprocess.run(
        [_oracle_python(), str(HERE / "oracle.py")],
        input=json.dumps({"app": str(APP), "cases": CASES}),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="session")
def worker() -> Iterator[Dispatcher]:
    """The local host's dispatcher with a worker process on the same app."""
    dispatcher = Dispatcher(app_dir=APP, environment=ENVIRONMENT, timeout=30, console=Console(quiet=True))
    dispatcher.start(30)
    yield dispatcher
    dispatcher.stop()


def to_wire(value: Wire) -> wire.Datum:
    kind = value["kind"]
    if kind == "http":
        request = {**value["request"], "body": base64.b64decode(value["request"]["body"])}
        return wire.Datum(kind=kind, request=wire.HttpIn(**request))
    if kind == "bytes":
        return wire.blob(base64.b64decode(value["data"]))
    return wire.Datum(kind=kind, text=value.get("text", ""))


def ours(dispatcher: Dispatcher, case: Case) -> dict[str, Any]:
    call = wire.Invoke(
        id=case["id"],
        function=case["function"],
        inputs=[(name, to_wire(value)) for name, value in case["inputs"]],
        metadata={name: to_wire(value) for name, value in case["metadata"].items()},
    )
    done = dispatcher.submit(call).result(30)
    if not done.ok:
        return {"ok": False, "error": done.error}
    outputs = [[name, plain(datum)] for name, datum in done.outputs]
    return {"ok": True, "result": plain(done.result) if done.result else None, "outputs": outputs}


def plain(datum: wire.Datum) -> Any:
    """A wire value in the oracle's JSON: the fields of its TypedData."""
    if datum.kind == "bytes":
        return {"bytes": b64(datum.data)}
    if datum.kind == "int":
        return {"int": int(datum.text)}
    if datum.kind == "double":
        return {"double": float(datum.text)}
    if datum.response is None:
        return {datum.kind: datum.text} if datum.kind else None
    response = datum.response
    return {
        "http": {
            "status_code": response.status,
            "headers": response.headers,
            "cookies": None if response.cookies is None else [cookie(one) for one in response.cookies],
            "enable_content_negotiation": False,
            "body": {"bytes": b64(response.body)},
        }
    }


def cookie(value: wire.Cookie) -> dict[str, Any]:
    def nullable(item: Any) -> Any:
        return None if item is None else {"value": item}

    return {
        "name": value.name,
        "value": value.value,
        "domain": nullable(value.domain),
        "path": nullable(value.path),
        "expires": None if value.expires is None else {"value": {"seconds": value.expires}},
        "secure": nullable(value.secure),
        "http_only": nullable(value.http_only),
        "same_site": value.same_site,
        "max_age": nullable(value.max_age),
    }


def b64(data: bytes) -> dict[str, str]:
    return {"base64": base64.b64encode(data).decode()}


def error_type(text: str) -> str:
    """``ValueError`` of both ``ValueError('x')`` and ``ValueError: x``."""
    return text.partition(":")[0].partition("(")[0]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_an_invocation_comes_out_the_same(worker: Dispatcher, oracle: dict[str, Any], case: Case) -> None:
    expected = oracle["answers"][case["id"]]
    found = ours(worker, case)
    assert found["ok"] == expected["ok"], (found, expected)
    if expected["ok"]:
        assert found == expected
    else:
        assert error_type(found["error"]) == error_type(expected["error"]), (found, expected)


@pytest.fixture(scope="session")
def our_verdicts() -> dict[str, bool]:
    return verdicts(load_function)


@pytest.mark.parametrize("signature", BUILDERS)
def test_a_signature_is_judged_the_same(oracle: dict[str, Any], our_verdicts: dict[str, bool], signature: str) -> None:
    assert our_verdicts[signature] == oracle["verdicts"][signature]


def test_the_cases_are_not_one_sided(oracle: dict[str, Any]) -> None:
    outcomes = [answer["ok"] for answer in oracle["answers"].values()]
    taken = list(oracle["verdicts"].values())
    assert len(outcomes) >= 60
    assert min(outcomes.count(True), outcomes.count(False), taken.count(True), taken.count(False)) >= 15
