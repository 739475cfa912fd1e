"""What a cold start of the app does not wait for."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.architecture.source import ROOT

HEAVY = (
    "pandas",
    "pyarrow",
    "numpy",
    "sqlalchemy",
    "duckdb",
    "cryptography",
    "jwt",
    "requests",
    "millstream",
    "devhost",
)
CODE = """
import ssl, sys
made = []
ssl.create_default_context = lambda *a, **k: made.append(1)
import function_app
print(*sorted({name.partition(".")[0] for name in sys.modules}), sep="\\n")
print("contexts", len(made))
function_app.equipment.steps.close()
"""


def test_importing_the_app_imports_nothing_that_only_some_need() -> None:
    settings = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "MILLSTREAM_TOKEN": "t",
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=settings, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split("\n")
    assert set(HEAVY) & set(loaded) == set()
    assert "contexts 0" in loaded  # what the system trusts is read when the first call needs it
