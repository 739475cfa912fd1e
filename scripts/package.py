"""Builds the package of the Functions app.

    scripts/package [--folder DIST]

Built here and not by the host: a build in the cloud takes minutes, may take another Python than the app's, and makes no
byte code, without which a cold start compiles every module first.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import uv

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
PLATFORM = "x86_64-manylinux_2_28"
FILES = ("function_app.py", "host.json")
ROOMS = ("azurerest", "millstream", "orchestrator", "steps", "worker")
SITE = ".python_packages/lib/site-packages"
DEPLOYED_AT = "/home/site/wwwroot"
_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "*.pyc", "*.pyi", "bin", "tests", "RECORD", "INSTALLER", "uv_cache.json"
)
_EPOCH = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """The package cannot be built; the text says what to do."""


def stage(folder: Path) -> None:
    """Lay out below `folder` what the host is to find: our code, and the packages it needs. Raises PackageError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=_LEFT_OUT)
    wheels = folder.with_name(f"{folder.name}-wheels")
    shutil.rmtree(wheels, ignore_errors=True)
    _install(wheels)
    shutil.copytree(wheels, folder / SITE, ignore=_LEFT_OUT)
    shutil.rmtree(wheels)


def _install(target: Path) -> None:
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--target", str(target)]
    command += ["--python-version", PYTHON, "--python-platform", PLATFORM, "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, "--requirement", str(ROOT / "requirements.txt")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PackageError(f"uv could not install requirements.txt for Python {PYTHON}:\n{done.stderr.strip()}")


def compile_all(folder: Path) -> bool:
    """Add byte code that is never held against its source; False: no Python of the app's version is here."""
    python = target_python()
    if python is None:
        return False
    command = [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, "-s", str(folder), "-p", DEPLOYED_AT, str(folder)], check=True)
    return True


def target_python() -> str | None:
    """A Python of the app's version: byte code is of one version."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{PYTHON}.*/bin/python{PYTHON}"))
    for candidate in (sys.executable, shutil.which(f"python{PYTHON}"), *map(str, pyenv)):
        if candidate is not None and _version(candidate) == PYTHON:
            return candidate
    return None


def _version(python: str) -> str:
    said = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", said], capture_output=True, text=True, check=False).stdout.strip()


def pack(folder: Path, archive: Path) -> str:
    """Zip the folder; the same files give the same bytes. Returns its sha256, in hex."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in _files(folder):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            packed.writestr(info, path.read_bytes())
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted((path for path in folder.rglob("*") if path.is_file()), key=Path.as_posix)


def main() -> int:
    """Build, and say what was built."""
    parser = argparse.ArgumentParser(description="Builds the package of the Functions app.")
    parser.add_argument("--folder", type=Path, default=ROOT / "dist", help="where it is put (default: dist)")
    folder: Path = parser.parse_args().folder
    try:
        stage(folder / "app")
    except PackageError as error:
        print(error, file=sys.stderr)
        return 1
    compiled = compile_all(folder / "app")
    digest = pack(folder / "app", folder / "millstream.zip")
    size = (folder / "millstream.zip").stat().st_size
    print(f"{folder / 'millstream.zip'}: {size / 1e6:.1f} MB, sha256 {digest}")
    if not compiled:
        print(f"without byte code, since there is no Python {PYTHON} here: cold starts take about a second more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
