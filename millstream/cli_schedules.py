"""The commands on schedules: find them, look ahead, see what came of them, disable, enable and backfill them."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, datetime
from itertools import islice

from millstream.cli_values import point_in_time
from millstream.console import say
from millstream.errors import UnknownThing
from millstream.schedule import Schedule
from millstream.tables import coloured, moment, table
from millstream.workspace import Workspace


def list_schedules(workspace: Workspace, options: argparse.Namespace) -> int:
    rows = [("SCHEDULE", "NAME", "EXPERIMENT", "STATUS", "WHEN", "NEXT")]
    for view in islice(workspace.api.schedules(active_only=not options.all), options.limit):
        coming = "" if view.next_occurrence is None else moment(view.next_occurrence)
        when = _when(Schedule(workspace, view))
        rows.append((view.id, view.name, view.experiment_name, view.status.value, when, coming))
    table(rows)
    return 0


def show_schedule(workspace: Workspace, options: argparse.Namespace) -> int:
    schedule = _find(workspace, options.schedule)
    view = workspace.api.schedule(schedule.id)
    facts = {
        "schedule": view.id,
        "name": view.name,
        "status": coloured(view.status.value),
        "starts": view.pipeline_id or f"endpoint {view.pipeline_endpoint_id}",
        "experiment": view.experiment_name,
        "when": _when(schedule),
        "catch up": view.catch_up.value if view.data_change is None else "",
        "parameters": ", ".join(f"{name}={value}" for name, value in view.parameters.items()),
        "next": "" if view.next_occurrence is None else moment(view.next_occurrence),
        "last run": view.last_run_id or "",
        "skipped": str(view.skipped or ""),
        "failure": "" if view.last_failure is None else f"{view.last_failure.message} ({moment(view.last_failure.at)})",
    }
    for name, fact in facts.items():
        if fact:
            say(f"{name:<11} {fact}")
    return 0


def list_runs(workspace: Workspace, options: argparse.Namespace) -> int:
    schedule = _find(workspace, options.schedule)
    rows = [("OCCURRENCE", "RUN", "STATUS", "WHY NOT")]
    for item in islice(workspace.api.schedule_runs(schedule.id, started_only=False), options.limit):
        status = workspace.api.run(item.run_id).status if item.failure is None else "Failed"
        rows.append((moment(item.occurrence), item.run_id, status, item.failure.message if item.failure else ""))
    table(rows)
    return 0


def show_next(workspace: Workspace, options: argparse.Namespace) -> int:
    for coming in _find(workspace, options.schedule).next_runs(options.count):
        say(f"{coming:%a %Y-%m-%d %H:%M:%S %Z}")
    return 0


def enable(workspace: Workspace, options: argparse.Namespace) -> int:
    schedule = _find(workspace, options.schedule)
    schedule.enable()
    say(f"{schedule.id} {coloured(schedule.status)}")
    return 0


def disable(workspace: Workspace, options: argparse.Namespace) -> int:
    schedule = _find(workspace, options.schedule)
    schedule.disable()
    say(f"{schedule.id} {coloured(schedule.status)}")
    return 0


def backfill(workspace: Workspace, options: argparse.Namespace) -> int:
    """Exit code 1 if a run could not be started."""
    start = datetime.fromtimestamp(options.start, UTC)
    end = None if options.end is None else datetime.fromtimestamp(options.end, UTC)
    done = _find(workspace, options.schedule).backfill(start, end, dry_run=options.dry_run)
    rows = [("OCCURRENCE", "RUN", "STATE", "WHY NOT")]
    rows += [(f"{item.occurrence:%Y-%m-%d %H:%M:%S %Z}", item.run_id, item.state, item.failure or "") for item in done]
    table(rows)
    counts = Counter(item.state for item in done)
    say(", ".join(f"{count} {state}" for state, count in counts.items()) or "no occurrences")
    return 1 if counts["failed"] else 0


def _find(workspace: Workspace, wanted: str) -> Schedule:
    """By its id, or else the newest of that name."""
    try:
        return Schedule.get(workspace, wanted)
    except UnknownThing:
        named = next(workspace.api.schedules(name=wanted), None)
        if named is None:
            raise
        return Schedule(workspace, named)


def _when(schedule: Schedule) -> str:
    recurrence = schedule.recurrence
    if recurrence is not None:
        every = recurrence.frequency if recurrence.interval == 1 else f"{recurrence.interval} {recurrence.frequency}s"
        return f"every {every}"
    if schedule.cron is not None:
        return schedule.cron
    return f"changes of {schedule.datastore_name}/{schedule.path_on_datastore or ''}"


def add(parser: argparse.ArgumentParser) -> None:
    """Give the parser the commands."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the newest active schedules")
    listing.add_argument("--all", action="store_true", help="also those that are disabled")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=list_schedules)
    for name, command, text in (
        ("show", show_schedule, "what it starts and when, and what came of it"),
        ("runs", list_runs, "what came of its latest occurrences"),
        ("next", show_next, "when it runs next"),
        ("enable", enable, "let it start runs again"),
        ("disable", disable, "let it start nothing more"),
        ("backfill", backfill, "start the runs of a past period, each occurrence once"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("schedule", metavar="SCHEDULE", help="id, or name of the newest")
        one.set_defaults(command=command)
        if command is list_runs:
            one.add_argument("--limit", type=int, default=20)
        if command is show_next:
            one.add_argument("--count", type=int, default=10)
        if command is backfill:
            one.add_argument("--start", type=point_in_time, required=True, metavar="TIME", help="first moment of it")
            one.add_argument("--end", type=point_in_time, metavar="TIME", help="its end, not included; default: now")
            one.add_argument("--dry-run", action="store_true", help="start nothing, tell what would be started")
