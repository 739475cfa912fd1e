"""What an input has to be divided: its files by name, or its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.core.dataset import DatasetDocument, DatasetView, DatastoreFiles
from orchestrator.core.job import InputData
from orchestrator.core.kinds.parallel_run import BYTES, FILES, ParallelRun, size_of
from orchestrator.core.names import suggestion
from orchestrator.core.result import File
from orchestrator.datasets.access import Access, Blob
from orchestrator.datasets.files import Reading, files
from orchestrator.datasets.leaves import Leaf
from steps.data_failures import data_failures
from steps.failures import InputMissing, InputUnusable, InvalidStep
from steps.parallel import splitting
from steps.parallel.plan import Item, MiniBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """The mini-batches of one input, numbered from 0. `rows`: for each its rows, as a table of Arrow; None: files."""

    port: str
    batches: list[MiniBatch]
    rows: Callable[[int], Any] | None = None


def divide(port: str, data: InputData, settings: ParallelRun, access: Access) -> Divided:
    """Raises StepFailure, Stopped."""
    document = document_of(port, data)
    with failing(port), Reading(access) as reading:
        if document.type == "tabular":
            return _of_rows(port, document, settings, reading)
        return _of_files(port, _leaves(data, document, reading), settings, _sums(data))


def document_of(port: str, data: InputData) -> DatasetDocument:
    """What the input is, as a dataset: files, unless it was made to be a table. Raises InputMissing."""
    path = data.path.strip("/")
    if data.dataset_id:
        if data.dataset is None:
            raise InputMissing(f"Input {port!r}: there is no dataset with the id {data.dataset_id!r}.")
        return data.dataset
    if data.view is None and data.files is None:
        return DatasetDocument(type="file", sources=(DatastoreFiles(datastore=data.datastore, path=path),))
    return (data.view or DatasetView(type="file")).of(data.datastore, path, is_file=data.is_file)


def leaf_of(item: Item) -> Leaf:
    """The file of a dataset that an item is."""
    blob = Blob(datastore=item.datastore, path=item.blob, size=item.size)
    return Leaf(path=item.path, size=item.size, blob=blob, entry=item.entry)


def failing(port: str) -> AbstractContextManager[None]:
    """What is wrong with the data becomes a failure of the step that says which input it is."""
    return data_failures(f"Input {port!r}")


def _leaves(data: InputData, document: DatasetDocument, reading: Reading) -> Iterable[Leaf]:
    """Of what a step has written, only what it has committed; of those, the ones that the input is only of."""
    found = _all_leaves(data, document, reading)
    return found if not data.only else (leaf for leaf in found if leaf.path in data.only)


def _all_leaves(data: InputData, document: DatasetDocument, reading: Reading) -> Iterable[Leaf]:
    if data.files is None:
        return files(document, reading)
    if data.view is None or data.view == DatasetView(type=data.view.type):
        return [_committed(data, file) for file in data.files]
    known = _sums(data)
    return (leaf for leaf in files(document, reading) if leaf.blob is not None and leaf.blob.path in known)


def _committed(data: InputData, file: File) -> Leaf:
    name = file.name_below(data.path)
    blob = Blob(datastore=data.datastore, path=name, size=file.size)
    return Leaf(path=file.path or name.rpartition("/")[2], size=file.size, blob=blob)


def _sums(data: InputData) -> Mapping[str, File]:
    """What the blobs of an upstream output were committed as."""
    return {file.name_below(data.path): file for file in data.files or ()}


def _of_files(port: str, found: Iterable[Leaf], settings: ParallelRun, sums: Mapping[str, File]) -> Divided:
    leaves = list(found)
    items = [_item(port, leaf, sums) for leaf in leaves]
    keys = settings.keys()
    if not keys:
        size = _count(port, settings.mini_batch_size or FILES)
        parts = splitting.by_count(len(items), size)
        whole = [
            MiniBatch(index=n, items=len(part), files=tuple(items[part.start : part.stop]))
            for n, part in enumerate(parts)
        ]
        return Divided(port=port, batches=whole)
    groups = splitting.by_key(tuple(_key(port, leaf, name) for name in keys) for leaf in leaves)
    batches: list[MiniBatch] = []
    for key, positions in groups.items():
        values, moments = _texts(dict(zip(keys, key, strict=True)))
        chosen = tuple(items[position] for position in positions)
        batches.append(MiniBatch(index=len(batches), items=len(chosen), files=chosen, key=values, moments=moments))
    return Divided(port=port, batches=batches)


def _count(port: str, size: int | str) -> int:
    text = str(size).strip()
    if not text.isascii() or not text.isdigit():
        raise InvalidStep(f"Input {port!r} is files, of which a mini-batch has a number, not a size such as {text!r}.")
    return max(1, int(text))


def _item(port: str, leaf: Leaf, sums: Mapping[str, File]) -> Item:
    if leaf.blob is None:
        raise InputUnusable(
            f"Input {port!r} is rows written to a file, which cannot be divided. Take the table itself: its rows can."
        )
    known = sums.get(leaf.blob.path)
    return Item(
        path=leaf.path,
        blob=leaf.blob.path,
        datastore=leaf.blob.datastore,
        entry=leaf.entry,
        size=leaf.size,
        sha256="" if known is None or leaf.entry is not None else known.sha256,
    )


def _key(port: str, leaf: Leaf, name: str) -> Any:
    if name not in leaf.columns:
        raise InputUnusable(f"Input {port!r} has no partition key {name!r}. {suggestion(name, leaf.columns, 'keys')}")
    return leaf.columns[name]


def _texts(key: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    moments = tuple(name for name, value in key.items() if isinstance(value, datetime))
    return {name: value.isoformat() if name in moments else str(value) for name, value in key.items()}, moments


def _of_rows(port: str, document: DatasetDocument, settings: ParallelRun, reading: Reading) -> Divided:
    from orchestrator.datasets.table import table

    rows = table(document, reading)
    keys = settings.keys()
    if not keys:
        size = size_of(settings.mini_batch_size or BYTES) or BYTES
        parts = splitting.by_bytes(rows.num_rows, rows.nbytes, size)
        whole = [MiniBatch(index=number, items=len(part), row_group=0) for number, part in enumerate(parts)]
        return Divided(port=port, batches=whole, rows=lambda n: rows.slice(parts[n].start, len(parts[n])))
    for name in keys:
        if name not in rows.column_names:
            hint = suggestion(name, rows.column_names, "columns")
            raise InputUnusable(f"Input {port!r} has no partition key {name!r}. {hint}")
    groups = splitting.by_key(zip(*(rows[name].to_pylist() for name in keys), strict=True))
    batches = [
        MiniBatch(index=number, items=len(positions), row_group=0, key=_texts(dict(zip(keys, key, strict=True)))[0])
        for number, (key, positions) in enumerate(groups.items())
    ]
    every = list(groups.values())
    return Divided(port=port, batches=batches, rows=lambda n: rows.take(every[n]))
