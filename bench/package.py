"""What the package of the Functions app weighs, and what it costs to import it cold.

    scripts/bench package

Builds the package, unpacks it as the host would, and imports function_app.py in fresh processes of the app's Python:
CPU seconds, the fewest of some; with byte code as shipped, and without it.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts import package

ROUNDS = 7
ENVIRONMENT = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "MILLSTREAM_TOKEN": "benchmark",
    "PATH": os.environ["PATH"],
    "PYTHONPATH": package.SITE,
    "PYTHONDONTWRITEBYTECODE": "1",
}


def cpu_seconds(python: str, folder: Path) -> float:
    """CPU time of one process that imports the app."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", "import function_app"], cwd=folder, env=ENVIRONMENT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print the figures; they need a Python of the app's version."""
    python = package.target_python()
    if python is None:
        print(f"this needs a Python {package.PYTHON}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="package-") as place:
        folder = Path(place) / "app"
        package.stage(folder)
        bare = Path(place) / "bare"
        shutil.copytree(folder, bare)
        package.compile_all(folder)
        package.pack(folder, Path(place) / "app.zip")
        print(f"package      {(Path(place) / 'app.zip').stat().st_size / 1e6:6.1f} MB")
        base = min(_bare(python) for _ in range(ROUNDS))
        for name, where in (("with", folder), ("without", bare)):
            best = min(cpu_seconds(python, where) for _ in range(ROUNDS))
            print(f"{name:8} byte code: {best:.2f} s CPU, of which the interpreter {base:.2f}")
    return 0


def _bare(python: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", "pass"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
