"""Once a minute: arm what is new, go on with what was left, and list what events may have missed.

A listing may take many turns, and blobs change while it goes on. So the mark that it leaves, from which the next one
looks, is when it began, by the server's clock, less a margin: nothing that it could not see lies before the mark. What
is listed twice is noticed once. The sweep may fire twice, overlap itself or die half-way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.changes import rows, runs, watch
from orchestrator.changes.intake import Intake
from orchestrator.changes.rows import Standing
from orchestrator.changes.watch import REMEMBERED_SECONDS, Watch
from orchestrator.core.errors import InvalidRequest, MillstreamError
from orchestrator.files import FileHead, FileItem, FilePage, ListFiles
from orchestrator.ports import Task

TURN_SECONDS: Final = 60.0
"""Time between two turns: the timer's period."""
MARGIN_SECONDS: Final = 10.0
"""Blobs are dated by other machines than listings."""
MOST_PAGES: Final = 20
MOST_TAKEN: Final = 500
MOST_FORGOTTEN: Final = 2000
PAGE: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptChanges:
    """`watched` schedules were looked at; `found` changes had been missed. `failed`: schedules that could not be looked
    at now, with the reason.
    """

    watched: int
    found: int
    failed: tuple[tuple[str, str], ...]


def sweep_changes(intake: Intake) -> Task[SweptChanges]:
    """Look at every schedule that waits for data. One that fails does not keep the others waiting."""
    watches = yield from watch.find_all(intake.datastores)
    found, failed = 0, []
    for one in watches:
        try:
            found += yield from _look_at(intake, one)
        except MillstreamError as error:
            failed.append((one.id, error.message))
    return SweptChanges(watched=len(watches), found=found, failed=tuple(failed))


def _look_at(intake: Intake, one: Watch) -> Task[int]:
    standing = yield from watch.arm(one)
    if not runs.is_batched(one):
        yield from runs.start_left_over(intake.submitter, one)
    found = 0
    if _is_due(one, standing):
        found = yield from _list(intake, one, standing)
    if runs.is_batched(one):
        yield from runs.close_batch(intake.submitter, one, None)
    return found


def _is_due(one: Watch, standing: Standing) -> bool:
    """A round that was begun goes on; a new one begins when the next turn would be too late."""
    return standing.begun > 0 or standing.age > one.change.polling_interval * 60 - TURN_SECONDS


def _list(intake: Intake, one: Watch, standing: Standing) -> Task[int]:
    """Some pages of the listing, and the changes in them."""
    begun, marker = standing.begun, standing.marker or None
    found = (yield from _single(intake, one, standing)) if marker is None else 0
    for _ in range(MOST_PAGES):
        page = yield from _page(one, marker)
        if page is None:
            marker = None  # the continuation is good no more: the round begins again, next time
            break
        begun = begun or page.at
        found += yield from _take(intake, one, standing, page, MOST_TAKEN - found)
        if found >= MOST_TAKEN:
            break  # the rest of this page comes next time
        marker = page.marker
        if marker is None:
            yield from _end(one, standing, begun)
            return found
    yield from rows.note_sweep(one.id, standing, mark=standing.mark, begun=begun, marker=marker or "")
    return found


def _single(intake: Intake, one: Watch, standing: Standing) -> Task[int]:
    """The blob that lies at the path itself."""
    if not one.change.means(one.change.path):
        return 0
    head = yield from FileHead(container=one.container, name=one.change.path)
    return 0 if head is None else int((yield from intake.take(one, standing, head)))


def _page(one: Watch, marker: str | None) -> Task[FilePage | None]:
    asked = ListFiles(
        container=one.container, prefix=one.change.prefix, limit=PAGE, marker=marker, deep=one.change.recursive
    )
    try:
        return (yield from asked)
    except InvalidRequest:
        return None


def _take(intake: Intake, one: Watch, standing: Standing, page: FilePage, most: int) -> Task[int]:
    """At most `most` changes of the page."""
    found = 0
    for item in page.items:
        if found == most:
            break
        if item.last_modified >= standing.mark and watch.is_new(standing, item) and one.change.means(item.name):
            found += yield from _confirm(intake, one, standing, item)
    return found


def _confirm(intake: Intake, one: Watch, standing: Standing, item: FileItem) -> Task[int]:
    """A listing may be old, and does not say who made a blob."""
    if (yield from rows.noticed(one.id, item)):
        return 0
    head = yield from FileHead(container=one.container, name=item.name)
    return 0 if head is None else int((yield from intake.take(one, standing, head)))


def _end(one: Watch, standing: Standing, begun: float) -> Task[None]:
    mark = max(standing.mark, begun - MARGIN_SECONDS)
    yield from rows.note_sweep(one.id, standing, mark=mark, begun=0.0, marker="")
    yield from rows.forget(one.id, mark - REMEMBERED_SECONDS, MOST_FORGOTTEN)
