"""Where a Python with pyspark is, for the tests that start a real Spark."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".cache" / "spark" / "bin" / "python"


def spark_python() -> str:
    """The interpreter. Without pyspark or Java the test skips; where CI is set, it fails."""
    here = str(PYTHON) if PYTHON.is_file() else ""
    if find_spec("pyspark") is not None:
        import sys

        here = sys.executable
    java = shutil.which("java") or os.environ.get("JAVA_HOME")
    if here and java:
        return here
    reason = "needs pyspark and Java: run scripts/spark, and install Java 17 (apt install openjdk-17-jre-headless)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
