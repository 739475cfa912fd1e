"""`millstream endpoints`: pipeline endpoints and their versions, listed, made, moved on, started."""

from __future__ import annotations

import argparse

from millstream import cli_pipelines
from millstream.cli_values import assignments
from millstream.console import say
from millstream.errors import UnknownThing
from millstream.pipeline_endpoint import PipelineEndpoint
from millstream.tables import moment, table
from millstream.workspace import Workspace


def find(workspace: Workspace, wanted: str) -> PipelineEndpoint:
    """The endpoint with this id, else of this name. Raises UnknownThing."""
    try:
        return PipelineEndpoint.get(workspace, wanted)
    except UnknownThing:
        return PipelineEndpoint.get(workspace, name=wanted)


def list_endpoints(workspace: Workspace, options: argparse.Namespace) -> int:
    rows = [("ENDPOINT", "NAME", "STATUS", "DEFAULT", "VERSIONS", "MADE")]
    for view in workspace.api.endpoints.list(active_only=not options.all):
        versions = str(view.versions_total)
        rows.append((view.id, view.name, view.status, view.default_version, versions, moment(view.created_at)))
        if len(rows) > options.limit:
            break
    table(rows)
    return 0


def show(workspace: Workspace, options: argparse.Namespace) -> int:
    endpoint = find(workspace, options.endpoint)
    facts = {
        "endpoint": endpoint.id,
        "name": endpoint.name,
        "status": endpoint.status,
        "description": endpoint.description,
        "address": endpoint.endpoint,
    }
    for name, fact in facts.items():
        if fact:
            say(f"{name:<11} {fact}")
    say()
    rows = [("VERSION", "PIPELINE", "NAME", "STATUS")]
    for version in endpoint.list_versions():
        pipeline = version.pipeline
        mark = " (default)" if version.version == endpoint.default_version else ""
        rows.append((version.version + mark, pipeline.id, pipeline.name, pipeline.status))
    table(rows)
    return 0


def publish(workspace: Workspace, options: argparse.Namespace) -> int:
    pipeline = cli_pipelines.find(workspace, options.pipeline)
    PipelineEndpoint.publish(workspace, options.name, options.description, pipeline)
    return 0


def add_version(workspace: Workspace, options: argparse.Namespace) -> int:
    endpoint, pipeline = find(workspace, options.endpoint), cli_pipelines.find(workspace, options.pipeline)
    if options.default:
        endpoint.add_default(pipeline)
    else:
        endpoint.add(pipeline)
    say(f"The default is version {endpoint.default_version}")
    return 0


def set_default(workspace: Workspace, options: argparse.Namespace) -> int:
    endpoint = find(workspace, options.endpoint)
    endpoint.set_default_version(options.version)
    say(f"The default of {endpoint.name} is version {endpoint.default_version}")
    return 0


def set_status(workspace: Workspace, options: argparse.Namespace) -> int:
    endpoint = find(workspace, options.endpoint)
    (endpoint.enable if options.enable else endpoint.disable)()
    say(f"{endpoint.name} ({endpoint.id}) is {endpoint.status}")
    return 0


def submit(workspace: Workspace, options: argparse.Namespace) -> int:
    endpoint = find(workspace, options.endpoint)
    declared = workspace.api.pipeline(endpoint.get_pipeline(options.version).id).parameters
    values = assignments(options.parameter, declared)
    run = endpoint.submit(options.experiment or endpoint.name, values, pipeline_version=options.version)
    if options.follow:
        run.wait_for_completion(show_output=True)
    return 0


def add(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the newest pipeline endpoints")
    listing.add_argument("--all", action="store_true", help="also those that are disabled or archived")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=list_endpoints)
    made = commands.add_parser("publish", help="make one; the same again is found, not made")
    made.add_argument("name", metavar="NAME")
    made.add_argument("pipeline", metavar="PIPELINE", help="id, or name of the newest")
    made.add_argument("--description", default="")
    made.set_defaults(command=publish)
    shown = _one(commands.add_parser("show", help="one, with its address and its versions"))
    shown.set_defaults(command=show)
    added = _one(commands.add_parser("add", help="add a version; the same again is found, not added"))
    added.add_argument("pipeline", metavar="PIPELINE", help="id, or name of the newest")
    added.add_argument("--default", action="store_true", help="let it be the default version")
    added.set_defaults(command=add_version)
    default = _one(commands.add_parser("default", help="choose the default version"))
    default.add_argument("version", metavar="VERSION")
    default.set_defaults(command=set_default)
    for name, text in (("enable", "let it start runs"), ("disable", "let it start no more runs")):
        _one(commands.add_parser(name, help=text)).set_defaults(command=set_status, enable=name == "enable")
    started = _one(commands.add_parser("submit", help="start one"))
    started.add_argument("--version", help="default: the default version")
    cli_pipelines.add_starting(started, "the endpoint's name")
    started.set_defaults(command=submit)


def _one(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("endpoint", metavar="ENDPOINT", help="id or name")
    return parser
