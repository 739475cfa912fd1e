"""An interpreter that has the real azureml-core, made on first use in the clone's cache."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".cache" / "azureml-core"
PINNED = ("azureml-core==1.61.0.post4", "setuptools==80.9.0")


def interpreter() -> str:
    """Its path. Skips the test where azureml-core cannot be installed."""
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with VENV.with_name("azureml-core.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made()


def _made() -> str:
    python, stamp = VENV / "bin" / "python", VENV / "pinned.txt"
    if stamp.is_file() and stamp.read_text() == "\n".join(PINNED):
        return str(python)
    shutil.rmtree(VENV, ignore_errors=True)
    uv = str(Path(sys.executable).parent / "uv")
    for command in (
        [uv, "venv", "--python", sys.executable, str(VENV)],
        [uv, "pip", "install", "--python", str(python), *PINNED],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"azureml-core cannot be installed: {done.stderr.strip()[-300:]}")
    stamp.write_text("\n".join(PINNED))
    return str(python)
