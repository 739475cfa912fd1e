"""infra/ is right as far as it can be told without Azure, and what tells that it is finds what is wrong."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from tests.infra.check import problems

INFRA = Path(__file__).parents[2] / "infra"

FAULTS = tomllib.loads((Path(__file__).parent / "faults.toml").read_text())["fault"]


def test_nothing_is_wrong() -> None:
    assert [str(problem) for problem in problems(INFRA)] == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault["name"])
def test_a_planted_fault_is_found(fault: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(INFRA, tmp_path / "infra")
    target = tmp_path / "infra" / fault["file"]
    text = target.read_text()
    assert fault["before"] in text, "the fault has no place any more"
    target.write_text(text.replace(fault["before"], fault["after"], 1))
    found = [str(problem) for problem in problems(tmp_path / "infra")]
    assert any(fault["words"] in line and Path(fault["file"]).name in line for line in found), found
