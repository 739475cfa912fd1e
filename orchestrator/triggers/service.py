"""What the triggers act through: made once by function_app.py, shared by all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from orchestrator.catalog.submissions import Submitter
from orchestrator.changes.intake import Intake
from orchestrator.engine.memory import ProcessMemory
from orchestrator.ports import Task
from orchestrator.settings import Settings

T = TypeVar("T")


class Runner(Protocol):
    """A world: see `orchestrator.adapters.driver.World`."""

    def run(self, task: Task[T]) -> T: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """`api_document` gives the OpenAPI document, as JSON."""

    settings: Settings
    world: Runner
    memory: ProcessMemory
    submitter: Submitter
    intake: Intake
    api_document: Callable[[], bytes]
