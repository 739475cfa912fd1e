"""What a step of kind "sql" does in its process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import duckdb

from steps.paths import files_of

READERS: Final = {
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".parquet": "read_parquet",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}
OPTIONS: Final = {"parquet": "FORMAT parquet", "csv": "FORMAT csv, HEADER", "json": "FORMAT json"}
"""A line of JSON a row."""


def main(request: dict[str, Any]) -> None:
    """Ends the process with a word to its log when it cannot be done."""
    connection = duckdb.connect()
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET temp_directory = ?", [request["folders"]["scratch"]])
        for name, path in request["inputs"].items():
            _view(connection, name, Path(path))
        _make(connection, request["query"], list(request["outputs"]))
        for name, path in request["outputs"].items():
            _store(connection, name, Path(path), request["format"])
    except duckdb.Error as error:
        sys.exit(f"The statements failed: {error}")
    finally:
        connection.close()


def _view(connection: Any, name: str, path: Path) -> None:
    files = files_of(path)
    readers = {READERS.get(file.suffix.lower()) for file in files}
    if len(readers) != 1 or None in readers:
        found = ", ".join(sorted({file.suffix or file.name for file in files})) or "no files"
        sys.exit(f"Input {name!r} has {found}; all its files must be of one kind: {', '.join(READERS)}.")
    names = ", ".join(_text(str(file)) for file in files)
    connection.execute(f"CREATE VIEW {_name(name)} AS SELECT * FROM {readers.pop()}([{names}])")  # noqa: S608


def _make(connection: Any, query: str, outputs: list[str]) -> None:
    """Run the statements; the rows of the last one are the only output's, if it is not a table by then."""
    statements = connection.extract_statements(query)
    if not statements:
        sys.exit("There is no statement in the query.")
    *before, last = statements
    for statement in before:
        connection.execute(statement)
    if len(outputs) == 1 and last.type == duckdb.StatementType.SELECT:
        connection.execute(f"CREATE TABLE {_name(outputs[0])} AS {last.query.strip().rstrip(';')}")
    else:
        connection.execute(last)


def _store(connection: Any, name: str, path: Path, form: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    target = _text(str(path / f"{name}.{form}"))
    connection.execute(f"COPY (SELECT * FROM {_name(name)}) TO {target} ({OPTIONS[form]})")  # noqa: S608


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
