from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.paths import UnsafeName, below, check

UNSAFE = {
    "": "is empty",
    "/etc/passwd": "absolute",
    "C:/Windows": "absolute",
    "c:x": "absolute",
    "..": "'..'",
    "a/../b": "'..'",
    "a/..": "'..'",
    "./a": "'.'",
    "a//b": "empty",
    "a/": "empty",
    "a\\b": "backslash",
    "a\nb": "control",
    "a\0": "control",
    "a\x85": "control",
    "x" * 256: "255 bytes",
    "ž" * 128: "255 bytes",
    "a/" * 600 + "a": "1024",
    "\udc80": "Unicode",
}


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(UnsafeName, match=UNSAFE[name]):
        check(name)


@pytest.mark.parametrize("name", ["a", "a/b.csv", ".hidden", "a b/ž.txt", "...", "-rf", "x" * 255, "ab:c", "~"])
def test_safe_names_pass(name: str) -> None:
    assert check(name) == name


@given(st.text())
def test_a_name_that_passes_stays_below_its_root(name: str) -> None:
    root = Path("/folder/of/it")
    try:
        path = below(root, name)
    except UnsafeName:
        return
    assert path.resolve().is_relative_to(root)
    assert path != root
