"""Reading the tables of docs/cost.md."""

from __future__ import annotations

from tests.docs.markdown import ROOT

PAGE = ROOT / "docs" / "cost.md"


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its own heading."""
    _, _, rest = PAGE.read_text().partition(f"\n## {heading}\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip(" `*") for cell in line.strip("|").split("|")] for line in lines[2:]]
