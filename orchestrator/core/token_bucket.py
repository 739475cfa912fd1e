"""The token bucket: how often something may be done, with a store for bursts. Values and a rule; no clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`per_second` tokens come in, and at most `burst` are kept; both above 0."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """`tokens` as they were at the moment `at`, in seconds of any steady clock."""

    tokens: float
    at: float


def full(rate: Rate, now: float) -> Bucket:
    return Bucket(rate.burst, now)


def take(bucket: Bucket, rate: Rate, now: float) -> tuple[Bucket, float]:
    """The bucket after a token was asked for, and 0.0 if there was one; else the seconds until there is."""
    came = max(0.0, now - bucket.at) * rate.per_second
    tokens = min(rate.burst, bucket.tokens + came)
    if tokens >= 1.0:
        return Bucket(tokens - 1.0, now), 0.0
    return Bucket(tokens, now), (1.0 - tokens) / rate.per_second
