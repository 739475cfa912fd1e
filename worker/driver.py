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
from pathlib import Path
from typing import Final

from azurerest.connections import connection
from orchestrator.adapters import azure_executions
from orchestrator.adapters.azure import AzureWorld
from orchestrator.catalog import computes
from orchestrator.catalog.dispatch import dispatch
from orchestrator.core.compute import configured
from orchestrator.core.errors import MillstreamError
from orchestrator.executions import ListExecutions, StartExecution, StopExecution
from orchestrator.setting_types import InvalidSetting
from orchestrator.settings import Settings, read
from steps.zygote import tree
from worker.processes import ProcessExecutions

log = logging.getLogger("millstream.driver")

POLL_SECONDS: Final = 0.5


class Driver:
    """Looks at the queues, twice a second. `executions` carries out what is decided."""

    def __init__(self, settings: Settings, world: AzureWorld, executions: ProcessExecutions) -> None:
        self._settings = settings
        self._world = world
        self._executions = executions
        azure_executions.install(world)
        world.register(ListExecutions, lambda asked: executions.listed(asked.compute))
        world.register(StartExecution, lambda asked: executions.start(asked.compute, asked.queue))
        world.register(StopExecution, lambda asked: executions.stop(asked.compute, asked.name))
        self._complaints: dict[str, str] = {}

    def serve(self, asked: threading.Event) -> None:
        """Until `asked` to end: what runs then gives its message back."""
        while not asked.wait(POLL_SECONDS):
            try:
                self.look()
            except MillstreamError as error:
                log.warning("%s", error.message)
        self._executions.close()

    def look(self) -> None:
        """Start what is missing, once."""
        own = configured(self._settings.computes).values()
        every = self._world.run(computes.every(own))
        dispatched = self._world.run(dispatch(every, self._settings.queue, self._executions.NAME))
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
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = read(os.environ)
    except InvalidSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - the only word of a process that does not start
        return 2
    world = AzureWorld(connection(os.environ, "AzureWebJobsStorage"))
    folder = settings.cache_dir / "executions"
    driver = Driver(settings, world, ProcessExecutions(os.environ, Path(folder), lambda text: log.warning("%s", text)))
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    driver.serve(asked)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
