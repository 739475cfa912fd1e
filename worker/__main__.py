"""The worker process of a container or process compute.

python -m worker --queue QUEUE --once       run one step, or find none to run, and end: what a container job runs
python -m worker --queue QUEUE --idle 30    handle messages until there have been none for 30 s: one of a pool

Its settings are those of the Functions app (docs/settings.md). Exit code: 0 done, also when there was nothing to do or
a signal asked it to end; 1 a message could not be handled, and will be tried again; 2 the settings are wrong.

This process is the supervisor, which imports little; the worker is a fork of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from steps.zygote import tree
from worker.giving_back import give_back, warn
from worker.supervisor import Notes, Supervisor

FAILURE_DELAY = 5.0
"""Seconds until the message of a worker that has failed is shown again, as host.json says for the Functions app."""


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.with_parent:
        tree.die_with(options.with_parent)

    def work(notes: Notes, seconds: float) -> int:
        from worker.consuming import consume

        left = options.timeout and (options.timeout - seconds if options.once else options.timeout)
        return consume(os.environ, options.queues, notes, once=options.once, idle=options.idle, timeout=left)

    return Supervisor(
        work,
        partial(give_back, os.environ),
        once=options.once,
        failure_delay=FAILURE_DELAY,
        say=partial(warn, os.environ),
    ).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    what = "a queue of the compute; of several, those that are named first are looked at first"
    parser.add_argument("--queue", required=True, action="append", dest="queues", metavar="QUEUE", help=what)
    parser.add_argument("--once", action="store_true", help="end after one step, or when there is none")
    parser.add_argument("--idle", type=float, default=30.0, help="end after so many seconds without a message")
    parser.add_argument("--timeout", type=float, help="seconds that this process may take (default: as a function)")
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this process, its parent, does")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
