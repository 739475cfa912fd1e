"""The lock files: complete, hashed, as wanted by pyproject.toml, and made for every registry."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.bootstrap import entry

ROOT = Path(__file__).resolve().parents[3]
LOCK = (ROOT / "requirements-dev.txt").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
AZURITE = json.loads((ROOT / "devhost" / "azurite" / "package-lock.json").read_text())


def pins() -> dict[str, list[Version]]:
    """What the lock pins; a package may have a version for each range of Python versions."""
    found: dict[str, list[Version]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(Version(version))
    return found


def wanted() -> Iterator[Requirement]:
    """What is asked for by name."""
    groups: dict[str, list[Any]] = PROJECT["dependency-groups"]
    named = [line for group in groups.values() for line in group if isinstance(line, str)]
    for line in [*named, *PROJECT["project"]["dependencies"]]:
        yield Requirement(line)
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            yield Requirement(line)


@pytest.mark.parametrize("requirement", list(wanted()), ids=str)
def test_the_lock_has_what_is_asked_for(requirement: Requirement) -> None:
    """After a change of pyproject.toml or requirements.txt, run scripts/lock."""
    versions = pins()[canonicalize_name(requirement.name)]
    assert any(version in requirement.specifier for version in versions)


def test_every_pin_has_hashes() -> None:
    entries = re.split(r"^(?=\S+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_workers_bring_the_uv_of_the_lock() -> None:
    assert (ROOT / "steps" / "uv.txt").read_text() == entry("uv", LOCK)


def test_one_package_is_taken_out_of_the_lock() -> None:
    found = entry("uv", LOCK)
    assert found.startswith("uv==")
    assert found.count("==") == 1
    assert found.count("--hash=sha256:") > 10


def test_no_lock_names_a_registry() -> None:
    assert "://" not in LOCK
    resolved = {package["resolved"] for package in AZURITE["packages"].values() if "resolved" in package}
    assert resolved == {"left-out"}


def test_every_package_of_azurite_is_checked() -> None:
    packages = {name: package for name, package in AZURITE["packages"].items() if name.startswith("node_modules/")}
    assert len(packages) > 100
    unchecked = [name for name, package in packages.items() if "integrity" not in package and not package.get("link")]
    assert unchecked == []
    assert packages["node_modules/azurite"]["version"] == "3.37.0"
