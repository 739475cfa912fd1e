"""One query, sent to a cluster and waited for. Contract: "Query/management HTTP request" of Azure Data Explorer.

A query only reads, so one whose answer was lost is sent again. It bears an id by which the cluster is told to end it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from orchestrator.core.kinds.kusto import KustoQuery
from steps.context import StepContext
from steps.failures import JobFailed, ServiceFailed, Stopped, TimedOut
from steps.kusto.frames import QueryFailed, Rows, rows_of
from steps.remote.attached import Workspace
from steps.remote.http import Api, Refused, refusal
from steps.remote.waiting import Waiter
from steps.stop import StopReason

WHO: Final = "Data Explorer"
LONGEST: Final = 3600.0
"""Seconds: the longest that a cluster works at a query."""
GRACE: Final = 30.0
"""Seconds more for the answer of a query that took all its time."""
PATIENCE: Final = 900.0
"""Seconds for which a cluster that does not answer is asked again."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""Of an answer. The cluster itself ends a result at 64 MB in its own measure, unless the query says otherwise."""
_TOO_MANY: Final = "E_QUERY_RESULT_SET_TOO_LARGE"

T = TypeVar("T")


def run(context: StepContext, wanted: KustoQuery, workspace: Workspace) -> Rows:
    """The rows. Raises JobRefused, JobFailed, ServiceFailed, TimedOut, Stopped."""
    limit = context.time_left()
    seconds = LONGEST if limit is None else min(limit, LONGEST)
    name = f"Millstream.{context.job.run}.{context.job.step.id}.{context.job.owner}"
    api = Api(
        WHO,
        workspace.url,
        workspace.token,
        Waiter(context.stop),
        patience=PATIENCE,
        headers={"x-ms-client-request-id": name, "x-ms-app": "Millstream"},
        timeout=seconds + GRACE,
        most_bytes=MOST_BYTES,
    )
    context.log.note(f"{WHO} query {name}")
    try:
        with _ending(context, api, {"db": wanted.database, "csl": f'.cancel query "{name}"'}):
            answer = _waited_for(context, lambda: api.post("/v2/rest/query", body(wanted, seconds)), limit)
        return rows_of(answer)
    except Refused as error:
        raise refusal(WHO, error, "run the query") from error
    except QueryFailed as error:
        hint = " Let the query count, or take, less." if _TOO_MANY in str(error) else ""
        raise JobFailed(f"The {WHO} query failed: {error}{hint}") from error


def body(wanted: KustoQuery, seconds: float) -> dict[str, Any]:
    """What is sent: values are the cluster's to put in their places."""
    minutes, rest = divmod(int(seconds), 60)
    options = {"servertimeout": f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}", "results_progressive_enabled": False}
    values = {name: _value(value) for name, value in wanted.parameters.items()}
    return {"db": wanted.database, "csl": wanted.query, "properties": {"Options": options, "Parameters": values}}


def _value(value: str | int | float | bool) -> str | int:
    """Texts and whole numbers as they are; all else as Kusto writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str | int) else repr(value)


@contextmanager
def _ending(context: StepContext, api: Api, command: Mapping[str, Any]) -> Iterator[None]:
    """End the query by the command, if nobody waits for its answer any more.

    Not when the lease is lost: the query of whoever has the step now bears another id, and this one ends by itself.
    """
    try:
        yield
    except (Stopped, TimedOut):
        if context.stop.reason in (None, StopReason.RUN_CANCELLED):
            _cancel(context, api, command)
        raise


def _cancel(context: StepContext, api: Api, command: Mapping[str, Any]) -> None:
    try:
        api.once("POST", "/v1/rest/mgmt", command)
    except (ServiceFailed, Refused) as error:
        context.log.note(f"The query could not be cancelled; its own time limit ends it: {error}")


def _waited_for(context: StepContext, call: Callable[[], T], limit: float | None) -> T:
    """What the call gives, which is left alone when the step is stopped. Raises TimedOut, Stopped, and as the call."""
    done: Future[T] = Future()
    wake = threading.Event()

    def work() -> None:
        try:
            done.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whoever waits for the call is told
            done.set_exception(error)

    done.add_done_callback(lambda _: wake.set())
    threading.Thread(target=work, name="millstream-query", daemon=True).start()
    with context.stop.calling(wake.set):
        in_time = wake.wait(limit)
    context.stop.check()
    if not in_time:
        raise TimedOut(f"The {WHO} query took longer than it may, {limit:g} s, and was cancelled.")
    return done.result()
