"""The settings that the price of a run is made by."""

# ruff: noqa: RUF009 - `setting` is `dataclasses.field` by another name
from __future__ import annotations

from dataclasses import dataclass

from orchestrator import setting_types as types
from orchestrator.core.prices import PUBLIC, PriceList
from orchestrator.setting_field import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingSettings:
    """What a process is billed by, and at which prices."""

    instance_memory: int = setting(
        "MILLSTREAM_INSTANCE_MEMORY_MB",
        types.count,
        "Memory of an instance of the Functions app: what its seconds are billed by (docs/cost.md).",
        2048,
    )
    execution_cpu: float = setting(
        "MILLSTREAM_EXECUTION_CPU",
        types.number,
        "Virtual CPUs of the container that this process runs in, given by what starts it: what its seconds are billed "
        "by. Without it nothing is billed for an execution of a compute.",
        0.0,
    )
    execution_memory: float = setting("MILLSTREAM_EXECUTION_MEMORY_GIB", types.number, "Its memory, likewise.", 0.0)
    prices: PriceList = setting(
        "MILLSTREAM_PRICES",
        types.price_list,
        "JSON object: prices of one's own instead of the public ones (docs/cost.md).",
        PUBLIC,
    )
