"""Who may do what: people by their role and by whose run it is, the script of a step by a list of routes.

What a script may do with its run token is kept in one place, so that it can be read at once; a route that is not named
here is closed to scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.core.names import RUN_ID, shown
from orchestrator.core.run_token import RunToken
from orchestrator.engine.reading import read_info
from orchestrator.triggers.auth import Forbidden, Principal, Role
from orchestrator.triggers.routes import Asked, Route, Service
from orchestrator.triggers.wire_place import ids, run_of

CATALOG: Final = frozenset(
    {
        "workspace",
        "list_datastores",
        "get_datastore",
        "list_files",
        "locate_files",
        "list_datasets",
        "get_dataset",
        "get_dataset_by_id",
        "list_models",
        "get_model",
        "list_experiments",
        "get_experiment",
    }
)
"""Reading what outlives runs, with URLs to download the files."""

REGISTERING: Final = frozenset(
    {"save_dataset", "upload_model", "register_model", "make_wire_asset", "register_wire_model"}
)
"""Adding datasets and models to it."""

OWN_RUN: Final = frozenset(
    {
        "get_run",
        "patch_run",
        "get_steps",
        "get_step",
        "get_metrics",
        "get_outputs",
        "get_wire_run",
        "patch_wire_run",
        "log_wire_metrics",
        "wait_for_wire_metrics",
        "remove_wire_tags",
        "get_wire_run_by_name",
        "patch_wire_run_by_name",
        "get_wire_details",
        "list_wire_metrics",
        "get_wire_metric",
        "offer_wire_files",
        "list_wire_files",
        "get_wire_file",
        "get_wire_files",
    }
)
"""Of its own run alone: reading it, its tags and properties, its step's metrics."""

SCRIPTS: Final = CATALOG | REGISTERING | OWN_RUN
"""The routes that a script may use at all."""


def admit(principal: Principal, route: Route, path: Mapping[str, str]) -> None:
    """Raises Forbidden when the caller may not do what it asks for. `path`: the values of the route's parameters."""
    if principal.script is not None:
        _admit_script(principal.script, route, path)
    elif route.role is not None:
        principal.require(route.role)


def admit_change(service: Service, principal: Principal, route: Route, asked: Asked) -> None:
    """Raises Forbidden when the run that the route is about to change is another's, and the caller no operator.

    A run of which it was not recorded who started it is nobody's. One that is not there is left to the route.
    """
    if principal.script is not None or principal.has(Role.OPERATOR):
        return
    run = ids(asked)[0] if route.group.startswith("wire") else asked.path["run_id"]
    info = service.world.run(read_info(service.memory, run)) if RUN_ID.allows(run) else None
    if info is None:
        return
    if not info.started_by or info.started_by != principal.name:
        whose = shown(info.started_by) if info.started_by else "somebody of whom there is no record"
        raise Forbidden(
            f"The run was started by {whose}, and you are {shown(principal.name)}. To change the runs of others needs "
            "the role Operator.",
            field="run_id",
        )


def _admit_script(script: RunToken, route: Route, path: Mapping[str, str]) -> None:
    if route.name in CATALOG or route.name in REGISTERING:
        return
    if route.name not in OWN_RUN:
        raise Forbidden(
            "A run token does not allow this: it reads the catalog, registers datasets and models, and labels its own "
            "run (docs/in-a-step.md). Data leaves a step by its outputs."
        )
    if (path.get("run_id") or run_of(path["container"])) not in (script.run, script.step_run_id):
        raise Forbidden("A run token is for the run that it was made for, and for no other.", field="run_id")
