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
    `parent_step`: the position of the step of `parent_run` whose work this run does; -1: it was not started by a step.
    `window`: the most of its steps that are sent at a time; 0: there is no limit. `limit_seconds`: after so long the
    sweep cancels it; 0: never. `priority`: of its steps that have none of their own.
    `started_by`: the name of the caller whose run it is, also of those that its steps become; "": none was recorded.
    `steps_allowed`: the most steps that it may have, with all that these become; 0: what the service allows.
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
    parent_step: int = -1
    window: int = 0
    limit_seconds: float = 0.0
    started_by: str = ""
    steps_allowed: int = 0
    priority: int = 0

    @property
    def is_part(self) -> bool:
        """Whether the run does the work of a step of another run."""
        return self.parent_step >= 0


def encode(info: RunInfo) -> str:
    return msgspec.json.encode(info).decode()


decode = msgspec.json.Decoder(RunInfo).decode
