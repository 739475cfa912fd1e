"""The list of runs, newest first, and what it can be narrowed to. No run is read to list it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from orchestrator.core.nesting import SOURCE
from orchestrator.core.states import RunStatus
from orchestrator.engine.index import ALL_RUNS, INDEX, key_of, of_experiment
from orchestrator.pages import Page, Range, read_page
from orchestrator.ports import Row, Task

_labels = msgspec.json.Decoder(dict[str, str]).decode


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A line in the list of runs. Times in epoch seconds; it may be a moment behind the run itself."""

    id: str
    experiment: str
    status: RunStatus
    pipeline_name: str
    pipeline_id: str | None
    source: str
    started_by: str
    parent_run: str | None
    rerun_of: str | None
    tags: dict[str, str]
    properties: dict[str, str]
    submitted_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; None: whatever.

    `tags` and `properties` are those that a run must have, with the value that it must have, or None for any. Times in
    epoch seconds: `submitted_after` <= submission < `submitted_before`. Runs that steps have become are listed only
    where their source or their parent is asked for.
    """

    experiment: str | None = None
    status: RunStatus | None = None
    pipeline_id: str | None = None
    source: str | None = None
    started_by: str | None = None
    parent_run: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    properties: Mapping[str, str | None] = field(default_factory=dict)
    submitted_after: float | None = None
    submitted_before: float | None = None

    def allows(self, run: RunSummary) -> bool:
        return (
            self.experiment in (None, run.experiment)
            and self.status in (None, run.status)
            and self.pipeline_id in (None, run.pipeline_id)
            and self._allows_source(run)
            and self.started_by in (None, run.started_by)
            and self.parent_run in (None, run.parent_run)
            and (self.submitted_after is None or self.submitted_after <= run.submitted_at)
            and (self.submitted_before is None or run.submitted_at < self.submitted_before)
            and _has(run.tags, self.tags)
            and _has(run.properties, self.properties)
        )

    def _allows_source(self, run: RunSummary) -> bool:
        if self.source is None and self.parent_run is None:
            return run.source != SOURCE
        return self.source in (None, run.source)

    @property
    def span(self) -> Range:
        """The rows in which such runs are: of one experiment, and of some time, where that is asked for."""
        partition = ALL_RUNS if self.experiment is None else of_experiment(self.experiment)
        first = "0" if self.submitted_before is None else key_of(self.submitted_before)
        last = ":" if self.submitted_after is None else f"{key_of(self.submitted_after)}~"
        return Range(table=INDEX, pk=partition, first=first, last=max(first, last))


def list_runs(wanted: RunFilter, *, limit: int, continuation: str | None) -> Task[Page[RunSummary]]:
    """Runs, newest first. Raises InvalidRequest for a continuation that is none of this list's."""

    def decode(row: Row) -> RunSummary | None:
        summary = _summary(row)
        return summary if wanted.allows(summary) else None

    return (yield from read_page(wanted.span, limit=limit, continuation=continuation, decode=decode))


def _has(labels: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    return all(name in labels and value in (None, labels[name]) for name, value in wanted.items())


def _summary(row: Row) -> RunSummary:
    props = row.props
    return RunSummary(
        id=str(props["run"]),
        experiment=str(props["experiment"]),
        status=RunStatus(str(props["status"])),
        pipeline_name=str(props["pipeline_name"]),
        pipeline_id=str(props["pipeline_id"]) or None,
        source=str(props["source"]),
        started_by=str(props.get("started_by", "")),
        parent_run=str(props["parent_run"]) or None,
        rerun_of=str(props["rerun_of"]) or None,
        tags=_labels(str(props["tags"])),
        properties=_labels(str(props["properties"])),
        submitted_at=float(props["submitted_at"]),
        ended_at=float(props["ended_at"]) or None,
    )
