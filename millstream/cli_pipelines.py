"""`millstream pipelines`: published pipelines, listed, shown, published from runs, enabled, disabled, started."""

from __future__ import annotations

import argparse

from millstream.cli_values import assignments, pair
from millstream.console import say
from millstream.errors import UnknownThing
from millstream.pipeline_run import PipelineRun
from millstream.published import PublishedPipeline
from millstream.tables import moment, table
from millstream.workspace import Workspace


def find(workspace: Workspace, wanted: str) -> PublishedPipeline:
    """The pipeline with this id, else the newest of this name. Raises UnknownThing."""
    try:
        return PublishedPipeline.get(workspace, wanted)
    except UnknownThing:
        return PublishedPipeline.get(workspace, name=wanted)


def list_pipelines(workspace: Workspace, options: argparse.Namespace) -> int:
    rows = [("PIPELINE", "NAME", "VERSION", "STATUS", "STEPS", "PUBLISHED")]
    for view in workspace.api.pipelines(name=options.name, active_only=not options.all):
        rows.append((view.id, view.name, view.version, view.status, str(view.steps_total), moment(view.published_at)))
        if len(rows) > options.limit:
            break
    table(rows)
    return 0


def show(workspace: Workspace, options: argparse.Namespace) -> int:
    view = workspace.api.pipeline(find(workspace, options.pipeline).id)
    facts = {
        "pipeline": view.id,
        "name": view.name,
        "version": view.version,
        "status": view.status,
        "description": view.description,
        "endpoint": view.endpoint,
        "parameters": ", ".join(f"{parameter.name}={parameter.default}" for parameter in view.parameters),
    }
    for name, fact in facts.items():
        if fact:
            say(f"{name:<11} {fact}")
    return 0


def publish(workspace: Workspace, options: argparse.Namespace) -> int:
    run = PipelineRun.get(workspace, options.run)
    run.publish_pipeline(name=options.name or "", description=options.description, version=options.version)
    return 0


def set_status(workspace: Workspace, options: argparse.Namespace) -> int:
    # By name it would be the newest active one: not what somebody means who names one to be enabled.
    view = workspace.api.set_pipeline_status(options.pipeline, options.status)
    say(f"{view.name} ({view.id}) is {view.status}")
    return 0


def submit(workspace: Workspace, options: argparse.Namespace) -> int:
    published = find(workspace, options.pipeline)
    values = assignments(options.parameter, workspace.api.pipeline(published.id).parameters)
    run = published.submit(workspace, options.experiment or published.name, values)
    if options.follow:
        run.wait_for_completion(show_output=True)
    return 0


def add(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the newest published pipelines")
    listing.add_argument("--name")
    listing.add_argument("--all", action="store_true", help="also those that are disabled")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=list_pipelines)
    shown = commands.add_parser("show", help="one, with its endpoint and its parameters")
    shown.add_argument("pipeline", metavar="PIPELINE", help="id, or name of the newest")
    shown.set_defaults(command=show)
    published = commands.add_parser("publish", help="publish what a run runs; the same again is found, not made")
    published.add_argument("run", metavar="RUN")
    published.add_argument("--name", help="default: that of the run's pipeline")
    published.add_argument("--version", default="")
    published.add_argument("--description", default="")
    published.set_defaults(command=publish)
    for name, status, text in (
        ("enable", "Active", "let it start runs"),
        ("disable", "Disabled", "let it start no more runs"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("pipeline", metavar="PIPELINE", help="id")
        one.set_defaults(command=set_status, status=status)
    add_submit(commands.add_parser("submit", help="start one"))


def add_submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="id, or name of the newest")
    parser.set_defaults(command=submit)
    add_starting(parser, "the pipeline's name")


def add_starting(parser: argparse.ArgumentParser, experiment: str) -> None:
    """The options of whatever starts a run."""
    parser.add_argument("--experiment", help=f"default: {experiment}")
    parser.add_argument("-p", "--parameter", metavar="NAME=VALUE", type=pair, action="append", default=[])
    parser.add_argument("--follow", action="store_true", help="show what happens until it ends")
