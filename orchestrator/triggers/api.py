"""All routes of the HTTP API. No two of them overlap: the Functions host takes the first that matches."""

from __future__ import annotations

from typing import Final

from orchestrator.triggers import (
    http_attachments,
    http_computes,
    http_data,
    http_datasets,
    http_datastores,
    http_drafts,
    http_endpoints,
    http_environments,
    http_experiments,
    http_logging,
    http_models,
    http_modules,
    http_pipelines,
    http_relay,
    http_repeats,
    http_run_files,
    http_runs,
    http_schedules,
    http_steps,
    http_system,
    http_v1,
    http_webhooks,
    http_wire,
    http_wire_files,
    http_wire_metrics,
    http_wire_models,
)
from orchestrator.triggers.rights import SCRIPTS
from orchestrator.triggers.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *http_system.ROUTES,
    *http_pipelines.ROUTES,
    *http_endpoints.ROUTES,
    *http_drafts.ROUTES,
    *http_v1.ROUTES,
    *http_wire.ROUTES,
    *http_wire_files.ROUTES,
    *http_wire_metrics.ROUTES,
    *http_wire_models.ROUTES,
    *http_runs.ROUTES,
    *http_schedules.ROUTES,
    *http_repeats.ROUTES,
    *http_webhooks.ROUTES,
    *http_steps.ROUTES,
    *http_logging.ROUTES,
    *http_run_files.ROUTES,
    *http_data.ROUTES,
    *http_relay.ROUTES,
    *http_datastores.ROUTES,
    *http_datasets.ROUTES,
    *http_experiments.ROUTES,
    *http_models.ROUTES,
    *http_modules.ROUTES,
    *http_environments.ROUTES,
    *http_computes.ROUTES,
    *http_attachments.ROUTES,
)

FOR_SCRIPTS: Final = tuple(route for route in ROUTES if route.role is None or route.name in SCRIPTS)
"""What the script of a step may call, and what is open to all."""
