"""The commands on webhooks: who is told of the end of runs."""

from __future__ import annotations

import argparse

from millstream.console import say
from millstream.tables import table
from millstream.workspace import Workspace

EVENTS = ("run.completed", "run.failed", "run.canceled")


def list_webhooks(workspace: Workspace, _: argparse.Namespace) -> int:
    rows = [("WEBHOOK", "URL", "EVENTS", "PIPELINE", "")]
    for hook in workspace.api.webhooks():
        events = ", ".join(hook.events) or "all"
        rows.append((hook.name, hook.url, events, hook.pipeline_id or "", "" if hook.enabled else "off"))
    table(rows)
    return 0


def set_webhook(workspace: Workspace, options: argparse.Namespace) -> int:
    view = workspace.api.put_webhook(
        options.name,
        {
            "url": options.url,
            "events": options.event,
            "pipeline_id": options.pipeline or "",
            "description": options.description,
            "enabled": not options.off,
            "new_secret": options.new_secret,
        },
    )
    say(f"{view.name} is told at {view.url}")
    if view.secret is not None:
        say(f"secret, shown this once: {view.secret}")
    return 0


def remove_webhook(workspace: Workspace, options: argparse.Namespace) -> int:
    workspace.api.remove_webhook(options.name)
    return 0


def add(parser: argparse.ArgumentParser) -> None:
    """The subcommands of `millstream webhooks`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", help="those that are registered").set_defaults(command=list_webhooks)
    setting = commands.add_parser("set", help="register one, or change it")
    setting.add_argument("name", metavar="NAME")
    setting.add_argument("url", metavar="URL")
    setting.add_argument("--event", choices=EVENTS, action="append", default=[], help="may be repeated; default: all")
    setting.add_argument("--pipeline", metavar="ID", help="only runs of this published pipeline")
    setting.add_argument("--description", default="")
    setting.add_argument("--off", action="store_true", help="tell it nothing for now")
    setting.add_argument("--new-secret", action="store_true", help="sign with another secret from now on")
    setting.set_defaults(command=set_webhook)
    removing = commands.add_parser("remove", help="forget one")
    removing.add_argument("name", metavar="NAME")
    removing.set_defaults(command=remove_webhook)
