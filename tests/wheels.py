"""Wheels of a line of Python, made by hand, folders of them that uv takes for an index, and a stand-in for an index."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.millstream.loopback import Answer, Asked, Loopback, loopback


def wheel(folder: Path, name: str, version: str = "1.0", source: str = "", program: str = "") -> Path:
    """A wheel with the module `name`, which has VERSION and what is in `source`, and with a program of that name."""
    info = f"{name}-{version}.dist-info"
    files = {
        **({f"{name}-{version}.data/scripts/{name}": program} if program else {}),
        f"{name}.py": f"VERSION = {version!r}\n{source}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_sum(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as target:
        for name_, text in files.items():
            target.writestr(name_, text)
    return path


@contextmanager
def index(folder: Path) -> Iterator[Loopback]:
    """A stand-in for an index, which has the wheels of the folder: the simple API in JSON (PEP 691), below /simple."""

    def answer(asked: Asked) -> Answer:
        _, place, name, *_ = asked.path.split("/")
        if place == "files":
            return Answer(body=(folder / name).read_bytes())
        found = [
            {"filename": path.name, "url": f"/files/{path.name}", "hashes": {"sha256": _digest(path)}}
            for path in sorted(folder.glob(f"{name}-*.whl"))
        ]
        page = {"meta": {"api-version": "1.0"}, "name": name, "files": found}
        headers = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
        return Answer(status=200 if found else 404, body=json.dumps(page).encode(), headers=headers)

    with loopback(answer) as server:
        yield server


def pin(path: Path) -> str:
    """The line of a requirements file that asks for exactly this wheel."""
    name, version, *_ = path.name.split("-")
    return f"{name}=={version} --hash=sha256:{_digest(path)}\n"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sum(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
