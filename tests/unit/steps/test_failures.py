"""Every way to fail is documented, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

from steps import failures
from steps.failures import StepFailure

DOCUMENT = Path(__file__).parents[3] / "docs" / "errors.md"


def kinds() -> dict[str, type[StepFailure]]:
    return {kind.code: kind for kind in StepFailure.__subclasses__() if kind.__module__ == failures.__name__}


def test_the_document_lists_all_codes_and_whether_they_are_tried_again() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*?\| (yes|no) \|", DOCUMENT.read_text(), re.MULTILINE))
    assert rows == {code: "yes" if kind.retryable else "no" for code, kind in kinds().items()}


def test_the_codes_are_the_names_of_the_classes() -> None:
    assert {code: kind.__name__ for code, kind in kinds().items()} == {code: code for code in kinds()}
    assert all(code in str(failures.__doc__) for code in kinds())
