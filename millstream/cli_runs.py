"""The commands on runs: find them, look at them, tag, cancel and repeat them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from millstream.cli_cost import show_cost
from millstream.cli_values import assignments, label, labels, pair, point_in_time
from millstream.console import duration, say, styled
from millstream.errors import UnknownThing
from millstream.pipeline_run import PipelineRun
from millstream.tables import coloured, moment, table
from millstream.views import StepView
from millstream.workspace import Workspace


def list_runs(workspace: Workspace, options: argparse.Namespace) -> int:
    rows = [("RUN", "EXPERIMENT", "PIPELINE", "STATUS", "STARTED", "TOOK", "TAGS")]
    lines = workspace.api.runs(
        experiment=options.experiment,
        status=options.status,
        pipeline_id=options.pipeline,
        source=options.source,
        started_by=options.by,
        parent_run=options.parent,
        tag=options.tag,
        property=options.property,
        submitted_after=options.since,
        submitted_before=options.until,
    )
    for line in islice(lines, options.limit):
        took = duration(line.ended_at - line.submitted_at) if line.ended_at else ""
        started, tags = moment(line.submitted_at), _cut(_pairs(line.tags), 40)
        rows.append((line.id, line.experiment, line.pipeline_name, line.status, started, took, tags))
    table(rows)
    return 0


def show_run(workspace: Workspace, options: argparse.Namespace) -> int:
    view = workspace.api.run(options.run)
    facts = {
        "run": view.id,
        "status": coloured(view.status),
        "experiment": view.experiment,
        "pipeline": view.pipeline_name,
        "started": moment(view.submitted_at),
        "took": duration(view.ended_at - view.submitted_at) if view.ended_at else "",
        "source": view.source,
        "started by": view.started_by,
        "rerun of": view.rerun_of,
        "parent": view.parent_run,
        "parameters": _pairs(view.parameters),
        "tags": _pairs(view.tags),
        "properties": _pairs(view.properties),
    }
    for name, fact in facts.items():
        if fact:
            say(f"{name:<11} {fact}")
    say()
    rows = [("STEP", "NAME", "STATUS", "ATTEMPT", "TOOK", "WHY")]
    steps = workspace.api.steps(options.run)
    for step in steps:
        took = duration(step.ended_at - step.started_at) if step.ended_at and step.started_at else ""
        rows.append((step.id, step.name, step.status, str(step.attempt or ""), took, _why(step)))
    table(rows)
    for step in steps:
        if step.error is not None:
            say(f"\n{styled(step.name, 'bold')}: {step.error.message} ({step.error.code})")
            say(step.error.log_tail.rstrip())
    return 0


def _why(step: StepView) -> str:
    """Why a step ran, or whose outputs it has; or what it waits for."""
    if step.child is not None and step.status == "Running":
        return f"waits for run {step.child.run} ({step.child.steps_ended} of {step.child.steps_total} steps)"
    if step.decision is None:
        return ""
    what = "reused" if step.taken else "skipped" if step.decision.action == "skip" else "ran"
    return f"{what}: {step.decision.text}"


def cancel_run(workspace: Workspace, options: argparse.Namespace) -> int:
    say(f"{options.run} {coloured(workspace.api.cancel(options.run).status)}")
    return 0


def tag_run(workspace: Workspace, options: argparse.Namespace) -> int:
    changes: dict[str, str | None] = {**labels(options.tag), **dict.fromkeys(options.remove)}
    say(_pairs(workspace.api.label_run(options.run, changes, {}).tags))
    return 0


def resubmit_run(workspace: Workspace, options: argparse.Namespace) -> int:
    run = PipelineRun.get(workspace, options.run)
    values = assignments(options.parameter, run.get_graph().parameters)
    again = run.resubmit(values, experiment_name=options.experiment, tags=labels(options.tag))
    return _follow(again, options)


def rerun_run(workspace: Workspace, options: argparse.Namespace) -> int:
    run = PipelineRun.get(workspace, options.run)
    return _follow(run.rerun(experiment_name=options.experiment, tags=labels(options.tag)), options)


def _follow(run: PipelineRun, options: argparse.Namespace) -> int:
    if options.follow:
        run.wait_for_completion(show_output=True)
    return 0


def show_notices(workspace: Workspace, options: argparse.Namespace) -> int:
    rows = [("WEBHOOK", "EVENT", "STATE", "CALLS", "LAST ANSWER", "NEXT")]
    for notice in workspace.api.notices(options.run):
        answer = str(notice.status or notice.error)
        next_at = moment(notice.next_at) if notice.next_at else ""
        rows.append((notice.webhook, notice.event, notice.state, str(notice.attempts), answer, next_at))
    table(rows)
    return 0


def show_logs(workspace: Workspace, options: argparse.Namespace) -> int:
    run = PipelineRun.get(workspace, options.run)
    if options.step is None:
        steps = [step for step in reversed(list(run.get_steps())) if step.details.started_at]
    else:
        steps = run.find_step_run(options.step)
        if not steps:
            raise UnknownThing(f"The run has no step {options.step!r}. See: millstream runs show {run.id}")
    for step in steps:
        if len(steps) > 1:
            say(styled(f"==> {step.name}", "bold"))
        sys.stdout.write(step.get_stdout_log())
    return 0


def follow_run(workspace: Workspace, options: argparse.Namespace) -> int:
    PipelineRun.get(workspace, options.run).wait_for_completion(show_output=not options.quiet)
    return 0


def _pairs(labels: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" if value != "" else name for name, value in labels.items())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def add(parser: argparse.ArgumentParser) -> None:
    """The subcommands of `millstream runs`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the newest runs")
    listing.add_argument("--experiment")
    listing.add_argument("--status", choices=("Running", "Completed", "Failed", "Canceled"))
    listing.add_argument(
        "--tag", metavar="NAME[=VALUE]", type=label, action="append", default=[], help="may be repeated"
    )
    listing.add_argument(
        "--property", metavar="NAME[=VALUE]", type=label, action="append", default=[], help="may be repeated"
    )
    listing.add_argument("--pipeline", metavar="ID", help="runs of this published pipeline")
    listing.add_argument("--source", help="who asked for them: sdk, http, schedule ...")
    listing.add_argument("--by", metavar="WHO", help="runs that WHO has started; me: yourself")
    listing.add_argument("--parent", metavar="RUN", help="children of this run")
    listing.add_argument("--since", metavar="WHEN", type=point_in_time, help="2h, 7d, or a date, or a date and time")
    listing.add_argument("--until", metavar="WHEN", type=point_in_time, help="the same; runs before it")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=list_runs)
    for name, command, text in (
        ("show", show_run, "a run and its steps"),
        ("cancel", cancel_run, "start nothing new, end what runs"),
        ("logs", show_logs, "what the scripts printed"),
        ("cost", show_cost, "what it has used, and what that costs"),
        ("notices", show_notices, "who has been told of its end"),
        ("follow", follow_run, "what happens in it, until it ends"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("run", metavar="RUN")
        one.set_defaults(command=command)
        if command is show_logs:
            one.add_argument("step", metavar="STEP", nargs="?", help="id or name; default: all steps")
        if command is show_cost:
            one.add_argument("--explain", action="store_true", help="say what is not in it, too")
        if command is follow_run:
            one.add_argument("--quiet", action="store_true", help="only wait")
    tagging = commands.add_parser("tag", help="set and remove tags")
    tagging.add_argument("run", metavar="RUN")
    tagging.add_argument("tag", metavar="NAME[=VALUE]", type=label, nargs="*")
    tagging.add_argument("--remove", metavar="NAME", action="append", default=[], help="may be repeated")
    tagging.set_defaults(command=tag_run)
    _add_repeat(commands.add_parser("resubmit", help="run the same again"), resubmit_run, parameters=True)
    _add_repeat(commands.add_parser("rerun", help="run again what failed; finished steps are kept"), rerun_run)


def _add_repeat(
    parser: argparse.ArgumentParser,
    command: Callable[[Workspace, argparse.Namespace], int],
    *,
    parameters: bool = False,
) -> None:
    parser.add_argument("run", metavar="RUN")
    if parameters:
        parser.add_argument("-p", "--parameter", metavar="NAME=VALUE", type=pair, action="append", default=[])
    parser.add_argument("--tag", metavar="NAME[=VALUE]", type=label, action="append", default=[])
    parser.add_argument("--experiment", help="default: that of the run")
    parser.add_argument("--follow", action="store_true", help="show what happens until it ends")
    parser.set_defaults(command=command)
