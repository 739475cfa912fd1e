"""When the sweep sends a step again that stands still: a decision, never an action.

A ready step that nobody works on has lost its message, or its message waits in a long queue; storage does not tell
which. A lost message has to be replaced soon; a queue of a thousand must not get a thousand more with every sweep. So a
step is sent again by the first sweep that finds it, and those that were sent again before, all together, after 1, 2, 4,
8 ... sweeps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MOST_DOUBLINGS = 6
"""With a sweep a minute: about once an hour in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What the sweeps before have done: `sent` is a set of steps, `looks` counts the sweeps since all of it was sent,
    `rounds` how often that was."""

    sent: int = 0
    looks: int = 0
    rounds: int = 0


def look(before: Patience, waiting: int) -> tuple[Patience, int]:
    """What a sweep that finds this set of steps standing still remembers, and which of them it sends."""
    again = before.sent & waiting
    if not again:
        return Patience(sent=waiting), waiting
    looks = before.looks + 1
    if looks < 2**before.rounds:
        return replace(before, sent=waiting, looks=looks), waiting & ~again
    return Patience(sent=waiting, rounds=min(before.rounds + 1, MOST_DOUBLINGS)), waiting
