"""What became of mini-batches, and whether too many failed (azureml-v1: by items returned)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from orchestrator.core.kinds.parallel_run import ParallelRun

FIRST_ERRORS = 5


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mini-batch of `items` files or rows, tried `tries` times. `returned`: results of `run()`, each of which stands
    for one item that went well. `error`: why the last try failed; "" if it did not.
    """

    index: int
    items: int
    returned: int = 0
    tries: int = 1
    seconds: float = 0.0
    error: str = ""

    @property
    def failed_items(self) -> int:
        return self.items if self.error else max(0, self.items - self.returned)


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """Those of one group, or of all. `init_error`: the entry script could not be started. `stopped`: given up when
    too many had failed.
    """

    verdicts: tuple[Verdict, ...] = ()
    init_error: str = ""
    stopped: bool = False


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Mini-batches and items, and how many of them failed."""

    batches: int
    failed_batches: int
    items: int
    failed_items: int


encode = msgspec.json.encode
decode = msgspec.json.Decoder(Verdicts).decode
"""Raises msgspec.MsgspecError."""


def count(verdicts: Iterable[Verdict]) -> Count:
    every = list(verdicts)
    return Count(
        batches=len(every),
        failed_batches=sum(bool(verdict.error) for verdict in every),
        items=sum(verdict.items for verdict in every),
        failed_items=sum(verdict.failed_items for verdict in every),
    )


def complaint(found: Count, settings: ParallelRun) -> str | None:
    """Why so many failures are too many; None: they are not."""
    items, batches, percent = settings.error_threshold, settings.allowed_failed_count, settings.allowed_failed_percent
    if 0 <= items < found.failed_items:
        return f"{found.failed_items:,} of {found.items:,} items failed; error_threshold allows {items:,}."
    failed = f"{found.failed_batches:,} of {found.batches:,} mini-batches failed"
    if 0 <= batches < found.failed_batches:
        return f"{failed}; allowed_failed_count allows {batches:,}."
    if percent >= 0 and found.failed_batches * 100 > percent * found.batches:
        return f"{failed}; allowed_failed_percent allows {percent:g} %."
    return None


def first_errors(verdicts: Sequence[Verdict], most: int = FIRST_ERRORS) -> list[str]:
    """A line for each mini-batch that failed or returned too little, the first of them."""
    bad = [verdict for verdict in verdicts if verdict.failed_items or verdict.error]
    lines = [_line(verdict) for verdict in bad[:most]]
    return lines if len(bad) <= most else [*lines, f"... and {len(bad) - most:,} more."]


def _line(verdict: Verdict) -> str:
    if verdict.error:
        tries = "1 try" if verdict.tries == 1 else f"{verdict.tries} tries"
        return f"Mini-batch {verdict.index}, after {tries}: {verdict.error}"
    return f"Mini-batch {verdict.index}: run() returned {verdict.returned:,} results for {verdict.items:,} items."
