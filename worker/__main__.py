"""The worker process of a container or process compute.

python -m worker --queue QUEUE --once       run one step, or find none to run, and end: what a container job runs
python -m worker --queue QUEUE --idle 30    handle messages until there have been none for 30 s: one of a pool

Its settings are those of the Functions app (docs/settings.md). Exit code: 0 done, also when there was nothing to do or
a signal asked it to end; 1 a message could not be handled, and will be tried again; 2 the settings are wrong.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from orchestrator import logs
from orchestrator.core.names import RUN_ID
from orchestrator.setting_types import InvalidSetting
from orchestrator.settings import read
from steps.zygote import tree
from worker.consumer import Consumer
from worker.equipment import EXECUTION_NAME, equip

_LOOK_SECONDS = 0.5


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.with_parent:
        tree.die_with(options.with_parent)
    try:
        settings = read(os.environ)
    except InvalidSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - the only word of a process that does not start
        return 2
    logs.install_alone(settings.log_form)
    name = os.environ.get(EXECUTION_NAME, "")
    equipment = equip(
        settings,
        os.environ,
        execution=name if RUN_ID.allows(name) else "",
        longest_seconds=options.timeout,
        once=options.once,
        python_path=tuple(path for path in sys.path if ".python_packages" in path),
    )
    consumer = Consumer(equipment, options.queue, visibility=settings.worker_visibility)
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    code = _consume(consumer, options, asked)
    equipment.steps.close()
    return code


def _consume(consumer: Consumer, options: argparse.Namespace, asked: threading.Event) -> int:
    """On a thread of its own, so that a signal is heard whatever it waits for."""
    codes: list[int] = []

    def run() -> None:
        if options.once:
            codes.append(0 if consumer.once() else 1)
        else:
            consumer.serve(idle=options.idle)
            codes.append(0)

    thread = threading.Thread(target=run, name="millstream-consumer")
    thread.start()
    while thread.is_alive():
        if asked.wait(0.0):
            consumer.stop()
            thread.join()
        thread.join(_LOOK_SECONDS)
    return codes[0] if codes else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--queue", required=True, help="the queue of the compute")
    parser.add_argument("--once", action="store_true", help="end after one step, or when there is none")
    parser.add_argument("--idle", type=float, default=30.0, help="end after so many seconds without a message")
    parser.add_argument("--timeout", type=float, help="seconds that this process may take (default: as a function)")
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this process, its parent, does")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
