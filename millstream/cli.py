"""The command line: what runs there are, what happens in them, starting published pipelines, running v1's drivers.

Exit codes: 0 done, and for `run` the driver's own; 1 the run that was waited for did not succeed; 2 the command line is
wrong; 3 the service is not there, or refused; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from millstream import driver
from millstream.config import adopt
from millstream.console import duration, say, styled
from millstream.errors import MillstreamError, RunFailed, UnknownThing
from millstream.follow import COLOURS
from millstream.pipeline_run import PipelineRun
from millstream.published import PublishedPipeline
from millstream.workspace import Workspace
from orchestrator.core.definition import Parameter, ParameterValue
from orchestrator.core.parameters import coerce


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says. Returns the exit code; argparse itself exits with 2."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(Workspace.from_config(options.config), options)
    except RunFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except MillstreamError as error:
        sys.stderr.write(f"error: {error}\n")
        return 3
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has had enough
        return 0
    return code


def list_runs(workspace: Workspace, options: argparse.Namespace) -> int:
    rows = [("RUN", "EXPERIMENT", "PIPELINE", "STATUS", "STARTED", "TOOK")]
    for line in workspace.api.runs(experiment=options.experiment, status=options.status):
        took = duration(line.ended_at - line.submitted_at) if line.ended_at else ""
        rows.append((line.id, line.experiment, line.pipeline_name, line.status, _moment(line.submitted_at), took))
        if len(rows) > options.limit:
            break
    _table(rows)
    return 0


def show_run(workspace: Workspace, options: argparse.Namespace) -> int:
    view = workspace.api.run(options.run)
    facts = {
        "run": view.id,
        "status": _coloured(view.status),
        "experiment": view.experiment,
        "pipeline": view.pipeline_name,
        "started": _moment(view.submitted_at),
        "took": duration(view.ended_at - view.submitted_at) if view.ended_at else "",
        "parameters": ", ".join(f"{name}={value}" for name, value in view.parameters.items()),
        "tags": ", ".join(f"{name}={value}" for name, value in view.tags.items()),
    }
    for name, fact in facts.items():
        if fact:
            say(f"{name:<11} {fact}")
    say()
    rows = [("STEP", "NAME", "STATUS", "ATTEMPT", "TOOK")]
    steps = workspace.api.steps(options.run)
    for step in steps:
        took = duration(step.ended_at - step.started_at) if step.ended_at and step.started_at else ""
        rows.append((step.id, step.name, step.status, str(step.attempt or ""), took))
    _table(rows)
    for step in steps:
        if step.error is not None:
            say(f"\n{styled(step.name, 'bold')}: {step.error.message} ({step.error.code})")
            say(step.error.log_tail.rstrip())
    return 0


def cancel_run(workspace: Workspace, options: argparse.Namespace) -> int:
    say(f"{options.run} {_coloured(workspace.api.cancel(options.run).status)}")
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


def list_pipelines(workspace: Workspace, options: argparse.Namespace) -> int:
    rows = [("PIPELINE", "NAME", "VERSION", "STEPS", "PUBLISHED")]
    for view in workspace.api.pipelines(name=options.name):
        rows.append((view.id, view.name, view.version, str(view.steps_total), _moment(view.published_at)))
        if len(rows) > options.limit:
            break
    _table(rows)
    return 0


def submit(workspace: Workspace, options: argparse.Namespace) -> int:
    try:
        published = PublishedPipeline.get(workspace, options.pipeline)
    except UnknownThing:
        published = PublishedPipeline.get(workspace, name=options.pipeline)
    declared = {p.name: p for p in workspace.api.pipeline(published.id).parameters}
    values = dict(_assignment(text, declared) for text in options.parameter)
    run = published.submit(workspace, options.experiment or published.name, values)
    if options.follow:
        run.wait_for_completion(show_output=True)
    return 0


def run_driver(workspace: Workspace, options: argparse.Namespace) -> int:
    if options.config is not None:
        adopt(workspace.url, workspace.authentication.get_token())
    return driver.run(Path(options.driver), options.arguments, force=options.force)


def _assignment(text: str, declared: dict[str, Parameter]) -> tuple[str, ParameterValue]:
    """`name=value`, as the declared type where there is such a parameter; the others are refused later, by name."""
    name, _, value = text.partition("=")
    return name, coerce(declared[name], value, f"parameters.{name}") if name in declared else value


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _coloured(status: str) -> str:
    return styled(status, COLOURS[status]) if status in COLOURS else status


def _table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the first one is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        say(styled("  ".join(cells).rstrip(), "dim") if number == 0 else _line(row, cells))


def _line(row: Iterable[str], cells: Iterable[str]) -> str:
    return "  ".join(cell.replace(text, _coloured(text), 1) for text, cell in zip(row, cells, strict=True)).rstrip()


def _pair(text: str) -> str:
    if "=" not in text.lstrip("="):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="millstream", description="Runs and pipelines of a Millstream workspace.")
    parser.add_argument("--config", metavar="PATH", help="config.json of the workspace, or the folder to look from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_runs(commands.add_parser("runs", help="list, show, follow and cancel runs"))
    _add_pipelines(commands.add_parser("pipelines", help="list published pipelines"))
    _add_submit(commands.add_parser("submit", help="start a published pipeline"))
    _add_driver(commands.add_parser("run", help="run a script that is written for the Azure ML SDK v1, unmodified"))
    return parser


def _add_runs(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="the newest runs")
    listing.add_argument("--experiment")
    listing.add_argument("--status", choices=("Running", "Completed", "Failed", "Canceled"))
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=list_runs)
    for name, command, text in (
        ("show", show_run, "a run and its steps"),
        ("cancel", cancel_run, "start nothing new, end what runs"),
        ("logs", show_logs, "what the scripts printed"),
        ("follow", follow_run, "what happens in it, until it ends"),
    ):
        one = commands.add_parser(name, help=text)
        one.add_argument("run", metavar="RUN")
        one.set_defaults(command=command)
        if command is show_logs:
            one.add_argument("step", metavar="STEP", nargs="?", help="id or name; default: all steps")
        if command is follow_run:
            one.add_argument("--quiet", action="store_true", help="only wait")


def _add_pipelines(parser: argparse.ArgumentParser) -> None:
    listing = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "list", help="the newest published pipelines"
    )
    listing.add_argument("--name")
    listing.add_argument("--limit", type=int, default=20)
    listing.set_defaults(command=list_pipelines)


def _add_submit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="id, or name of the newest")
    parser.add_argument("--experiment", help="default: the pipeline's name")
    parser.add_argument("-p", "--parameter", metavar="NAME=VALUE", type=_pair, action="append", default=[])
    parser.add_argument("--follow", action="store_true", help="show what happens until it ends")
    parser.set_defaults(command=submit)


def _add_driver(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="also where a real azureml-core is installed")
    parser.add_argument("driver", metavar="DRIVER", help="the script")
    parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="its arguments")
    parser.set_defaults(command=run_driver)
