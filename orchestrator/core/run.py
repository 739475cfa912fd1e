"""What a run is asked to do: the part of its state that is fixed at the start (tags aside)."""

from __future__ import annotations

import msgspec

from orchestrator.core.definition import ParameterValue
from orchestrator.core.webhook import Notify


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The request behind a run. `source` says who asked: "sdk", "http", "schedule" ...; times are epoch seconds.

    `rerun_of`: the ended run of the same definition whose finished steps are kept. `parent_run`: the run of which this
    one is a child. `regenerate`: names or ids of the steps that run even if nothing has changed; "*" stands for all.
    `notify`: who is told of its end, beside the registered webhooks.
    """

    id: str
    experiment: str
    definition: str
    pipeline_name: str = ""
    pipeline_id: str | None = None
    parameters: dict[str, ParameterValue] = {}
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    description: str = ""
    keep_going: bool = False
    regenerate: tuple[str, ...] = ()
    source: str = "sdk"
    submitted_at: float = 0.0
    rerun_of: str = ""
    parent_run: str = ""
    notify: tuple[Notify, ...] = ()


def encode(info: RunInfo) -> str:
    return msgspec.json.encode(info).decode()


decode = msgspec.json.Decoder(RunInfo).decode
