"""Where progress is shown: standard output, with colour only where somebody looks at it."""

from __future__ import annotations

import os
import sys
from typing import Final

_CODES: Final = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def say(text: str = "") -> None:
    """Write a line. The stream is looked up each time, so that notebooks and tests that replace it see it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def coloured() -> bool:
    """Whether standard output is a terminal that shows colours (see no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, *styles: str) -> str:
    """`text` in these styles where colours are shown, and plain elsewhere."""
    if not styles or not coloured():
        return text
    return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def duration(seconds: float) -> str:
    """A time span for people: 0.4 s, 12 s, 3:07 min, 1:02:09 h."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} h"


def amount(size: int) -> str:
    """A number of bytes for people."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
