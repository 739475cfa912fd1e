"""Chance that is the same everywhere: a number for each row, from a seed, and from nothing else.

SplitMix64 (Steele, Lea, Flood 2014) in counter mode: the number of row `i` needs no row before it. v1 draws with a
generator of its own, so the same seed picks other rows there.
"""

from __future__ import annotations

GAMMA = 0x9E3779B97F4A7C15
MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SHIFTS = (30, 27, 31)
_MASK = 2**64 - 1


def key(seed: int, position: int) -> int:
    """The key of the operation at `position` of a document: equal seeds at different places draw differently."""
    return _mixed(_mixed(seed & _MASK) + (position + 1) * GAMMA)


def chance(of: int, index: int) -> float:
    """A number in [0, 1) with 53 random bits, for the row or file `index` (from 0) under the key `of`."""
    return (_mixed(of + (index + 1) * GAMMA) >> 11) * 2.0**-53


def threshold(share: float) -> int:
    """`chance(...) < share` is the same as `bits < threshold(share)`, for the 53 bits of the chance."""
    return min(max(int(-(-share * 2.0**53 // 1)), 0), 2**53)


def _mixed(value: int) -> int:
    value &= _MASK
    for shift, multiplier in zip(SHIFTS, MULTIPLIERS, strict=False):
        value = (value ^ value >> shift) * multiplier & _MASK
    return value ^ value >> SHIFTS[2]
