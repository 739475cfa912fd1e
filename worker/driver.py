"""The local driver: starts executions on this machine, as Container Apps do it in the cloud by the lengths of queues.

python -m worker.driver         until a signal; scripts/up starts it beside the host
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from azurerest.connections import connection
from orchestrator import logs
from orchestrator.adapters import azure_executions
from orchestrator.adapters.azure import AzureWorld
from orchestrator.catalog import computes
from orchestrator.catalog.dispatch import dispatch
from orchestrator.core.compute import Compute
from orchestrator.core.errors import MillstreamError
from orchestrator.executions import ListExecutions, StartExecution, StopExecution
from orchestrator.setting_types import InvalidSetting
from orchestrator.settings import Settings, read
from steps.zygote import tree
from worker.choice import choice
from worker.processes import ProcessExecutions

log = logging.getLogger("millstream.driver")

POLL_SECONDS: Final = 0.5


class Driver:
    """Looks at the queues, twice a second. `choose`: what the executions of a compute are here."""

    def __init__(self, settings: Settings, world: AzureWorld, choose: Callable[[Compute], ProcessExecutions]) -> None:
        self._settings = settings
        self._world = world
        self._choose = choose
        azure_executions.install(world)
        world.register(ListExecutions, lambda asked: choose(asked.compute).listed(asked.compute))
        world.register(StartExecution, lambda asked: choose(asked.compute).start(asked.compute, asked.queues))
        world.register(StopExecution, lambda asked: choose(asked.compute).stop(asked.compute, asked.name))
        self._complaints: dict[str, str] = {}

    def serve(self, asked: threading.Event) -> None:
        """Until `asked` to end."""
        while not asked.wait(POLL_SECONDS):
            try:
                self.look()
            except MillstreamError as error:
                log.warning("%s", error.message)

    def look(self) -> None:
        """Start what is missing, once."""
        own = self._settings.computes.values()
        every = self._world.run(computes.every(own))
        dispatched = self._world.run(dispatch(every, self._settings.step_queues, lambda it: self._choose(it).name))
        failed = dict(dispatched.failed)
        for name, reason in failed.items():
            if self._complaints.get(name) != reason:
                log.warning("compute %s: %s", name, reason)
        self._complaints = failed


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m worker.driver", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--with-parent", type=int, metavar="PID", help="end when this process, its parent, does")
    options = parser.parse_args(arguments)
    if options.with_parent:
        tree.die_with(options.with_parent)
    try:
        settings = read(os.environ)
    except InvalidSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - the only word of a process that does not start
        return 2
    logs.install_alone(settings.log_form)
    world = AzureWorld(connection(os.environ, "AzureWebJobsStorage"))
    here = choice(settings, os.environ)
    print(here.words, flush=True)  # noqa: T201 - what runs on this machine is for its owner to know
    driver = Driver(settings, world, here.executions)
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    driver.serve(asked)
    here.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
