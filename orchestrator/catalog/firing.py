"""Firing: start the runs of occurrences that are due, each exactly once.

First it is written down, on the etag of what was read, which occurrences get a run: they are pending. Then each run is
started, its first messages are sent, and it is noted; and only when that is done for all of them do they stop being
pending. So whatever fires twice, late, at the same time or dies between: two never decide differently, whoever comes
next completes what somebody else has begun, and since a run's id comes from schedule and occurrence, finds its run.

What is due is told by storage's clock. A run that cannot be started, for a reason that another try does not mend, is
noted as a failure of its occurrence, and the schedule goes on to the next one. One that a quota leaves no room for
stays pending, and is tried again every minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from orchestrator.catalog import firings, schedules
from orchestrator.catalog.firings import Firing
from orchestrator.catalog.schedules import Stored
from orchestrator.catalog.submissions import Accepted, Submission, Submitter
from orchestrator.core import message as messages
from orchestrator.core import schedule as rules
from orchestrator.core.errors import MillstreamError, QuotaExceeded, Unavailable
from orchestrator.core.schedule import Failure, Schedule, ScheduleStatus
from orchestrator.ports import Now, Send, ServerNow, Task, Unanswered

SCHEDULE_ID: Final = "millstream.schedule_id"
OCCURRENCE: Final = "millstream.occurrence"
"""Properties of a run that a schedule has started."""
SOURCE: Final = "schedule"
MOST_SCHEDULES: Final = 100
LONGEST_MESSAGE: Final = 1000
PUT_OFF: Final = 30.0
"""Seconds for which a schedule without room for its run is left aside: so the timer looks again in its next minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """`started`: runs that are there now for occurrences that were due. `refused`: occurrences that have none, with the
    reason. `failed`: schedules that could not be looked at now, with the reason; they stay due. `next_due`: seconds
    until the next occurrence of all, 0 if there is more to be done at once, None if none is known.
    """

    started: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    next_due: float | None = None


def fire(submitter: Submitter, *, most: int) -> Task[Fired]:
    """Start what is due, at most `most` runs. One schedule that cannot be fired does not keep the others waiting."""
    entries = yield from schedules.coming(MOST_SCHEDULES)
    now = yield from ServerNow()
    started = 0
    refused: list[tuple[str, str]] = []
    failed: list[tuple[str, str]] = []
    for entry in entries:
        if entry.due > now or started + len(refused) >= most:
            break
        try:
            left = most - started - len(refused)
            outcomes = yield from fire_one(submitter, entry.schedule_id, now, most=left)
        except MillstreamError as error:
            failed.append((entry.schedule_id, error.message))
            continue
        started += sum(1 for outcome in outcomes if outcome.failure is None)
        refused += [(entry.schedule_id, o.failure.message) for o in outcomes if o.failure is not None]
    ahead = yield from schedules.coming(len(failed) + 1)
    stuck = {schedule_id for schedule_id, _ in failed}
    due = next((entry.due for entry in ahead if entry.schedule_id not in stuck), None)
    wait = None if due is None else max(0.0, due - (yield from ServerNow()))
    return Fired(started=started, refused=tuple(refused), failed=tuple(failed), next_due=wait)


def fire_one(submitter: Submitter, schedule_id: str, now: float, *, most: int) -> Task[tuple[Firing, ...]]:
    """Start what is due of one schedule at `now` (epoch seconds), at most `most` runs. Raises Unavailable.

    A schedule that is not there, or is disabled, has nothing that is due.
    """
    there = yield from schedules.find(schedule_id)
    if there is not None and not there.progress.pending:
        there = yield from _decide(there, now, most)
    if there is None:
        return ()
    outcomes: list[Firing] = []
    for at in there.progress.pending:
        try:
            outcome = yield from start_occurrence(submitter, there.schedule, rules.moment(at))
        except QuotaExceeded as error:
            yield from _put_off(there, error)
            raise
        outcomes.append(outcome)
    yield from _settle(there, outcomes)
    return tuple(outcomes)


def _decide(there: Stored, now: float, most: int) -> Task[Stored | None]:
    """The schedule with what is pending now; None: nothing is, or somebody else was first."""
    if there.schedule.status is not ScheduleStatus.ACTIVE:
        return None
    before = there.progress
    decision = rules.decide(there.schedule, before, now, most)
    if decision.handled == before.handled:
        return None
    after = msgspec.structs.replace(
        before,
        handled=decision.handled,
        pending=tuple(occurrence.timestamp() for occurrence in decision.run),
        skipped=before.skipped + decision.skipped,
    )
    return (yield from schedules.write(there, there.schedule, rules.progressed(there.schedule, after)))


def fire_at_once(submitter: Submitter, stored: Stored) -> Task[Stored]:
    """A schedule that was just made or changed: what is due of it by now does not wait for the timer, if storage serves
    us. The schedule as it is then."""
    now = yield from ServerNow()
    if stored.progress.due is None or stored.progress.due > now:
        return stored
    try:
        yield from fire_one(submitter, stored.schedule.id, now, most=1)
        return (yield from schedules.get(stored.schedule.id))
    except MillstreamError:
        return stored  # the timer finds it due


def _put_off(there: Stored, error: QuotaExceeded) -> Task[None]:
    """What is pending stays so, and is started when there is room. Until it is worth another try, other schedules come
    first. Where somebody else was first, or storage does not answer, this one is looked at again at once.
    """
    now = yield from ServerNow()
    failure = Failure(code=error.code, message=error.message[:LONGEST_MESSAGE], at=(yield from Now()))
    after = msgspec.structs.replace(there.progress, last_failure=failure, put_off=now + PUT_OFF)
    yield from schedules.write(there, there.schedule, rules.progressed(there.schedule, after))


def _settle(there: Stored, outcomes: list[Firing]) -> Task[None]:
    """Nothing is pending any more. Where somebody else was first, or storage does not answer, whoever looks next finds
    the runs that were started.
    """
    if not outcomes:
        return
    after = msgspec.structs.replace(there.progress, pending=(), put_off=0.0)
    for outcome in outcomes:
        after = noted(after, outcome)
    yield from schedules.write(there, there.schedule, rules.progressed(there.schedule, after))


def noted(progress: rules.Progress, outcome: Firing) -> rules.Progress:
    """The progress of a schedule, with what came of one more occurrence."""
    if outcome.failure is not None:
        return msgspec.structs.replace(progress, failures=progress.failures + 1, last_failure=outcome.failure)
    return msgspec.structs.replace(progress, failures=0, last_run=outcome.run, last_occurrence=outcome.occurrence)


def start_occurrence(submitter: Submitter, schedule: Schedule, occurrence: datetime) -> Task[Firing]:
    """The run of an occurrence, started now or before, or the reason why it has none. Raises Unavailable."""
    return (
        yield from start_run(
            submitter, schedule, rules.run_id(schedule.id, occurrence), occurrence.timestamp(), schedule.parameters
        )
    )


def start_run(
    submitter: Submitter,
    schedule: Schedule,
    run: str,
    at: float,
    parameters: Mapping[str, Any],
    properties: Mapping[str, str] | None = None,
) -> Task[Firing]:
    """Start the run `run` of a schedule for what happened at `at` (epoch seconds), send its messages and note it.

    Safe to repeat, by anybody. Raises Unavailable when storage does not do its part, and QuotaExceeded while there is
    no room for it, which is noted: do it again.
    """
    failure: Failure | None = None
    try:
        wish = _submission(schedule, run, at, parameters, properties or {})
        accepted: Accepted | None = yield from submitter.submit(wish)
    except (Unavailable, Unanswered):
        raise
    except QuotaExceeded as error:
        why = Failure(code=error.code, message=error.message[:LONGEST_MESSAGE], at=(yield from Now()))
        yield from firings.note(schedule.id, Firing(occurrence=at, run=run, failure=why))
        raise
    except MillstreamError as error:
        # It may have been started before the schedule, or what it starts, was changed: then that is its run.
        accepted = yield from submitter.resume(run)
        if accepted is None:
            failure = Failure(code=error.code, message=error.message[:LONGEST_MESSAGE], at=(yield from Now()))
    for message in accepted.messages if accepted else ():
        yield from Send(queue=message.queue, body=messages.encode(message))
    firing = Firing(occurrence=at, run=run, failure=failure)
    yield from firings.note(schedule.id, firing)
    return firing


def _submission(
    schedule: Schedule, run: str, at: float, parameters: Mapping[str, Any], properties: Mapping[str, str]
) -> Submission:
    return Submission(
        experiment=schedule.experiment,
        pipeline_id=schedule.pipeline_id,
        endpoint_id=schedule.pipeline_endpoint_id,
        parameters=parameters,
        tags=schedule.tags,
        properties={**properties, SCHEDULE_ID: schedule.id, OCCURRENCE: rules.moment(at).isoformat()},
        description=schedule.description,
        keep_going=schedule.keep_going,
        run_id=run,
        source=SOURCE,
        started_by=schedule.owner or f"schedule:{schedule.id}",
    )
