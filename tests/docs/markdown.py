"""Reading the project's Markdown: fenced blocks and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
# What differs from one run to the next.
_VARYING = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<url>"),
    (re.compile(r"\b(?:\d+ min )?[\d.]+ s\b"), "<time>"),
    (re.compile(r"version \d+"), "version <n>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Console:
    """A command and what it is said to print."""

    command: str
    lines: tuple[str, ...]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return [text for kind, text in _FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def consoles(page: Path) -> list[Console]:
    """The blocks that show a command, after a $, and its output."""
    shown = [block.splitlines() for block in blocks(page, "console")]
    return [Console(first.removeprefix("$ "), tuple(rest)) for first, *rest in shown]


def links(page: Path) -> list[str]:
    """Where a page points to within the repository."""
    return [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]


def steady(line: str) -> str:
    """A line of output without what differs from run to run."""
    for pattern, name in _VARYING:
        line = pattern.sub(name, line)
    return line.strip()


def first_missing(wanted: tuple[str, ...], printed: str) -> str | None:
    """The first line of `wanted` that `printed` lacks, or has in another order; None: it has them all."""
    rest = iter([steady(line) for line in printed.splitlines()])
    return next((line for line in wanted if steady(line) not in rest), None)
