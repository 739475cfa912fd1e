"""What each line of the log says of itself: which run and step, or which request, it is about.

    with about(run=message.run, position=message.position):
        ...                                 every line of any logger below `millstream`, on this thread, has both

The Functions host takes of a record its text alone, and passes that on to Application Insights; so in the cloud the
text is one line of JSON, which a query takes apart (docs/operations.md). On a machine of one's own it is a sentence.
Ids go in here, and names; never a value that a user has given.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

Fact = str | int | float | bool

TREE: Final = "millstream"
"""Above all loggers of the service."""
JSON: Final = "json"
TEXT: Final = "text"
MOST_CHARACTERS: Final = 12_000
"""Of a sentence, and of a traceback: Application Insights cuts a message at 32 Ki characters, and what is cut is no
JSON any more."""
_SHORT: Final = 8
"""Characters of a run's id that tell it from others, for people."""

_about: ContextVar[Mapping[str, Fact]] = ContextVar("millstream_about", default={})  # noqa: B039 - never changed


@contextmanager
def about(**facts: Fact) -> Iterator[None]:
    """Lines that are logged in the block, on this thread, have these facts, beside those of the blocks around it."""
    token = _about.set({**_about.get(), **facts})
    try:
        yield
    finally:
        _about.reset(token)


def learn(**facts: Fact) -> None:
    """Facts that come to be known inside a block; they are forgotten at its end."""
    _about.set({**_about.get(), **facts})


def carried(do: Callable[P, R]) -> Callable[P, R]:
    """`do`, to be called once on another thread: its lines have the facts of this one, and what it asks of storage is
    counted as if it were asked here.
    """
    return partial(copy_context().run, do)


def install(form: str) -> None:
    """Give the lines of the service their form, JSON or TEXT, from now on, whatever handlers pass them on."""
    logging.getLogger(TREE).handlers[:] = [_Scribe(as_json if form == JSON else as_text)]


def install_alone(form: str) -> None:
    """As `install`, in a process that no host takes the lines of: on its standard error. Sentences are for warnings;
    events are told as JSON only.
    """
    alone = "%(message)s" if form == JSON else "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.WARNING, format=alone)
    if form == JSON:
        logging.getLogger(TREE).setLevel(logging.INFO)
    install(form)


def as_json(record: logging.LogRecord) -> str:
    """One line. An event has its own facts in place of a sentence."""
    said: dict[str, Fact] = {**_about.get(), **_facts(record)}
    if "event" not in said:
        said["text"] = record.getMessage()[:MOST_CHARACTERS]
    if record.exc_info:
        said["exception"] = logging.Formatter().formatException(record.exc_info)[-MOST_CHARACTERS:]
    return json.dumps({"level": record.levelname, "logger": record.name, **said})


def as_text(record: logging.LogRecord) -> str:
    """A sentence, then what it is about, with short ids; a traceback is left to the handler."""
    facts = {**_about.get(), **_facts(record)}
    facts.pop("event", None)
    told = " ".join(f"{name}={str(value)[:_SHORT] if name == 'run' else value}" for name, value in facts.items())
    return f"{record.getMessage()}  [{told}]" if told else record.getMessage()


def _facts(record: logging.LogRecord) -> Mapping[str, Fact]:
    found: Mapping[str, Fact] = getattr(record, "facts", {})
    return found


class _Scribe(logging.Handler):
    """Rewrites records on their way to the handlers of the root, which belong to the host."""

    def __init__(self, write: Callable[[logging.LogRecord], str]) -> None:
        super().__init__()
        self._write = write

    def handle(self, record: logging.LogRecord) -> bool:
        try:
            text = self._write(record)
        except Exception:  # noqa: BLE001 - logging's own contract for bad records
            self.handleError(record)
            return False
        if self._write is as_json:
            record.exc_info = record.exc_text = record.stack_info = None
        record.msg, record.args = text, None
        return True
