"""The project's own source files, parsed once for all tests of its shape."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("azurerest", "devhost", "millstream", "orchestrator", "steps", "worker")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file. `name` is its path from the root."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


@cache
def product() -> tuple[Source, ...]:
    """Every module of the rooms, and function_app.py."""
    paths = [ROOT / "function_app.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]
    return tuple(_parse(path) for path in paths)


def imports(source: Source) -> Iterator[str]:
    """The dotted names that a file imports, wherever in it."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _parse(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(name=path.relative_to(ROOT).as_posix(), text=text, tree=ast.parse(text))
