"""Tables, moments and statuses as the command line prints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from millstream.console import say, styled
from millstream.follow import COLOURS


def moment(seconds: float) -> str:
    """Epoch seconds in the time zone of this machine."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def coloured(status: str) -> str:
    return styled(status, COLOURS[status]) if status in COLOURS else status


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the first one is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        say(styled("  ".join(cells).rstrip(), "dim") if number == 0 else _line(row, cells))


def _line(row: Iterable[str], cells: Iterable[str]) -> str:
    return "  ".join(cell.replace(text, coloured(text), 1) for text, cell in zip(row, cells, strict=True)).rstrip()
