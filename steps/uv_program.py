"""uv, which makes environments: the one beside the worker, or else one that is brought to the node when it is needed.

It is brought by pip, from the index that uv or pip is configured for, in the version and with the hashes of uv.txt; of
its wheel the program alone is kept. It lies among the environments (`steps.venvs`), as one of them: whole or not at
all, made by one process while others wait, and removed for room like any other.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from steps.installed import interpreter

PINNED: Final = Path(__file__).with_name("uv.txt")
PROGRAM: Final = "uv"
PIP: Final = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONFIG_FILE", "PIP_PROXY"),
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES", "REQUESTS_CA_BUNDLE"),
)
"""What of the worker's own variables tells pip of indexes, proxies and certificates. They may hold passwords."""
ADVICE: Final = (
    "Let the node reach an index of packages (UV_DEFAULT_INDEX or PIP_INDEX_URL among the worker's variables), name a "
    "uv that is there by MILLSTREAM_UV, or install millstream[environments] beside the worker."
)


def installed() -> str | None:
    """The path of uv: of its package beside the worker, or else on PATH."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which(PROGRAM)


def key(pinned: Path) -> str:
    """The name of the uv that `pinned` asks for among the environments of this node."""
    made_of = "\n".join([pinned.read_text(encoding="utf-8"), *interpreter()])
    return f"{PROGRAM}-{hashlib.sha256(made_of.encode()).hexdigest()}"


def download(python: str, pinned: Path, folder: Path) -> tuple[str, ...] | None:
    """The command that puts the wheel of uv into `folder`; None: there is no pip here."""
    pip = _pip(python)
    if pip is None:
        return None
    options = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-cache-dir", "--no-input", "--quiet")
    quiet = ("--disable-pip-version-check", "--progress-bar", "off")
    return (*pip, "download", *options, *quiet, "--dest", str(folder), "--requirement", str(pinned))


def _pip(python: str) -> tuple[str, ...] | None:
    if find_spec("pip") is not None:
        return python, "-I", "-m", "pip"
    found = find_spec("ensurepip")  # Debian keeps it in a package of its own
    if found is None or found.origin is None:
        return None
    # What `python -m ensurepip` would install runs as it is.
    bundled = sorted((Path(found.origin).parent / "_bundled").glob("pip-*.whl"))
    return (python, "-I", str(bundled[-1] / "pip")) if bundled else None


def variables(configuration: Mapping[str, str]) -> dict[str, str]:
    """What pip is to know: the indexes of uv come before those of pip, as for the environments themselves."""
    found = {name: value for name, value in configuration.items() if not name.startswith("UV_")}
    index = configuration.get("UV_DEFAULT_INDEX") or configuration.get("UV_INDEX_URL")
    if index:
        found["PIP_INDEX_URL"] = _url(index)
    more = re.split(r"\s+", " ".join(configuration.get(name, "") for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL")))
    links = re.split(r"[,\s]+", configuration.get("UV_FIND_LINKS", ""))
    for name, urls in (("PIP_EXTRA_INDEX_URL", map(_url, more)), ("PIP_FIND_LINKS", links)):
        listed = [url for url in (*urls, found.get(name, "")) if url]
        if listed:
            found[name] = " ".join(listed)
    if configuration.get("UV_OFFLINE", "").lower() in ("1", "true") or configuration.get("UV_NO_INDEX"):
        found["PIP_NO_INDEX"] = "1"
    return found


def _url(index: str) -> str:
    """Of an index as uv has them: `https://...` or `name=https://...`."""
    return re.sub(r"^[\w.-]+=", "", index)


def unpack(wheels: Path, place: Path) -> None:
    """Keep the program of the wheel in `wheels` as `place`/bin/uv. Raises OSError."""
    (wheel,) = wheels.glob("*.whl")
    target = place / "bin" / PROGRAM
    target.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(f".data/scripts/{PROGRAM}"))
        with packed.open(name) as source, target.open("wb") as made:
            shutil.copyfileobj(source, made)
    target.chmod(0o755)
