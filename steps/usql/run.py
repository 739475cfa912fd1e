"""A script on files: what is read is found by a function, and so is where what is written goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import duckdb

from steps.usql.expressions import quoted
from steps.usql.grammar import parse
from steps.usql.prelude import MACROS
from steps.usql.program import Check, Columns, Extracted, Layout, Made, Program, Written
from steps.usql.refusal import Place, Refused
from steps.usql.rowsets import Translator
from steps.usql.substitution import Substituted

ROWS: Final = 5000
_CHUNK: Final = 1 << 20
_KINDS: Final = {"string": "", "bool": "bool", "DateTime": "datetime"}


class ScriptFailed(Exception):
    """A statement did not succeed on the data: a text that is no number, a null where none may be."""

    def __init__(self, message: str, at: Place) -> None:
        super().__init__(f"line {at.line}: {message}")


def translate(script: str, values: Mapping[str, str] | None = None) -> Program:
    """A script with `@@name@@` replaced by values. Raises Refused."""
    given = Substituted(script, values or {})
    try:
        return Translator().translate(parse(given.text))
    except Refused as refused:
        raise given.restored(refused) from None


def run(
    program: Program, *, read: Callable[[str], Sequence[Path]], write: Callable[[str], Path], scratch: Path
) -> None:
    """Run a program. `read`: a path of the script -> files, `write`: -> where its file is to be. Raises ScriptFailed,
    OSError, and what `read` and `write` raise.
    """
    connection = duckdb.connect()
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET temp_directory = ?", [str(scratch)])
        connection.execute("SET preserve_insertion_order = true")
        for macro in MACROS:
            connection.execute(macro)
        for step in program:
            try:
                _run(connection, step, read, write, scratch)
            except duckdb.Error as error:
                raise ScriptFailed(_words(error), step.at) from error
    finally:
        connection.close()


def _run(
    connection: Any,
    step: Extracted | Made | Written,
    read: Callable[[str], Sequence[Path]],
    write: Callable[[str], Path],
    scratch: Path,
) -> None:
    match step:
        case Extracted():
            names = [_value(connection, path) for path in step.paths]
            files = [file for name in names for file in read(name)]
            _extract(connection, step, files, scratch)
        case Made():
            for check in step.checks:
                _check(connection, check)
            connection.execute(f"CREATE TABLE {step.table} AS {step.sql}")
        case Written():
            _write(connection, step, write(_value(connection, step.path)))


def _words(error: Exception) -> str:
    """What DuckDB says, without its advice to those who write its queries."""
    lines = [line for line in str(error).split("\n")[:3] if line.strip()]
    return "; ".join(lines).partition(" Use TRY(")[0]


def _value(connection: Any, expression: str) -> str:
    return str(connection.execute(f"SELECT {expression}").fetchone()[0])


def _check(connection: Any, check: Check) -> None:
    if connection.execute(check.sql).fetchone()[0]:
        raise ScriptFailed(check.message, check.at)


def _extract(connection: Any, step: Extracted, files: Sequence[Path], scratch: Path) -> None:
    converted = ", ".join(_converted(name, number, step.columns) for number, (name, _) in enumerate(step.columns))
    shape = "{" + ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(step.columns))) + "}"
    connection.execute(
        f"CREATE TABLE {step.table} AS SELECT {converted} FROM (SELECT {_nothing(step.columns)}) WHERE 1=0"
    )
    form = step.layout
    for file in files:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            connection.execute(
                f"INSERT INTO {step.table} SELECT {converted} FROM read_csv(?, columns = {shape}, delim = ?, "
                "quote = ?, escape = ?, header = false, skip = ?, nullstr = ?, auto_detect = false, "
                "allow_quoted_nulls = false, null_padding = false, strict_mode = true, encoding = 'utf-8')",
                [
                    str(_utf8(file, form, Path(folder))),
                    form.delimiter,
                    '"' if form.quoting else "",
                    '"' if form.quoting else "",
                    form.skip,
                    ["", form.null] if form.null else [""],
                ],
            )


def _nothing(columns: Columns) -> str:
    return ", ".join(f"CAST(NULL AS VARCHAR) AS c{number}" for number in range(len(columns)))


def _converted(name: str, number: int, columns: Columns) -> str:
    type = columns[number][1]
    what = "'column " + name.replace("'", "''") + "'"
    macro = _KINDS.get(type.name, type.name)
    text = f"usql_{macro}(c{number}, {what})" if macro else f"c{number}"
    if not type.nullable:
        text = f"usql_some({text}, {what})"
    return f"{text} AS {quoted(name)}"


def _utf8(file: Path, form: Layout, folder: Path) -> Path:
    """The file, or, if it is in another encoding, a copy in UTF-8. Bytes that are no text become what .NET makes of
    them.
    """
    if form.encoding == "utf-8":
        return file
    copy = folder / "copy"
    with (
        file.open("r", encoding=form.encoding, errors="replace", newline="") as source,
        copy.open("w", encoding="utf-8", newline="") as sink,
    ):
        first = True
        while text := source.read(_CHUNK):
            if first:
                text, first = text.removeprefix("\ufeff"), False
            sink.write(text.replace("\ufffd", "?") if form.encoding == "ascii" else text)
    return copy


def _write(connection: Any, step: Written, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    rows = connection.execute(step.sql)
    with target.open("w", encoding=step.layout.encoding, errors="replace", newline="") as sink:
        if step.layout.header:
            _line(sink, [_text(name, step.layout, step.at) for name, _ in step.columns], step.layout)
        while block := rows.fetchmany(ROWS):
            for row in block:
                _line(sink, [_shown(value, step) for value in row], step.layout)
        sink.flush()
        os.fsync(sink.fileno())


def _line(sink: IO[str], fields: list[str], form: Layout) -> None:
    sink.write(form.delimiter.join(fields) + "\r\n")


def _shown(value: Any, step: Written) -> str:
    """As .NET writes it."""
    if value is None:
        return step.layout.null
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0"
    if isinstance(value, str):
        return _text(value, step.layout, step.at)
    return str(value)


def _text(value: str, form: Layout, at: Place) -> str:
    if form.quoting:
        return '"' + value.replace('"', '""') + '"'
    if any(char in value for char in (form.delimiter, "\r", "\n")):
        raise ScriptFailed(f"{value[:40]!r} has a delimiter or a line break, which needs quoting: true.", at)
    return value


def _double(value: float) -> str:
    """Shortest, with .NET's exponents."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    digits, _, exponent = repr(value).partition("e")
    if not exponent and abs(value) < 1e15:
        return digits.removesuffix(".0")
    digits, _, exponent = f"{value:.16e}".partition("e") if not exponent else (digits, "", exponent)
    if not repr(value).count("e"):
        short = repr(value).removesuffix(".0").lstrip("-").replace(".", "").rstrip("0")
        sign = "-" if value < 0 else ""
        digits = sign + short[0] + (f".{short[1:]}" if len(short) > 1 else "")
    power = int(exponent)
    return f"{digits.removesuffix('.0')}E{'-' if power < 0 else '+'}{abs(power):02d}"
