"""The files of a dataset: what its operations leave of them, and how they come to a folder.

with Reading(access) as reading:
    for leaf in files(document, reading):
        ...
"""

from __future__ import annotations

import operator
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from orchestrator.core import dataset as ds
from orchestrator.core import dataset_filter as conditions
from orchestrator.core.names import PATH
from orchestrator.datasets.access import Access, Blob
from orchestrator.datasets.archives import Archives
from orchestrator.datasets.chance import chance, key
from orchestrator.datasets.errors import FilesInTheWay, UnknownColumn
from orchestrator.datasets.leaves import Leaf, leaves
from orchestrator.datasets.local import write_whole

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Reading:
    """One evaluation: the way to the files, the archives that it opened, and the moment that it calls now (UTC)."""

    def __init__(self, access: Access, *, now: datetime | None = None) -> None:
        self.access = access
        self.archives = Archives(access)
        self.now = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)

    def open(self, leaf: Leaf) -> BinaryIO:
        """The bytes of a file of the dataset."""
        if leaf.make is not None:
            with ExitStack() as undo:
                kept = undo.enter_context(tempfile.TemporaryFile())
                leaf.make(cast(BinaryIO, kept))
                kept.seek(0)
                undo.pop_all()
                return cast(BinaryIO, kept)
        blob = _blob_of(leaf)
        return self.access.open(blob) if leaf.entry is None else self.archives.open(blob, leaf.entry)

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.archives.close()


def files(document: ds.DatasetDocument, reading: Reading) -> Iterator[Leaf]:
    """The files of a dataset of type "file", lazily."""
    made = next((at for at, item in enumerate(document.operations) if isinstance(item, ds.AsFiles)), None)
    if made is None:
        return operated(leaves(document, reading.access, reading.archives), document.operations, 0)
    from orchestrator.datasets.writing import made_files

    return operated(made_files(document, made, reading), document.operations[made + 1 :], made + 1)


def operated(found: Iterator[Leaf], operations: Iterable[ds.Operation], first: int) -> Iterator[Leaf]:
    """What the operations leave of files; `first` is the position of the first of them in the document."""
    for position, operation in enumerate(operations, first):
        found = _operated(found, operation, position)
    return found


def _operated(found: Iterator[Leaf], operation: ds.Operation, position: int) -> Iterator[Leaf]:
    match operation:
        case ds.Take():
            return islice(found, operation.count)
        case ds.Skip():
            return islice(found, operation.count, None)
        case ds.Sample():
            return _drawn(found, key(operation.seed, position), operation.probability, wanted=True)
        case ds.Split():
            wanted = operation.part == "first"
            return _drawn(found, key(operation.seed, position), operation.percentage, wanted=wanted)
        case ds.Filter():
            condition = operation.condition
            return (leaf for leaf in found if _holds(condition, leaf) is True)
        case _:
            return found


def _drawn(found: Iterator[Leaf], of: int, share: float, *, wanted: bool) -> Iterator[Leaf]:
    return (leaf for index, leaf in enumerate(found) if (chance(of, index) < share) is wanted)


def _holds(condition: conditions.Condition, leaf: Leaf) -> bool | None:
    """None: a value is missing, so it is neither true nor false."""
    match condition:
        case conditions.Comparison():
            left, right = _value(condition.left, leaf), _value(condition.right, leaf)
            return None if left is None or right is None else _compared(condition.operator, left, right)
        case conditions.NullTest():
            return _value(condition.value, leaf) is None
        case conditions.TextTest():
            value = _value(condition.value, leaf)
            tests = {"starts_with": str.startswith, "ends_with": str.endswith, "contains": str.__contains__}
            return None if value is None else bool(tests[condition.test](str(value), condition.text))
        case conditions.Negation():
            held = _holds(condition.condition, leaf)
            return None if held is None else not held
        case conditions.AllOf() | conditions.AnyOf():
            every = [_holds(part, leaf) for part in condition.conditions]
            decisive = isinstance(condition, conditions.AnyOf)
            return decisive if decisive in every else None if None in every else not decisive


def _compared(symbol: str, left: Any, right: Any) -> bool:
    try:
        return _COMPARE[symbol](left, right)
    except TypeError:
        return symbol == "!="


def _value(operand: conditions.Operand, leaf: Leaf) -> Any:
    match operand:
        case conditions.ConstantValue():
            return operand.value
        case conditions.MomentValue():
            return datetime.fromisoformat(operand.value)
        case conditions.FileValue(name="Path"):
            return f"/{leaf.path}"
        case conditions.FileValue(name="Size"):
            return leaf.size
        case conditions.FileValue():
            return None if leaf.modified is None else datetime.fromtimestamp(leaf.modified, UTC).replace(tzinfo=None)
        case _:
            if operand.name not in leaf.columns:
                message = f"Files have no column {operand.name!r} but those of their partition format."
                raise UnknownColumn(message, field="filter")
            return leaf.columns[operand.name]


def bring(found: Iterable[Leaf], folder: Path, reading: Reading, *, overwrite: bool = False) -> list[Path]:
    """Put the files into a folder, each under its path. Returns where they are.

    Raises FilesInTheWay, before anything is written, if one is there and may not be replaced; InvalidRequest for a
    path that would leave the folder.
    """
    placed = [(leaf, folder / PATH.check(leaf.path, "path")) for leaf in found]
    if not overwrite and (there := next((place for _, place in placed if place.exists()), None)):
        raise FilesInTheWay(f"{there} is there already. Pass overwrite=True to replace it.", field="overwrite")
    folder.mkdir(parents=True, exist_ok=True)
    plain = [(leaf.blob, place) for leaf, place in placed if leaf.blob is not None and leaf.entry is None]
    reading.access.bring(plain)
    for leaf, place in placed:
        if leaf.blob is None or leaf.entry is not None:
            with reading.open(leaf) as source:
                write_whole(place, lambda sink, source=source: shutil.copyfileobj(source, sink, 1 << 20))  # type: ignore[misc]
    return [place for _, place in placed]


def _blob_of(leaf: Leaf) -> Blob:
    assert leaf.blob is not None, "a leaf lies somewhere or is made"
    return leaf.blob
