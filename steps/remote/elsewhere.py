"""Whether the work of a step is done in a workspace, and with what."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.definition import Step
from steps.datastores import Datastores
from steps.remote.attached import Attachments, Workspace
from steps.remote.places import Places
from steps.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The workspace that does the work, and where the data of the step lies."""

    workspace: Workspace
    places: Places


def elsewhere(step: Step, attachments: Attachments | None, store: Store, datastores: Datastores) -> Elsewhere | None:
    """None: the work is done on this node. Raises InvalidStep, ServiceFailed."""
    workspace = None if attachments is None else attachments.workspace(step)
    if workspace is None or attachments is None:
        return None
    return Elsewhere(workspace=workspace, places=Places(store=store, datastores=datastores, reach=attachments.reach))
