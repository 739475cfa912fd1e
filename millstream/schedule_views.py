"""What the service answers about schedules."""

from __future__ import annotations

from typing import Any

import msgspec

from millstream.views import View
from orchestrator.core.cron import Cron
from orchestrator.core.datachange import DataChange
from orchestrator.core.recurrence import Recurrence
from orchestrator.core.schedule import CatchUp, Failure, ScheduleStatus


class ScheduleView(View, frozen=True, kw_only=True):
    """A schedule. Times in epoch seconds."""

    id: str
    name: str
    experiment_name: str
    description: str = ""
    pipeline_id: str | None = None
    pipeline_endpoint_id: str | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    recurrence: Recurrence | None = None
    cron: Cron | None = None
    data_change: DataChange | None = None
    continue_on_step_failure: bool | None = None
    catch_up: CatchUp = CatchUp.LATEST
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    created_at: float = 0.0
    etag: str = ""
    next_occurrence: float | None = None
    skipped: int = 0
    failures: int = 0
    last_run_id: str | None = None
    last_occurrence: float | None = None
    last_failure: Failure | None = None
    warnings: tuple[str, ...] = ()


class SchedulePage(View, frozen=True, kw_only=True):
    schedules: tuple[ScheduleView, ...]
    continuation: str | None = None


class FiringView(View, frozen=True, kw_only=True):
    """What came of an occurrence, epoch seconds."""

    occurrence: float
    run_id: str
    failure: Failure | None = None


class FiringPage(View, frozen=True, kw_only=True):
    runs: tuple[FiringView, ...]
    continuation: str | None = None


class OccurrencesView(View, frozen=True, kw_only=True):
    occurrences: tuple[float, ...]


class FilledView(View, frozen=True, kw_only=True):
    occurrence: float
    run_id: str
    state: str
    failure: Failure | None = None


class BackfillView(View, frozen=True, kw_only=True):
    occurrences: tuple[FilledView, ...]
    rest: float | None = None
