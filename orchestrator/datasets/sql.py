"""The rows of a query on a SQL database, by SQLAlchemy: read in batches, with a time limit, and never written to.

SQLAlchemy and the driver of the database are loaded by the first query. No error text holds the password.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pyarrow as pa

from orchestrator.core.errors import Unavailable
from orchestrator.core.secret import Secret
from orchestrator.datasets.columns import settled
from orchestrator.datasets.errors import NotSupported, QueryFailed

BATCH: Final = 10_000
"""Rows that are in memory at a time, as far as the driver can read in portions."""

VERIFIED: Final = "ssl_check_hostname"
"""In the query of a URL of MySQL: the server must show a certificate of its name, from one whom this system trusts."""

_PACKAGES: Final = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "oracledb": "oracledb",
}
"""Modules of drivers whose package has another name."""
_UNBUFFERED: Final = ("pymysql", "mysqldb")
"""Drivers that read all rows of a query when its cursor is closed."""


def _session(dialect: Any, seconds: float) -> Sequence[str]:
    """What a database is told before the query: how long it may take, and that it changes nothing."""
    milliseconds = max(1, int(seconds * 1000))
    # A URL of MySQL may lead to a MariaDB, which has other variables.
    name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    return {
        "postgresql": (f"SET statement_timeout = {milliseconds}", "SET TRANSACTION READ ONLY"),
        "mysql": (f"SET SESSION max_execution_time = {milliseconds}", "SET SESSION TRANSACTION READ ONLY"),
        "mariadb": (f"SET SESSION max_statement_time = {seconds}", "SET SESSION TRANSACTION READ ONLY"),
        "sqlite": ("PRAGMA query_only = ON",),
    }.get(name, ())


def query(url: Secret, text: str, *, seconds: float) -> Generator[Any, None, None]:
    """Tables of the rows, in their order, lazily, at least one; their columns are the same, their types need not be.

    url: as SQLAlchemy has it. seconds: for the database's first answer, and for each further portion of rows. Raises
    NotSupported naming the package that is missing, QueryFailed, Unavailable.
    """
    engine = _engine(url, seconds)
    try:
        with _connected(engine, url) as connection:
            yield from _tables(connection, text, url, seconds)
    finally:
        engine.dispose()


def _engine(url: Secret, seconds: float) -> Any:
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        raise NotSupported("SQL queries need SQLAlchemy: pip install sqlalchemy", field="sources") from None
    try:
        parsed = sqlalchemy.make_url(url.reveal())
        parsed, options = _options(parsed, seconds)
        pool = sqlalchemy.NullPool
        return sqlalchemy.create_engine(parsed, poolclass=pool, connect_args=options, hide_parameters=True)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        message = f"This database is spoken to by the package {package}: pip install {package!r}"
        raise NotSupported(message, field="sources") from None
    except sqlalchemy.exc.NoSuchModuleError:
        kind = url.reveal().partition("://")[0].partition("+")[0]
        message = f"SQLAlchemy knows no database {kind!r}. Install the package that has its dialect."
        raise NotSupported(message, field="sources") from None
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise QueryFailed("The URL of the datastore is none that SQLAlchemy understands.", field="sources") from None


def _options(url: Any, seconds: float) -> tuple[Any, dict[str, Any]]:
    """The URL for SQLAlchemy, and what the driver is told beside it."""
    if url.drivername == "mssql+pymssql":
        # It knows a time limit of a connection only.
        return url, {"timeout": max(1, int(seconds))}
    if url.drivername.endswith("+pymysql") and url.query.get(VERIFIED) == "true" and "ssl_ca" not in url.query:
        # Without an authority of its own, pymysql encrypts and takes any certificate.
        return url.difference_update_query([VERIFIED]), {"ssl": ssl.create_default_context()}
    return url, {}


@contextmanager
def _connected(engine: Any, url: Secret) -> Iterator[Any]:
    import sqlalchemy

    try:
        connection = engine.connect()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise Unavailable(f"The database does not let us in: {_said(error, url)}") from None
    try:
        yield connection
    finally:
        connection.close()


def _tables(connection: Any, text: str, url: Secret, seconds: float) -> Iterator[Any]:
    import sqlalchemy

    try:
        for statement in _session(connection.dialect, seconds):
            connection.exec_driver_sql(statement)
        with _limited(connection, seconds):
            options = {"stream_results": True, "max_row_buffer": BATCH, "no_parameters": True}
            result = connection.execution_options(**options).exec_driver_sql(text)
        if not result.returns_rows:
            raise QueryFailed("The query gives no rows. Write one that selects something.", field="sources")
        with closing(result), _let_go(connection, result):
            names = _distinct(list(result.keys()))
            first = True
            while True:
                with _limited(connection, seconds):
                    rows = result.fetchmany(BATCH)
                if rows or first:
                    yield _table(names, rows)
                if len(rows) < BATCH:
                    return
                first = False
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise QueryFailed(f"The database refused the query: {_said(error, url)}", field="sources") from None


@contextmanager
def _let_go(connection: Any, result: Any) -> Iterator[None]:
    """Who has enough rows of MySQL would have to read all others before the connection can be closed, unless the query
    is ended.
    """
    import sqlalchemy

    try:
        yield
    except BaseException:
        if connection.dialect.driver in _UNBUFFERED:
            number = connection.connection.driver_connection.thread_id()
            with suppress(sqlalchemy.exc.SQLAlchemyError), connection.engine.connect() as other:
                other.exec_driver_sql(f"KILL QUERY {number}")
            with suppress(Exception):  # the driver's own: that the query was interrupted
                result.cursor.close()
        raise


@contextmanager
def _limited(connection: Any, seconds: float) -> Iterator[None]:
    """SQLite runs in this process, and keeps no time by itself."""
    if connection.dialect.name != "sqlite":
        yield
        return
    over = threading.Event()
    driver = connection.connection.driver_connection

    def interrupt() -> None:
        over.set()
        driver.interrupt()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if over.is_set():
            raise QueryFailed(f"The query took longer than {seconds:g} s.", field="sources") from None
        raise
    finally:
        timer.cancel()


def _said(error: Exception, url: Secret) -> str:
    """The first line of what the driver says, without the password, should it be in it."""
    from sqlalchemy import make_url

    text = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    password = make_url(url.reveal()).password
    return text.replace(str(password), "***") if password else text


def _distinct(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"The query gives several columns the name {twice[0]!r}. Name them differently, with AS."
        raise QueryFailed(message, field="sources")
    return names


def _table(names: list[str], rows: Sequence[Sequence[Any]]) -> Any:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pa.table({name: settled(_column(values)) for name, values in zip(names, columns, strict=True)})


def _column(values: Sequence[Any]) -> Any:
    plain = [_plain(value) for value in values]
    try:
        return pa.chunked_array([pa.array(plain)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # SQLite's columns may hold anything.
        return pa.chunked_array([pa.array([None if value is None else str(value) for value in plain], pa.string())])


_TEXTS: dict[type, Callable[[Any], Any]] = {
    Decimal: float,
    UUID: str,
    memoryview: bytes,
    dict: json.dumps,
    list: json.dumps,
    time: str,
    timedelta: str,
}


def _plain(value: Any) -> Any:
    """A value of a driver as one that Arrow knows: decimals are numbers, what has no counterpart is text."""
    if value is None or isinstance(value, (int, float, str, bytes, datetime, date)):
        return value
    return _TEXTS.get(type(value), str)(value)
