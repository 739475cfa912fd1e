"""Schedules: published pipelines and pipeline endpoints that start by themselves, at times or when data changes."""

from __future__ import annotations

import builtins
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from millstream import submission
from millstream.arguments import refuse_unknown
from millstream.console import say
from millstream.datastore import Datastore
from millstream.experiment import Experiment
from millstream.explained import Explained
from millstream.schedule_recurrence import ScheduleRecurrence, recurrence_of
from millstream.schedule_views import FilledView, ScheduleView
from millstream.schedule_wish import (
    ALSO,
    OF_DATA,
    POLLING,
    common_of,
    one_of,
    only_given,
    parameters_of,
    pipeline_behind,
    trigger_of,
)
from millstream.workspace import Workspace
from orchestrator.core.datachange import DataChange
from orchestrator.core.schedule import Failure, ScheduleStatus
from orchestrator.core.time_zones import zone

if TYPE_CHECKING:
    from millstream.pipeline_run import PipelineRun


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What came of an occurrence: `state` is "planned", "started", "exists" or "failed"; `failure` says why."""

    occurrence: datetime
    run_id: str
    state: str
    failure: str | None = None


class Schedule(Explained):
    """A schedule of the service. What it tells of itself is what the service said last; `refresh` asks again."""

    def __init__(self, workspace: Workspace, view: ScheduleView) -> None:
        self.workspace = workspace
        self._view = view

    @staticmethod
    def load_yaml(workspace: Workspace, filename: str | os.PathLike[str]) -> dict[str, Any]:
        """What `create` takes, as v1's YAML has it below `Schedule` (docs/yaml.md): `Schedule.create(ws, name=...,
        pipeline_id=..., experiment_name=..., **Schedule.load_yaml(ws, "schedule.yml"))`.

        Raises InvalidRequest, ConfigurationError.
        """
        from millstream.datastore import Datastore
        from millstream.yaml_files import load

        made = load(filename, "schedule")
        if isinstance(made.get("recurrence"), dict):
            made["recurrence"] = ScheduleRecurrence(**made["recurrence"])
        if "datastore_name" in made:
            made["datastore"] = Datastore(workspace, made.pop("datastore_name"))
        return made

    @staticmethod
    def create(
        workspace: Workspace,
        name: str,
        pipeline_id: str,
        experiment_name: str,
        recurrence: ScheduleRecurrence | None = None,
        description: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        wait_for_provisioning: bool = False,
        wait_timeout: int = 3600,
        datastore: Datastore | None = None,
        polling_interval: int = POLLING,
        data_path_parameter_name: str | None = None,
        continue_on_step_failure: bool | None = None,
        path_on_datastore: str | None = None,
        **also: Any,
    ) -> Schedule:
        """Make a schedule of a published pipeline: by a recurrence, by `cron`, or by changes of a datastore's blobs.

        Beside v1's arguments: cron, an expression of five fields, with its time_zone; catch_up, what is run when
        occurrences were missed ("latest", "all", "none"); tags; and for changes recursive, pattern, include_outputs,
        per ("change" or "batch"), debounce_seconds, max_wait_seconds. It is active at once, whatever is waited for.

        Raises ValueError, TypeError for what makes no sense together, and what the service refuses.
        """
        del wait_for_provisioning, wait_timeout
        refuse_unknown(Schedule.create, {key: also[key] for key in also if key not in ALSO}, ALSO)
        trigger = trigger_of(
            recurrence, datastore, polling_interval, data_path_parameter_name, path_on_datastore, also, needed=True
        )
        wish = {"name": name, "experiment_name": experiment_name, "pipeline_id": pipeline_id, **trigger}
        wish |= common_of(description, continue_on_step_failure, also)
        wish["parameters"] = parameters_of(workspace, pipeline_id, pipeline_parameters)
        return _made(workspace, wish)

    @staticmethod
    def create_for_pipeline_endpoint(
        workspace: Workspace,
        name: str,
        pipeline_endpoint_id: str,
        experiment_name: str,
        recurrence: ScheduleRecurrence | None = None,
        description: str | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        wait_for_provisioning: bool = False,
        wait_timeout: int = 3600,
        datastore: Datastore | None = None,
        polling_interval: int = POLLING,
        data_path_parameter_name: str | None = None,
        continue_on_step_failure: bool | None = None,
        path_on_datastore: str | None = None,
        **also: Any,
    ) -> Schedule:
        """As `create`, of whichever pipeline is the endpoint's default version at the time."""
        del wait_for_provisioning, wait_timeout
        strangers = {key: also[key] for key in also if key not in ALSO}
        refuse_unknown(Schedule.create_for_pipeline_endpoint, strangers, ALSO)
        trigger = trigger_of(
            recurrence, datastore, polling_interval, data_path_parameter_name, path_on_datastore, also, needed=True
        )
        wish: dict[str, Any] = {"name": name, "experiment_name": experiment_name}
        wish |= {
            "pipeline_endpoint_id": pipeline_endpoint_id,
            **trigger,
            **common_of(description, continue_on_step_failure, also),
        }
        pipeline_id = pipeline_behind(workspace, pipeline_endpoint_id) if pipeline_parameters else ""
        wish["parameters"] = parameters_of(workspace, pipeline_id, pipeline_parameters)
        return _made(workspace, wish)

    @staticmethod
    def get(workspace: Workspace, id: str, **unknown: Any) -> Schedule:
        """The schedule with this id. Raises UnknownThing."""
        refuse_unknown(Schedule.get, {key: unknown[key] for key in unknown if key[0] != "_"})
        return Schedule(workspace, workspace.api.schedule(id))

    @staticmethod
    def list(
        workspace: Workspace,
        active_only: bool = True,
        pipeline_id: str | None = None,
        pipeline_endpoint_id: str | None = None,
        **unknown: Any,
    ) -> builtins.list[Schedule]:
        """The schedules that are active, or all, newest first; of one pipeline or endpoint, or of any."""
        refuse_unknown(Schedule.list, {key: unknown[key] for key in unknown if key[0] != "_"})
        found = workspace.api.schedules(
            active_only=active_only, pipeline_id=pipeline_id, pipeline_endpoint_id=pipeline_endpoint_id
        )
        return [Schedule(workspace, view) for view in found]

    get_all = list

    @staticmethod
    def get_schedules_for_pipeline_id(workspace: Workspace, pipeline_id: str) -> builtins.list[Schedule]:
        """All schedules of a published pipeline, those that are disabled too."""
        return Schedule.list(workspace, active_only=False, pipeline_id=pipeline_id)

    @staticmethod
    def get_schedules_for_pipeline_endpoint_id(
        workspace: Workspace, pipeline_endpoint_id: str
    ) -> builtins.list[Schedule]:
        """All schedules of a pipeline endpoint, those that are disabled too."""
        return Schedule.list(workspace, active_only=False, pipeline_endpoint_id=pipeline_endpoint_id)

    @property
    def id(self) -> str:
        return self._view.id

    @property
    def name(self) -> str:
        return self._view.name

    @property
    def description(self) -> str:
        return self._view.description

    @property
    def status(self) -> str:
        """ "Active" or "Disabled"."""
        return self._view.status.value

    @property
    def experiment_name(self) -> str:
        return self._view.experiment_name

    @property
    def pipeline_id(self) -> str | None:
        return self._view.pipeline_id

    @property
    def pipeline_endpoint_id(self) -> str | None:
        return self._view.pipeline_endpoint_id

    @property
    def pipeline_parameters(self) -> dict[str, Any]:
        return dict(self._view.parameters)

    @property
    def recurrence(self) -> ScheduleRecurrence | None:
        return None if self._view.recurrence is None else recurrence_of(self._view.recurrence)

    @property
    def cron(self) -> str | None:
        """The cron expression, if it has one."""
        return None if self._view.cron is None else self._view.cron.expression

    @property
    def data_change(self) -> DataChange | None:
        """Which changes of data start it, if they do."""
        return self._view.data_change

    @property
    def datastore_name(self) -> str | None:
        return None if self._view.data_change is None else self._view.data_change.datastore

    @property
    def path_on_datastore(self) -> str | None:
        return None if self._view.data_change is None else self._view.data_change.path

    @property
    def polling_interval(self) -> int | None:
        """Minutes."""
        return None if self._view.data_change is None else self._view.data_change.polling_interval

    @property
    def data_path_parameter_name(self) -> str | None:
        return None if self._view.data_change is None else self._view.data_change.data_path_parameter_name or None

    @property
    def continue_on_step_failure(self) -> bool | None:
        """None: as the published pipeline has it."""
        return self._view.continue_on_step_failure

    @property
    def catch_up(self) -> str:
        """What is run when occurrences were missed: "latest", "all" or "none"."""
        return self._view.catch_up.value

    @property
    def tags(self) -> dict[str, str]:
        """Those that its runs are given."""
        return dict(self._view.tags)

    @property
    def skipped(self) -> int:
        """How many occurrences were left out by the catch-up policy."""
        return self._view.skipped

    @property
    def last_failure(self) -> Failure | None:
        """Why the last occurrence that has no run could not be started."""
        return self._view.last_failure

    def refresh(self) -> Schedule:
        """Ask the service again."""
        self._view = self.workspace.api.schedule(self.id)
        return self

    def update(
        self,
        name: str | None = None,
        description: str | None = None,
        recurrence: ScheduleRecurrence | None = None,
        pipeline_parameters: Mapping[str, Any] | None = None,
        status: str | None = None,
        wait_for_provisioning: bool = False,
        wait_timeout: int = 3600,
        datastore: Datastore | None = None,
        polling_interval: int | None = None,
        data_path_parameter_name: str | None = None,
        continue_on_step_failure: bool | None = None,
        path_on_datastore: str | None = None,
        **also: Any,
    ) -> None:
        """Change what is given; the rest stays. Also takes what `create` takes beside v1's arguments.

        A schedule stays one of time or one of data. A new recurrence counts from now. Raises Conflict if it was changed
        by somebody else since this object has seen it: refresh, and look.
        """
        del wait_for_provisioning, wait_timeout
        refuse_unknown(Schedule.update, {key: also[key] for key in also if key not in ALSO}, ALSO)
        changes = only_given(name=name, description=description, continue_on_step_failure=continue_on_step_failure)
        changes |= common_of(None, None, also)
        if status is not None:
            changes["status"] = one_of(ScheduleStatus, status, "status")
        if pipeline_parameters is not None:
            pipeline_id = self.pipeline_id or pipeline_behind(self.workspace, self.pipeline_endpoint_id or "")
            changes["parameters"] = parameters_of(self.workspace, pipeline_id, pipeline_parameters)
        changes |= self._new_trigger(
            recurrence, datastore, polling_interval, data_path_parameter_name, path_on_datastore, also
        )
        if changes:
            self._change(**changes, etag=self._view.etag)

    def enable(self, wait_for_provisioning: bool = False, wait_timeout: int = 3600) -> None:
        """Let it run again. What it has missed while it was disabled is not made up for; see `backfill`."""
        del wait_for_provisioning, wait_timeout
        self._change(status="Active")

    def disable(self, wait_for_provisioning: bool = False, wait_timeout: int = 3600) -> None:
        """Let it start nothing more. What runs goes on."""
        del wait_for_provisioning, wait_timeout
        self._change(status="Disabled")

    def get_pipeline_runs(self) -> builtins.list[PipelineRun]:
        """The runs it has started, those of the latest occurrences first."""
        return [self._run(item.run_id) for item in self.workspace.api.schedule_runs(self.id)]

    def get_last_pipeline_run(self) -> PipelineRun | None:
        """The run of the latest occurrence that has one, or None."""
        latest = next(self.workspace.api.schedule_runs(self.id), None)
        return None if latest is None else self._run(latest.run_id)

    def next_runs(self, count: int = 10) -> builtins.list[datetime]:
        """When it will run next, as the service knows it now: aware datetimes in its time zone. None of a schedule of
        data; of one that is disabled, when it would."""
        place = zone(self._zone_name())
        moments = self.workspace.api.next_occurrences(self.id, count)
        return [datetime.fromtimestamp(moment, place) for moment in moments]

    def backfill(
        self, start: datetime, end: datetime | None = None, *, dry_run: bool = False
    ) -> builtins.list[Backfilled]:
        """Start the runs of the occurrences from `start` up to `end` (not included; None: now), oldest first.

        Each occurrence has one run, however often this is called; with `dry_run` nothing is started, and what would be
        is told. Datetimes without an offset are meant in the schedule's time zone. Raises InvalidRequest for a period
        with more than 1,000 occurrences, or one that is not over.
        """
        place = zone(self._zone_name())
        moments = [
            moment if moment is None or moment.tzinfo else moment.replace(tzinfo=place) for moment in (start, end)
        ]
        rest = moments[0].timestamp() if moments[0] else None
        last = None if moments[1] is None else moments[1].timestamp()
        found: builtins.list[Backfilled] = []
        while rest is not None:
            done = self.workspace.api.backfill(self.id, start=rest, end=last, dry_run=dry_run)
            found += [self._backfilled(item) for item in done.occurrences]
            rest = done.rest
        return found

    def _backfilled(self, item: FilledView) -> Backfilled:
        occurrence = datetime.fromtimestamp(item.occurrence, zone(self._zone_name()))
        why = None if item.failure is None else item.failure.message
        return Backfilled(occurrence, item.run_id, item.state, why)

    def _zone_name(self) -> str:
        trigger = self._view.recurrence or self._view.cron
        return "UTC" if trigger is None else trigger.time_zone

    def _new_trigger(
        self,
        recurrence: ScheduleRecurrence | None,
        datastore: Datastore | None,
        polling_interval: int | None,
        data_path_parameter_name: str | None,
        path_on_datastore: str | None,
        also: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The trigger that a change is to put in the place of the one before, if any."""
        of_data = only_given(
            datastore=None if datastore is None else datastore.name,
            polling_interval=polling_interval,
            data_path_parameter_name=data_path_parameter_name,
            path=None if path_on_datastore is None else path_on_datastore.strip("/"),
            **{name: also.get(name) for name in OF_DATA},
        )
        watched = self._view.data_change
        if of_data and watched is None:
            raise ValueError(f"{next(iter(of_data))}: this schedule is one of time. Make another for changes of data.")
        if watched is not None and of_data:
            return {"data_change": msgspec.structs.replace(watched, **of_data)}
        if watched is not None and (recurrence is not None or also.get("cron") is not None):
            raise ValueError("recurrence: this schedule is one of data. Make another for times.")
        if self._view.cron is not None and also.get("time_zone") is not None and also.get("cron") is None:
            also = {**also, "cron": self._view.cron.expression}
        return trigger_of(recurrence, None, POLLING, None, None, also, needed=False)

    def _run(self, run_id: str) -> PipelineRun:
        from millstream.pipeline_run import PipelineRun

        return PipelineRun(Experiment(self.workspace, self.experiment_name), run_id)

    def _change(self, **changes: Any) -> None:
        self._view = self.workspace.api.change_schedule(self.id, changes)
        submission.say_warnings(self._view.warnings)

    def __repr__(self) -> str:
        return f"Schedule(name={self.name!r}, id={self.id!r}, status={self.status!r})"


def _made(workspace: Workspace, wish: dict[str, Any]) -> Schedule:
    view = workspace.api.create_schedule({**wish, "id": str(uuid.uuid4())})
    submission.say_warnings(view.warnings)
    coming = "" if view.next_occurrence is None else f", next at {datetime.fromtimestamp(view.next_occurrence, UTC)}"
    say(f"Created Schedule {view.name} ({view.id}){coming}")
    return Schedule(workspace, view)


def _seconds(moment: datetime, place: ZoneInfo) -> float:
    """Epoch seconds; a datetime without an offset is meant in `place`."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=place)).timestamp()
