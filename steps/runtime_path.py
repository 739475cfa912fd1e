"""The folder that makes the packages of this project, and no others of the app, importable for scripts."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("millstream", "orchestrator")
STAND_IN = ("azureml", "millstream", "shim/azureml")
"""For scripts that import azureml: the name, and where its package lies in one of ours. See millstream.shim."""


def prepare(parent: Path) -> Path:
    """A folder below `parent` with links to the packages; made once, shared by all workers of the same app."""
    places = {name: _place(name) for name in PACKAGES}
    places[STAND_IN[0]] = places[STAND_IN[1]] / STAND_IN[2]
    text = "\n".join(f"{name} {place}" for name, place in places.items())
    target = parent / hashlib.sha256(text.encode()).hexdigest()[:16]
    if not target.is_dir():
        parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=parent))
        for name, place in places.items():
            (draft / name).symlink_to(place, target_is_directory=True)
        try:
            draft.rename(target)
        except OSError:
            # Another process was quicker.
            for name in places:
                (draft / name).unlink()
            draft.rmdir()
    return target


def _place(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {package!r} of this project is not importable here", name=package)
    return Path(spec.submodule_search_locations[0]).resolve()


def package_folders() -> tuple[str, ...]:
    """Folders of installed packages that this process has beyond those of its interpreter, as on a Functions host."""
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    named = ("site-packages", "dist-packages")
    return tuple(path for path in sys.path if os.path.basename(path) in named and path not in own)  # noqa: PTH119
