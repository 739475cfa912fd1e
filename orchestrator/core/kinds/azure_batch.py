"""A program that runs as a task of Azure Batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from orchestrator.core.errors import Problem
from orchestrator.core.kinds.settings import Settings

MOST_NODES: Final = 1000
_POOL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_IMAGE: Final = re.compile(r"urn:[^:\s]+:[^:\s]+:[^:\s]+(:[^:\s]+)?")
_SIZE: Final = re.compile(r"[A-Za-z0-9_]{1,64}")


class BatchTask(Settings, frozen=True, kw_only=True):
    """Runs `executable`, without a shell, on a node of the pool: its own program, or a file of the source folder.

    With `create_pool` a pool that is not there is made, of `nodes` machines of the size `vm_size` with the `image`;
    `delete_pool` removes it when the step has ended. `as_admin`: with the rights of an administrator of the node.
    `delete_job`: nothing of the step is left in the account. `fails_above_zero`: an exit code above zero is a failure,
    as one below zero always is.
    """

    executable: str
    pool: str
    create_pool: bool = False
    nodes: int = 1
    vm_size: str = "standard_d1_v2"
    image: str = "urn:MicrosoftWindowsServer:WindowsServer:2012-R2-Datacenter"
    as_admin: bool = False
    delete_job: bool = True
    delete_pool: bool = False
    fails_above_zero: bool = True

    def problems(self, field: str) -> Iterator[Problem]:
        if not self.executable.strip() or not self.executable.isprintable():
            fix = "Name a program of the node, or a file of the source folder."
            yield Problem("InvalidSettings", f"{field}.executable", "There is no executable.", fix)
        if not _POOL.fullmatch(self.pool):
            fix = "Use 1 to 64 letters, digits, hyphens and underscores."
            yield Problem("InvalidSettings", f"{field}.pool", f"{self.pool!r} is no id of a pool.", fix)
        if not 1 <= self.nodes <= MOST_NODES:
            yield Problem("InvalidNumber", f"{field}.nodes", f"nodes is {self.nodes}.", f"Use 1 to {MOST_NODES:,}.")
        if not _SIZE.fullmatch(self.vm_size):
            yield Problem("InvalidSettings", f"{field}.vm_size", "It is no size.", 'As in "standard_d2s_v3".')
        if not _IMAGE.fullmatch(self.image):
            yield Problem("InvalidSettings", f"{field}.image", "It is no image.", "As in urn:publisher:offer:sku.")
        if self.delete_pool and not self.create_pool:
            fix = "Leave it out: a pool that others have made is theirs to remove."
            yield Problem("InvalidSettings", f"{field}.delete_pool", "The step does not make its pool.", fix)
