"""The command line: what runs there are, what happens in them, starting published pipelines, running v1's drivers.

Exit codes: 0 done, and for `run` the driver's own; 1 the run that was waited for did not succeed; 2 the command line is
wrong; 3 the service is not there, or refused; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from millstream import cli_endpoints, cli_pipelines, cli_runs, cli_schedules, cli_webhooks, driver, submission
from millstream.config import adopt
from millstream.errors import MillstreamError, RunFailed
from millstream.workspace import Workspace


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


def run_driver(workspace: Workspace, options: argparse.Namespace) -> int:
    if options.config is not None:
        # The key of a Functions app stays where it is found.
        alone = "Authorization" not in workspace.authentication.get_authentication_header()
        adopt(workspace.url, None if alone else workspace.authentication.get_token())
    return driver.run(Path(options.driver), options.arguments, force=options.force)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="millstream", description="Runs and pipelines of a Millstream workspace.")
    parser.add_argument("--config", metavar="PATH", help="config.json of the workspace, or the folder to look from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    cli_runs.add(commands.add_parser("runs", help="list, show, follow, tag, cancel and repeat runs"))
    cli_pipelines.add(commands.add_parser("pipelines", help="list, show, publish, enable, disable, start pipelines"))
    cli_endpoints.add(commands.add_parser("endpoints", help="the same for pipeline endpoints and their versions"))
    cli_pipelines.add_submit(commands.add_parser("submit", help="start a published pipeline"))
    cli_schedules.add(commands.add_parser("schedules", help="list, show, enable, disable and backfill schedules"))
    cli_webhooks.add(commands.add_parser("webhooks", help="who is told of the end of runs"))
    _add_driver(commands.add_parser("run", help="run a script that is written for the Azure ML SDK v1, unmodified"))
    _add_driver(commands.add_parser("plan", help="the same up to its first submission: say what would run, and why"))
    return parser


def plan_driver(workspace: Workspace, options: argparse.Namespace) -> int:
    submission.only_plan()
    return run_driver(workspace, options)


def _add_driver(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="also where a real azureml-core is installed")
    parser.add_argument("driver", metavar="DRIVER", help="the script")
    parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="its arguments")
    parser.set_defaults(command=plan_driver if parser.prog.endswith(" plan") else run_driver)
