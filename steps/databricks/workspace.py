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
from steps.deferred import NotYet
from steps.failures import JobFailed, JobRefused, TimedOut
from steps.remote import bringing
from steps.remote.attached import Workspace
from steps.remote.ending import ending
from steps.remote.following import LOOK_PATIENCE, Handle, handle_of, not_yet, tell
from steps.remote.http import Api, Refused, refusal
from steps.remote.places import Places, opened
from steps.remote.waiting import Waiter
from steps.spark.local import script_of

WHO: Final = "Databricks"
_RUNS: Final = "/api/2.1/jobs/runs"


def run(context: StepContext, wanted: DatabricksJob, workspace: Workspace, places: Places) -> NotYet | None:
    """Submit the job, or look at it; outputs are there when it has ended well. Raises StepFailure, Stopped."""
    handle = handle_of(context)
    try:
        if handle is None:
            return _submitted(context, wanted, workspace, places)
        state = _look(context, workspace, handle)
    except Refused as error:
        raise refusal(WHO, error, "do the step's work") from error
    if isinstance(state, NotYet):
        return state
    _judge(state)
    bringing.bring_outputs(context, places)
    return None


def call_off(context: StepContext, wanted: DatabricksJob, workspace: Workspace, places: Places) -> None:
    """Cancel the job. Raises StepFailure, Stopped.

    The workspace tells the number of a job only to whoever submits it. So where nobody has kept it, the job is
    submitted under its token once more: if it had been, this is the number, and if not, the new job is cancelled at
    once.
    """
    try:
        handle = handle_of(context)
        number = handle.job if handle is not None else _number(context, wanted, workspace, places)
        _api(context, workspace).post(f"{_RUNS}/cancel", {"run_id": number})
    except Refused as error:
        raise refusal(WHO, error, "cancel the job") from error
    context.log.note(f"{WHO} run {number} is cancelled.")


def _api(context: StepContext, workspace: Workspace) -> Api:
    return Api(WHO, workspace.url, workspace.token, Waiter(context.stop), patience=LOOK_PATIENCE)


def _submitted(context: StepContext, wanted: DatabricksJob, workspace: Workspace, places: Places) -> NotYet:
    _check_cluster(_api(context, workspace), wanted)
    number = _number(context, wanted, workspace, places)
    context.log.note(f"{WHO} run {number} is submitted.")
    context.report_property("databricks_run_id", str(number))
    return not_yet(context, Handle(job=number), WHO)


def _number(context: StepContext, wanted: DatabricksJob, workspace: Workspace, places: Places) -> int:
    api = _api(context, workspace)
    urls = places.output_urls(context.job)
    file, told = _script(context, wanted, api)
    return _submit(context, wanted, api, places, urls, file, told)


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


def _look(context: StepContext, workspace: Workspace, handle: Handle) -> State | NotYet:
    """The run at its end. Raises TimedOut, Refused, ServiceFailed, Stopped."""
    api, number = _api(context, workspace), handle.job
    with ending(context, lambda: api.once("POST", f"{_RUNS}/cancel", {"run_id": number})):
        state = requests.state_of(api.get(f"{_RUNS}/get", run_id=number))
        if not handle.said:
            context.log.note(f"{WHO} run {number}: {state.page}")
            context.report_property("databricks_run_page", state.page)
        handle = tell(context, handle, WHO, str(state))
        if not state.ended:
            return not_yet(context, handle, WHO)
    _show_output(context, api, state)
    return state


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
