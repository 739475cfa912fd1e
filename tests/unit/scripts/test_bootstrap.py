"""The client of a clone is at hand as an installed one would be."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_command_is_callable_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text("from azureml.core import Run; print(Run.__module__)")
    command: list[str | Path] = [ROOT / ".venv" / "bin" / "millstream", "run", "driver.py"]
    variables = {"MILLSTREAM_ENDPOINT": "http://127.0.0.1:9", "MILLSTREAM_TOKEN": "x"}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "millstream.run_context\n"
