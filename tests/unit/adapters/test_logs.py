"""What log lines say of themselves, in either form, on whatever thread."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator import logs
from orchestrator.adapters.memory import MemoryWorld
from orchestrator.events import Tell

RUN = "11111111-2222-3333-4444-555555555555"
log = logging.getLogger("millstream.test")


class Host(logging.Handler):
    """As the Functions worker's own handler: it passes on what a record is formatted to, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def host() -> Iterator[Host]:
    root, tree, found = logging.getLogger(), logging.getLogger(logs.TREE), Host()
    root.addHandler(found)
    tree.setLevel(logging.INFO)
    yield found
    root.removeHandler(found)
    tree.handlers.clear()
    tree.setLevel(logging.NOTSET)


def test_a_line_is_an_object_with_what_it_is_about(host: Host) -> None:
    logs.install(logs.JSON)
    with logs.about(run=RUN, position=3):
        with logs.about(step="train", attempt=2):
            log.warning('disk %d %% full\n"quoted"', 93)
        log.info("outside")
    log.info("nothing known")
    assert host.said == [
        {
            "level": "WARNING",
            "logger": "millstream.test",
            "run": RUN,
            "position": 3,
            "step": "train",
            "attempt": 2,
            "text": 'disk 93 % full\n"quoted"',
        },
        {"level": "INFO", "logger": "millstream.test", "run": RUN, "position": 3, "text": "outside"},
        {"level": "INFO", "logger": "millstream.test", "text": "nothing known"},
    ]
    assert all("\n" not in line for line in host.lines)


def test_a_traceback_is_part_of_the_object_and_its_end_is_what_is_kept(host: Host) -> None:
    logs.install(logs.JSON)
    try:
        raise ValueError("x" * 2 * logs.MOST_CHARACTERS + "the end")
    except ValueError:
        log.exception("%s", "y" * 40_000)
    (said,) = host.said
    assert said["exception"].endswith("the end")
    assert len(said["text"]) == logs.MOST_CHARACTERS
    assert len(host.lines[0]) < 32 * 1024


def test_an_event_has_its_facts_beside_what_it_is_about(host: Host) -> None:
    logs.install(logs.JSON)
    with logs.about(run="the delivery's", position=1):
        MemoryWorld().run(iter(Tell(event="run_ended", facts={"run": "the event's", "status": "Failed"})))
    (said,) = host.said
    assert said == {
        "level": "INFO",
        "logger": "millstream.events",
        "run": "the event's",
        "position": 1,
        "event": "run_ended",
        "status": "Failed",
    }


def test_people_read_sentences_with_short_ids(host: Host) -> None:
    logs.install(logs.TEXT)
    with logs.about(run=RUN, step="train"):
        log.info("half-way")
        MemoryWorld().run(iter(Tell(event="run_ended", facts={"run": RUN, "status": "Failed"})))
    log.info("alone")
    assert host.lines == [
        "half-way  [run=11111111 step=train]",
        "run_ended  [run=11111111 step=train status=Failed]",
        "alone",
    ]


def test_a_thread_knows_what_it_was_given(host: Host) -> None:
    logs.install(logs.JSON)

    def work(text: str) -> None:
        logs.learn(part=text)
        log.info(text)

    with ThreadPoolExecutor(1) as pool, logs.about(run=RUN):
        for text in ("a", "b"):
            pool.submit(logs.carried(work), text).result()
        pool.submit(log.info, "on its own").result()
    assert [(said.get("run"), said.get("part")) for said in host.said] == [(RUN, "a"), (RUN, "b"), (None, None)]


def test_what_was_learned_is_forgotten_at_the_end_of_the_block(host: Host) -> None:
    logs.install(logs.JSON)
    with logs.about(request="1"):
        logs.learn(caller="somebody")
        log.info("inside")
    log.info("outside")
    assert [said.get("caller") for said in host.said] == ["somebody", None]


def test_lines_of_others_are_left_alone(host: Host) -> None:
    logs.install(logs.JSON)
    logs.install(logs.JSON)  # twice is as once
    with logs.about(run=RUN):
        logging.getLogger("azure").warning("plain")
        log.warning("ours")
    assert host.lines[0] == "plain"
    assert json.loads(host.lines[1])["text"] == "ours"
