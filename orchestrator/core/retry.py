"""Whether a failed step is tried again, and when: a decision, never an action."""

from __future__ import annotations

import msgspec


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often a step that failed on its own account is tried again.

    The n-th retry (from 1) waits `delay_seconds * backoff ** (n - 1)`, at most `max_delay_seconds`. Deaths of the
    machine under a step have a budget of their own (`CRASH_BUDGET`) and do not count here.
    """

    max_retries: int = 0
    delay_seconds: float = 10.0
    backoff: float = 2.0
    max_delay_seconds: float = 3600.0


CRASH_BUDGET = 5
"""How many times the process under a step may die before the step is failed."""

RELEASE_BUDGET = 100
"""How many times workers that are asked to end may give a step back; after that, each time counts as a death."""

SUSPICIOUS_CRASHES = 2
"""After so many deaths a step shares its process with no other that has died as often."""


def retry_delay(policy: RetryPolicy, retries_used: int) -> float | None:
    """Seconds until the next try, or None when the policy allows no more."""
    if retries_used >= policy.max_retries:
        return None
    return float(min(policy.delay_seconds * policy.backoff**retries_used, policy.max_delay_seconds))
