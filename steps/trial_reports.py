"""What the trials of a run tell each other: a blob for each attempt, with what it has logged of the primary metric.

    trials/<run>/<step>/<attempt>-<owner>.json

Nobody watches over the trials: each looks at the others' reports when it has something new itself. A report is written
by its own attempt alone, and whole; of a step with several attempts the latest counts. The end of the run deletes them.
"""

from __future__ import annotations

import io
import math

import msgspec

from orchestrator.core.early_termination import Trial
from orchestrator.core.job import Job
from orchestrator.core.trials import reports_of
from steps.store import BlobMissing, Listed, Store


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    """null: what is no number, or beyond all numbers, which JSON does not have."""

    values: tuple[float | None, ...]
    ended: bool = False


_decode = msgspec.json.Decoder(_Report).decode


class TrialReports:
    """The reports of one run, read and written by one trial. All methods raise StoreFailed."""

    def __init__(self, store: Store, container: str, job: Job) -> None:
        self._store = store
        self._container = container
        self._folder = reports_of(job.run)
        self._own = f"{self._folder}{job.step.id}/{job.attempt:06d}-{job.owner}.json"
        self._step = job.step.id
        self._known: dict[str, tuple[str, Trial]] = {}

    def publish(self, trial: Trial) -> None:
        """Replace this trial's own."""
        report = _Report(values=tuple(it if math.isfinite(it) else None for it in trial.values), ended=trial.ended)
        self._store.put(self._container, self._own, msgspec.json.encode(report), content_type="application/json")

    def others(self) -> list[Trial]:
        """The latest of each other trial; only what has changed is read."""
        latest: dict[str, Listed] = {}
        for blob in self._store.list(self._container, self._folder):
            step = blob.name.removeprefix(self._folder).partition("/")[0]
            if step != self._step:
                latest[step] = blob  # in the order of their names: the highest attempt comes last
        return [trial for blob in latest.values() if (trial := self._read(blob)) is not None]

    def _read(self, blob: Listed) -> Trial | None:
        known = self._known.get(blob.name)
        if known is not None and blob.etag and known[0] == blob.etag:
            return known[1]
        sink = io.BytesIO()
        try:
            self._store.download(self._container, blob.name, sink)
        except BlobMissing:
            return None
        report = _decode(sink.getvalue())
        values = tuple(math.nan if it is None else it for it in report.values)
        trial = Trial(values=values, ended=report.ended)
        self._known[blob.name] = (blob.etag, trial)
        return trial
