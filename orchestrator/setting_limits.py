"""The settings that say how much may be under way at a time, and how fast and how deep requests may be."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator import setting_types as types
from orchestrator.core.quota import MOST_OF_RUN
from orchestrator.setting_billing import BillingSettings
from orchestrator.setting_field import setting as _setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings(BillingSettings):
    """What is over them is refused (docs/security.md, Limits)."""

    most_runs: int = _setting(
        "MILLSTREAM_MOST_RUNS",
        types.count,
        "The most runs that may be unfinished at a time. More are refused, and those of schedules wait.",
        2000,
    )
    most_runs_each: int = _setting(
        "MILLSTREAM_MOST_RUNS_EACH", types.count, "The most of them that one caller may have started.", 1000
    )
    run_steps: int = _setting(
        "MILLSTREAM_RUN_STEPS",
        types.count,
        "The most steps of a run, with all that its steps become; those that become many have equal shares of it. A "
        "pipeline by itself has at most 10,000.",
        MOST_OF_RUN,
    )
    request_rate: float = _setting(
        "MILLSTREAM_REQUEST_RATE",
        types.rate,
        "How often a second one caller may ask one instance of the app; ten seconds' worth of it at once. Each step's "
        "script is a caller of its own. More is answered with 429. 0: there is no limit.",
        200.0,
    )
    refusal_rate: float = _setting(
        "MILLSTREAM_REFUSAL_RATE",
        types.rate,
        "How often a second calls from one address with no token, or a wrong one, are told so; more get 429. 0: there "
        "is no limit.",
        5.0,
    )
    body_depth: int = _setting(
        "MILLSTREAM_BODY_DEPTH", types.count, "How deep lists and objects of a request body may be nested.", 100
    )
