"""All checks of infra/, over every file."""

from __future__ import annotations

from pathlib import Path

from tests.infra import security, shapes, symbols
from tests.infra.bicep import Problem, read, syntax


def problems(folder: Path) -> list[Problem]:
    """Everything that is wrong in the Bicep files below a folder."""
    documents = {str(path.resolve()): read(path) for path in sorted(folder.rglob("*.bicep"))}
    found: list[Problem] = []
    for document in documents.values():
        wrong = list(syntax(document))
        found += wrong
        if not wrong:
            found += [*symbols.check(document, documents), *shapes.check(document), *security.check(document)]
    return found
