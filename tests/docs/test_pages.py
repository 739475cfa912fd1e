"""The documents as they stand: links lead somewhere, and what the README repeats is what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.test import checks
from tests.docs.markdown import PAGES, ROOT, blocks, consoles, links

README = ROOT / "README.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_the_index_names_every_document() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link).resolve() for link in links(index)}
    assert {path for path in index.parent.iterdir() if path != index} <= named


def test_the_readme_stays_short() -> None:
    assert len(README.read_text().splitlines()) <= 120


def test_the_first_program_is_the_first_example() -> None:
    assert blocks(README, "python")[0] == (ROOT / "examples" / "first" / "pipeline.py").read_text()


def test_the_checks_are_those_of_scripts_test() -> None:
    (shown,) = [console for console in consoles(README) if console.command == "scripts/test"]
    assert [line.split()[:2] for line in shown.lines] == [["ok", check.name] for check in checks([])]


def test_every_script_is_explained() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    scripts = [path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and "." not in path.name]
    assert [name for name in scripts if not name.startswith("_") and f"scripts/{name}" not in text] == []
