"""What the executions of a compute are on this machine: containers where that can be, else worker processes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.core.compute import Compute, ComputeKind
from orchestrator.core.errors import Unavailable
from orchestrator.settings import Settings
from worker.containers import ContainerExecutions, find_command
from worker.processes import ProcessExecutions

log = logging.getLogger("millstream.driver")


@dataclass(frozen=True, slots=True)
class Choice:
    """`words` say what was chosen, and why. `image`: whether there is one for computes that name none."""

    processes: ProcessExecutions
    containers: ContainerExecutions | None
    image: bool
    words: str

    def executions(self, compute: Compute) -> ProcessExecutions:
        wants = compute.kind == ComputeKind.CONTAINER and (self.image or compute.sizes.image)
        return self.containers if self.containers is not None and wants else self.processes

    def close(self) -> None:
        """End all of them: what runs gives its message back."""
        self.processes.close()
        if self.containers is not None:
            self.containers.close()


def choice(settings: Settings, environment: Mapping[str, str]) -> Choice:
    """What there is here. What an earlier driver has left behind is ended."""
    folder = settings.cache_dir / "executions"
    processes = ProcessExecutions(environment, folder, log.warning)
    command, image = find_command(settings.container_command), settings.worker_image
    if not command:
        reason = "neither podman nor docker is here" if not settings.container_command else "its command is not here"
        return Choice(processes, None, bool(image), f"container computes run as worker processes: {reason}")
    containers = ContainerExecutions(
        environment,
        folder,
        log.warning,
        command=command,
        options=settings.container_options,
        image=image,
        mark=hashlib.sha256(str(settings.cache_dir).encode()).hexdigest()[:16],
    )
    try:
        containers.clear()
    except Unavailable as error:
        return Choice(processes, None, bool(image), f"container computes run as worker processes: {error.message}")
    words = f"container computes run in {containers.name}"
    if not image:
        words += " if they name an image, else as worker processes: MILLSTREAM_WORKER_IMAGE is not set"
    return Choice(processes, containers, bool(image), words)
