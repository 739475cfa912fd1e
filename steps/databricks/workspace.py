"""A step's work in a Databricks workspace, by its Jobs API 2.1.

The job is submitted under a token made of run, step and number of retries, by which the workspace knows it again: a
submission whose answer was lost is repeated, and a worker that takes the step over from a dead one finds the same job.
So everything that the job is told must be the same for both (`steps.remote.places`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.core.kinds.databricks import DatabricksJob
from orchestrator.core.resolving import resolve_timeout
from steps.context import StepContext
from steps.databricks import contract, dbfs, requests
from steps.databricks.requests import State
from steps.failures import JobFailed, JobRefused, TimedOut
from steps.remote import bringing
from steps.remote.attached import Workspace
from steps.remote.ending import ending
from steps.remote.http import Api, Refused, refusal
from steps.remote.places import Places, opened
from steps.remote.waiting import Waiter
from steps.spark.local import script_of

WHO: Final = "Databricks"
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 15.0
"""Seconds between two looks at a run."""
_RUNS: Final = "/api/2.1/jobs/runs"


def run(context: StepContext, wanted: DatabricksJob, workspace: Workspace, places: Places) -> None:
    """Raises StepFailure, Stopped."""
    waiter = Waiter(context.stop)
    api = Api(WHO, workspace.url, workspace.token, waiter)
    urls = places.output_urls(context.job)
    try:
        _check_cluster(api, wanted)
        file, told = _script(context, wanted, api)
        number = _submit(context, wanted, api, places, urls, file, told)
        state = _followed(context, api, waiter, number)
        _show_output(context, api, state)
    except Refused as error:
        raise refusal(WHO, error, "do the step's work") from error
    _judge(state)
    bringing.bring_outputs(context, places)


def _check_cluster(api: Api, wanted: DatabricksJob) -> None:
    """A submission starts an existing cluster that does not run; where that is not wanted, it is looked at before."""
    if wanted.permit_cluster_restart is not False:
        return
    found = api.get("/api/2.0/clusters/get", cluster_id=wanted.existing_cluster_id)
    if found.get("state") not in ("RUNNING", "RESIZING"):
        raise JobRefused(
            f"The cluster {wanted.existing_cluster_id} is {found.get('state')}, and permit_cluster_restart is False."
        )


def _script(context: StepContext, wanted: DatabricksJob, api: Api) -> tuple[str, Mapping[str, str]]:
    """Where the Python file lies ("": there is none), and what it is told of its folder."""
    if not wanted.script:
        return wanted.dbfs_script, {}
    script = script_of(context, wanted.script)
    snapshot = str(context.job.step.snapshot)
    dbfs.put_folder(api, snapshot, context.folders.code)
    folder = dbfs.folder_of(snapshot)
    return f"dbfs:/{folder}/{script}", {contract.SCRIPT_DIRECTORY: folder}


def _submit(
    context: StepContext,
    wanted: DatabricksJob,
    api: Api,
    places: Places,
    urls: Mapping[str, str],
    file: str,
    told: Mapping[str, str],
) -> int:
    timeout = resolve_timeout(context.job.step, context.job.parameters)
    body = requests.submission(
        context.job,
        wanted,
        arguments=contract.arguments(context, urls, told),
        widgets=contract.widgets(context, urls),
        file=file,
        conf=_signed(context, wanted, places, timeout),
        timeout=timeout,
    )
    return int(api.post(f"{_RUNS}/submit", body)["run_id"])


def _signed(context: StepContext, wanted: DatabricksJob, places: Places, timeout: float | None) -> dict[str, str]:
    """What opens the step's containers to a new cluster, unless its author has seen to that."""
    if wanted.existing_cluster_id:
        return {}
    return opened(context.job, places, timeout, {}, wanted.new_cluster.spark_conf if wanted.new_cluster else {})


def _followed(context: StepContext, api: Api, waiter: Waiter, number: int) -> State:
    """The run at its end. Raises TimedOut, Refused, ServiceFailed, Stopped: then the run is cancelled, too."""
    limit, pause, shown = context.time_left(), FIRST_PAUSE, ""
    with ending(context, lambda: api.once("POST", f"{_RUNS}/cancel", {"run_id": number})):
        while True:
            state = requests.state_of(api.get(f"{_RUNS}/get", run_id=number))
            if not shown:
                context.log.note(f"{WHO} run {number}: {state.page}")
                context.report_property("databricks_run_page", state.page)
                context.report_property("databricks_run_id", str(number))
            if str(state) != shown:
                shown = str(state)
                context.log.note(f"{WHO}: {shown}")
                context.log.flush()
            if state.ended:
                return state
            if limit is not None and waiter.passed() > limit:
                raise TimedOut(f"The {WHO} run {number} took longer than it may, {limit:g} s, and was cancelled.")
            waiter.pause(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)


def _show_output(context: StepContext, api: Api, state: State) -> None:
    """The end of what the job printed, in the step's log."""
    try:
        text = requests.output_of(api.get(f"{_RUNS}/get-output", run_id=state.task))
    except Refused as error:
        context.log.note(f"{WHO} did not give the output of the run: {error}")
        return
    if text:
        context.log.write(f"{text}\n".encode("utf-8", "replace"))


def _judge(state: State) -> None:
    """Raises TimedOut, JobFailed."""
    if state.succeeded:
        return
    if state.result == "TIMEDOUT":
        raise TimedOut(f"The {WHO} run took longer than it may: {state}. Its page: {state.page}")
    raise JobFailed(f"The {WHO} run ended as {state}. Its page: {state.page}")
