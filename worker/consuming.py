"""What a worker does from its start to its end."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from orchestrator import logs
from orchestrator.core.names import RUN_ID
from orchestrator.setting_types import InvalidSetting
from orchestrator.settings import read
from worker.consumer import Consumer
from worker.equipment import EXECUTION_NAME, equip
from worker.supervisor import Notes

_LOOK_SECONDS: Final = 0.5


def consume(
    environment: Mapping[str, str],
    queues: Sequence[str],
    notes: Notes,
    *,
    once: bool,
    idle: float,
    timeout: float | None,
) -> int:
    """Handle messages of these queues; the exit code. `environment`: with the settings. `once`: one step, else until
    there have been none for `idle` seconds. `timeout`: seconds that a step may take; None: as a function.
    """
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    try:
        settings = read(environment)
    except InvalidSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - the only word of a process that does not start
        return 2
    logs.install_alone(settings.log_form)
    name = environment.get(EXECUTION_NAME, "")
    equipment = equip(
        settings,
        environment,
        execution=name if RUN_ID.allows(name) else "",
        longest_seconds=timeout,
        once=once,
        python_path=tuple(path for path in sys.path if ".python_packages" in path),
    )
    consumer = Consumer(equipment, queues, visibility=settings.worker_visibility, note=notes.write)
    code = _run(consumer, lambda: _handled(consumer, once=once, idle=idle), asked)
    equipment.steps.close()
    return code


def _handled(consumer: Consumer, *, once: bool, idle: float) -> int:
    if once:
        return 0 if consumer.once() else 1
    consumer.serve(idle=idle)
    return 0


def _run(consumer: Consumer, handle: Callable[[], int], asked: threading.Event) -> int:
    """On a thread of its own, so that a signal is heard whatever it waits for."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(handle()), name="millstream-consumer")
    thread.start()
    while thread.is_alive():
        if asked.wait(0.0):
            consumer.stop()
            thread.join()
        thread.join(_LOOK_SECONDS)
    return codes[0] if codes else 1
