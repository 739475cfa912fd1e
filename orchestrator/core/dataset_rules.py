"""Whether a dataset document can be evaluated, as far as it shows by itself. All rules speak at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice
from urllib.parse import urlsplit

from orchestrator.core import dataset as ds
from orchestrator.core.dataset_filter import (
    DEEPEST,
    FILE_PROPERTIES,
    ColumnValue,
    Condition,
    FileValue,
    MomentValue,
    depth,
    operands,
)
from orchestrator.core.errors import InvalidRequest, Problem
from orchestrator.core.names import DATA_PATH, DATASTORE, TEXT, listed, shown, suggestion

MOST_SOURCES = 10_000
MOST_OPERATIONS = 200
MOST_COLUMNS = 10_000
MOST_PROBLEMS = 100
LONGEST_NAME = 512
LONGEST_QUERY = 100_000
_INT64 = range(-(2**63), 2**63)


class InvalidDataset(InvalidRequest):
    """A dataset that cannot be evaluated. `problems` holds all that is wrong with it."""

    code = "InvalidDataset"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__(f"The dataset has {len(self.problems)} {noun}:\n{lines}", field=self.problems[0].field)


def check(document: ds.DatasetDocument, *, datastores: Collection[str] | None = None) -> ds.DatasetDocument:
    """The document itself. Raises InvalidDataset. `datastores`: those that exist, if that is known."""
    problems = validate(document, datastores=datastores)
    if problems:
        raise InvalidDataset(problems)
    return document


def validate(document: ds.DatasetDocument, *, datastores: Collection[str] | None = None) -> list[Problem]:
    """What is wrong with the document, in the order of its parts; the first hundred problems if more."""
    rules = (_shape, lambda found: _sources(found, datastores), _reading, _operations)
    return list(islice(chain.from_iterable(rule(document) for rule in rules), MOST_PROBLEMS))


def view_problems(view: ds.DatasetView, field: str) -> Iterator[Problem]:
    """What is wrong with a view, which lies at `field`."""
    for problem in validate(view.of("any", "any")):
        yield replace(problem, field=problem.field.replace("dataset", field, 1))


def _shape(document: ds.DatasetDocument) -> Iterator[Problem]:
    if document.schema != ds.SCHEMA:
        yield Problem("UnknownSchema", "dataset.schema", f"{shown(document.schema)} is not known.", f"Use {ds.SCHEMA}.")
    if not document.sources:
        yield Problem("NoSources", "dataset.sources", "The dataset has no sources.", "Give at least one path.")
    for field, most in (("sources", MOST_SOURCES), ("operations", MOST_OPERATIONS)):
        if len(getattr(document, field)) > most:
            yield Problem("TooMany", f"dataset.{field}", f"There are more than {most:,}.", "Use a folder or a pattern.")
    made = any(isinstance(operation, ds.AsFiles) for operation in document.operations)
    sql = any(isinstance(source, ds.SqlQuery) for source in document.sources)
    rows = document.type == "tabular" or made
    if rows and document.format is None and not sql:
        yield Problem("NoFormat", "dataset.format", "A table needs a format.", "Say how the files are to be read.")
    if not rows and (document.format is not None or document.column_types or document.include_path or sql):
        fix = "Leave them out, or make it tabular."
        yield Problem("NotAFile", "dataset.type", "Files have no format, column types, path column or query.", fix)
    if made and document.type == "tabular":
        yield Problem("NotAFile", "dataset.type", "After as_files the dataset is one of files.", 'Use "file".')
    if sql and len(document.sources) > 1:
        yield Problem("TooMany", "dataset.sources", "A query stands by itself.", "Make a dataset of each.")


def _sources(document: ds.DatasetDocument, datastores: Collection[str] | None) -> Iterator[Problem]:
    for index, source in enumerate(document.sources):
        field = f"dataset.sources[{index}]"
        if isinstance(source, ds.WebFile):
            yield from _url(source.url, f"{field}.url")
            continue
        yield from _given(DATASTORE.problem(source.datastore, f"{field}.datastore"))
        if datastores is not None and source.datastore not in datastores:
            fix = suggestion(source.datastore, datastores, "datastores")
            message = f"There is no datastore {shown(source.datastore)}."
            yield Problem("UnknownDatastore", f"{field}.datastore", message, fix)
        if isinstance(source, ds.DatastoreFiles):
            yield from _given(DATA_PATH.problem(source.path, f"{field}.path"))
            yield from _pattern(source.path, f"{field}.path")
        elif not source.query.strip() or len(source.query) > LONGEST_QUERY or source.timeout_seconds <= 0:
            fix = f"Give a query of at most {LONGEST_QUERY:,} characters and a timeout above 0."
            yield Problem("InvalidQuery", f"{field}.query", "The query is empty or too long, or has no time.", fix)


def _url(url: str, field: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        secret = parts.username is not None
    except ValueError:
        good = secret = False
    if not good or not TEXT.allows(url) or len(url) > 4096 or any(ord(c) <= 32 for c in url):
        fix = "Give an http or https URL; files elsewhere are reached through a datastore."
        yield Problem("InvalidUrl", field, f"{shown(url)} is not a URL that can be read.", fix)
    elif secret:
        fix = "Leave out what stands before the @."
        yield Problem("InvalidUrl", field, "The URL holds a user name or password.", fix)


def _pattern(path: str, field: str) -> Iterator[Problem]:
    if any("**" in part and part != "**" for part in path.split("/")):
        fix = 'Write "**" as a part of its own, as in "data/**/*.csv".'
        yield Problem("InvalidPath", field, f'In {shown(path)} "**" is a piece of a name.', fix)


def _reading(document: ds.DatasetDocument) -> Iterator[Problem]:
    if isinstance(document.format, ds.DelimitedFormat) and not _one_character(document.format.separator):
        fix = "Use one character that is neither a quote nor the end of a line."
        field = "dataset.format.separator"
        yield Problem("InvalidFormat", field, f"{shown(document.format.separator)} cannot separate values.", fix)
    if isinstance(document.format, ds.DelimitedFormat | ds.JsonLinesFormat) and not _encoding(document.format.encoding):
        message = f"{shown(document.format.encoding)} is no encoding of text."
        yield Problem("InvalidFormat", "dataset.format.encoding", message, 'Use "utf8", "latin1", "utf16" ...')
    if document.archive is not None:
        yield from _given(DATA_PATH.problem(document.archive.entry_glob, "dataset.archive.entry_glob"))
        yield from _pattern(document.archive.entry_glob, "dataset.archive.entry_glob")
    if document.partition_format is not None:
        yield from partition_problems(document.partition_format)
    yield from _columns(tuple(document.column_types), "dataset.column_types", empty=True)
    for name, kind in document.column_types.items():
        if kind.decimal_mark not in (".", ","):
            field = f"dataset.column_types.{shown(name)[1:-1]}.decimal_mark"
            yield Problem("InvalidFormat", field, "A decimal mark is a point or a comma.", 'Use "." or ",".')


def partition_problems(text: str) -> Iterator[Problem]:
    """What is wrong with a partition format: `{name}` in one part of the path, `{name:yyyy/MM/dd}`, `*`."""
    field = "dataset.partition_format"
    names: list[str] = []
    rest = text
    while rest:
        before, opened, rest = rest.partition("{")
        if "}" in before:
            yield Problem("InvalidFormat", field, f'{shown(text)} has a "}}" too many.', "Write {name}.")
            return
        if not opened:
            break
        inside, closed, rest = rest.partition("}")
        name = inside.partition(":")[0]
        if not closed or not name or "{" in inside:
            yield Problem(
                "InvalidFormat", field, f"{shown(text)} has a column without a name or an end.", "Use {name}."
            )
            return
        names.append(name)
    if not names or len(set(names)) != len(names):
        fix = "Name each column once: {year:yyyy}/{city}.csv"
        yield Problem("InvalidFormat", field, f"{shown(text)} names no column, or one twice.", fix)


def _operations(document: ds.DatasetDocument) -> Iterator[Problem]:
    rows = document.type == "tabular" or any(isinstance(item, ds.AsFiles) for item in document.operations)
    timed = False
    for index, operation in enumerate(document.operations[:MOST_OPERATIONS]):
        field = f"dataset.operations[{index}]"
        if not rows and not isinstance(operation, _ON_FILES):
            fix = "Make the dataset tabular, or leave it out."
            yield Problem("NotAFile", field, f"{type(operation).__name__} is for rows, and these are files.", fix)
        if isinstance(operation, ds.TimeRange | ds.TimeRecent) and not timed:
            fix = "Name them by with_timestamp_columns before."
            yield Problem("NoTimestamp", field, "Which column tells the time is not known.", fix)
        timed = timed or isinstance(operation, ds.TimestampColumns)
        yield from _RULES[type(operation)](operation, field)
        if isinstance(operation, ds.AsFiles):
            if not rows:
                return
            rows = False


_ON_FILES = (ds.Take, ds.Skip, ds.Sample, ds.Split, ds.Filter, ds.PartitionKeys)


def _count(operation: ds.Take | ds.Skip, field: str) -> Iterator[Problem]:
    if not 0 <= operation.count < 2**63:
        yield Problem("OutOfRange", f"{field}.count", "A count is 0 or more.", "Change it.")


def _sample(operation: ds.Sample, field: str) -> Iterator[Problem]:
    yield from _share(operation.probability, operation.seed, field, "probability")


def _split(operation: ds.Split, field: str) -> Iterator[Problem]:
    yield from _share(operation.percentage, operation.seed, field, "percentage")


def _share(share: float, seed: int, field: str, name: str) -> Iterator[Problem]:
    if not 0.0 <= share <= 1.0:
        yield Problem("OutOfRange", f"{field}.{name}", f"A {name} lies between 0 and 1.", "Write 0.8 for 80 %.")
    if seed not in _INT64:
        yield Problem("OutOfRange", f"{field}.seed", "A seed is a whole number of 64 bits.", "Change it.")


def _names(operation: ds.KeepColumns | ds.DropColumns | ds.PartitionKeys, field: str) -> Iterator[Problem]:
    yield from _columns(operation.columns, f"{field}.columns")


def _filter(operation: ds.Filter, field: str) -> Iterator[Problem]:
    if depth(operation.condition) > DEEPEST:
        yield Problem("TooMany", f"{field}.condition", "The condition is nested too deeply.", "Use several filters.")
        return
    yield from _condition(operation.condition, f"{field}.condition")


def _condition(condition: Condition, field: str) -> Iterator[Problem]:
    for operand in operands(condition):
        if isinstance(operand, FileValue) and operand.name not in FILE_PROPERTIES:
            fix = f"There are {listed(FILE_PROPERTIES)}."
            yield Problem("UnknownProperty", field, f"A file has no property {shown(operand.name)}.", fix)
        elif isinstance(operand, ColumnValue):
            yield from _columns((operand.name,), field)
        elif isinstance(operand, MomentValue):
            yield from _moment(operand.value, field)


def _timestamps(operation: ds.TimestampColumns, field: str) -> Iterator[Problem]:
    given = [name for name in (operation.timestamp, operation.partition_timestamp) if name is not None]
    yield from _columns(tuple(given), field, empty=True)


def _range(operation: ds.TimeRange, field: str) -> Iterator[Problem]:
    if operation.start is None and operation.end is None:
        yield Problem("OutOfRange", field, "A time range has a start or an end.", "Give one of them.")
    for name in ("start", "end"):
        if (value := getattr(operation, name)) is not None:
            yield from _moment(value, f"{field}.{name}")


def _recent(operation: ds.TimeRecent, field: str) -> Iterator[Problem]:
    if not 0 <= operation.seconds < 1e11:
        yield Problem("OutOfRange", f"{field}.seconds", "A time span is 0 or more.", "Change it.")


def _as_files(operation: ds.AsFiles, field: str) -> Iterator[Problem]:
    if not _one_character(operation.separator):
        fix = "Use one character that is neither a quote nor the end of a line."
        yield Problem("InvalidFormat", f"{field}.separator", "It cannot separate values.", fix)


_RULES: dict[type, Callable[..., Iterator[Problem]]] = {
    ds.Take: _count,
    ds.Skip: _count,
    ds.Sample: _sample,
    ds.Split: _split,
    ds.KeepColumns: _names,
    ds.DropColumns: _names,
    ds.Filter: _filter,
    ds.TimestampColumns: _timestamps,
    ds.TimeRange: _range,
    ds.TimeRecent: _recent,
    ds.PartitionKeys: _names,
    ds.AsFiles: _as_files,
}


def _columns(names: tuple[str, ...], field: str, *, empty: bool = False) -> Iterator[Problem]:
    if (not names and not empty) or len(names) > MOST_COLUMNS:
        yield Problem("InvalidColumns", field, "No columns, or too many, are named.", "Name at least one.")
    for name in names:
        if not name or len(name) > LONGEST_NAME or not TEXT.allows(name):
            fix = f"Use 1 to {LONGEST_NAME} characters."
            yield Problem("InvalidColumns", field, f"{shown(name)} cannot be the name of a column.", fix)


def _moment(text: str, field: str) -> Iterator[Problem]:
    try:
        good = datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        good = False
    if not good:
        fix = 'Write it in UTC without a zone: "2020-01-31T12:00:00".'
        yield Problem("InvalidTime", field, f"{shown(text)} is not a moment.", fix)


def _one_character(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in "\"'\r\n\0"


def _encoding(name: str) -> bool:
    try:
        "a".encode(name)
    except (LookupError, ValueError):
        return False
    return True


def _given(problem: Problem | None) -> Iterator[Problem]:
    if problem is not None:
        yield problem
