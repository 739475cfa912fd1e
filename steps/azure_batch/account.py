"""A step's work in an account of Azure Batch: a job with one task, whose id is made of run, step and number of retries.

Whoever asks for that job again finds the same: an answer that was lost is asked for again, and a worker that takes the
step over looks after what the one before has started.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Final

from orchestrator.core.kinds.azure_batch import BatchTask
from orchestrator.core.resolving import resolve_timeout
from steps import environment
from steps.azure_batch import requests
from steps.azure_batch.data import node_data
from steps.azure_batch.ends import mark_end, marked_end
from steps.azure_batch.requests import TASK, State, job_id
from steps.context import StepContext
from steps.deferred import NotYet
from steps.failures import JobFailed, ServiceFailed
from steps.remote import bringing, source_files
from steps.remote.attached import Workspace
from steps.remote.ending import ending
from steps.remote.following import LOOK_PATIENCE, Handle, handle_of, not_yet, tell
from steps.remote.http import Api, Refused, refusal
from steps.remote.places import Places
from steps.remote.waiting import Waiter

WHO: Final = "Azure Batch"
_LOGS: Final = ("stdout.txt", "stderr.txt")


def run(context: StepContext, wanted: BatchTask, workspace: Workspace, places: Places) -> NotYet | None:
    """Start the task, or look at it; outputs are there when it has ended well. Raises StepFailure, Stopped."""
    handle = handle_of(context)
    api = _api(context, workspace)
    try:
        if handle is None:
            return _submitted(context, wanted, api, places)
        state = _look(context, api, handle)
    except Refused as error:
        raise refusal(WHO, error, "do the step's work") from error
    if isinstance(state, NotYet):
        return state
    end = marked_end(context, places) if state is None else _end(context, api, wanted, state, places)
    if end is None:
        raise JobFailed(f"{WHO} does not know the job {handle.job} any more: somebody has removed it.")
    if not end:
        bringing.bring_outputs(context, places)
    _clean(context, api, wanted, ended=True)
    if end:
        raise JobFailed(f"The {WHO} task failed: {end}")
    return None


def call_off(context: StepContext, wanted: BatchTask, workspace: Workspace) -> None:
    """End the task, and remove what the step has made in the account. Raises StepFailure, Stopped."""
    _clean(context, _api(context, workspace), wanted, ended=False)
    context.log.note(f"{WHO} job {job_id(context.job)} is called off.")


def _api(context: StepContext, workspace: Workspace) -> Api:
    return Api(
        WHO,
        workspace.url,
        workspace.token,
        Waiter(context.stop),
        patience=LOOK_PATIENCE,
        headers=requests.HEADERS,
        query=requests.QUERY,
    )


def _submitted(context: StepContext, wanted: BatchTask, api: Api, places: Places) -> NotYet:
    windows = requests.is_windows(_pool(context, wanted, api))
    sources = source_files.put(context, places) if context.job.step.snapshot else None
    timeout = resolve_timeout(context.job.step, context.job.parameters)
    data = node_data(context.job, places, context.inputs, sources, timeout)
    program = _program(wanted.executable, () if sources is None else sources.blobs, windows=windows)
    arguments = environment.arguments(context.job, data.inputs, data.outputs)
    task = requests.task(
        wanted,
        command=requests.command_line((program, *arguments), windows=windows),
        files=data.files,
        outputs=data.uploads,
        variables={"AZUREML_RUN_ID": environment.run_id(context.job)},
        seconds=timeout,
    )
    name = job_id(context.job)
    _made(lambda: api.post("/jobs", requests.job(context.job, wanted)))
    _made(lambda: api.post(f"/jobs/{name}/tasks", task))
    context.log.note(f"{WHO} job {name} is submitted to the pool {wanted.pool}.")
    context.report_property("azure_batch_job_id", name)
    return not_yet(context, Handle(job=name), WHO)


def _program(executable: str, sources: Container[str], *, windows: bool) -> str:
    """As the node finds it: on Linux, a program of the working folder is not looked for by its name alone."""
    path = executable.replace("\\", "/").removeprefix("./")
    if path not in sources:
        return executable
    return path.replace("/", "\\") if windows else f"./{path}"


def _pool(context: StepContext, wanted: BatchTask, api: Api) -> Any:
    """The pool, which is made if it is to be and is not there."""
    try:
        return api.get(f"/pools/{wanted.pool}")
    except Refused as error:
        if error.status != 404 or not wanted.create_pool:
            raise
    image = requests.image_of(wanted, api.get("/supportedimages")["value"])
    made = requests.pool(wanted, image)
    _made(lambda: api.post("/pools", made))
    context.log.note(f"{WHO} makes the pool {wanted.pool}: {wanted.nodes} of {wanted.vm_size}.")
    return made


def _made(call: Callable[[], object]) -> None:
    """It is there afterwards, whoever has made it."""
    try:
        call()
    except Refused as error:
        if error.status != 409 or not error.code.endswith("Exists"):
            raise


def _look(context: StepContext, api: Api, handle: Handle) -> State | NotYet | None:
    """The task at its end; None: it is not there. Raises TimedOut, Refused, ServiceFailed, Stopped."""
    name = handle.job
    with ending(context, lambda: api.once("POST", f"/jobs/{name}/tasks/{TASK}/terminate", {})):
        try:
            state = requests.state_of(api.get(f"/jobs/{name}/tasks/{TASK}"))
        except Refused as error:
            if error.status != 404:
                raise
            return None
        handle = tell(context, handle, WHO, state.phase)
        return state if state.ended else not_yet(context, handle, WHO)


def _end(context: StepContext, api: Api, wanted: BatchTask, state: State, places: Places) -> str:
    """What was wrong with the ended task; "": nothing. It is marked, since the job is removed before the step's end is
    committed: who comes after a worker that died between the two finds the mark in place of the job.
    """
    for name in _LOGS:
        _show(context, api, name)
    problem = state.problem(wanted)
    mark_end(context, places, problem)
    return problem


def _show(context: StepContext, api: Api, name: str) -> None:
    try:
        text = api.text(f"/jobs/{job_id(context.job)}/tasks/{TASK}/files/{name}")
    except Refused as error:
        context.log.note(f"{WHO} did not give {name}: {error}")
        return
    if text:
        context.log.write(text)


def _clean(context: StepContext, api: Api, wanted: BatchTask, *, ended: bool) -> None:
    """Remove what the step has made in the account, as far as that is asked for.

    It is safe to repeat, and best left undone rather than to fail a step whose work is done.
    """
    name = job_id(context.job)
    try:
        if wanted.delete_job:
            _removed(lambda: api.delete(f"/jobs/{name}"))
        elif not ended:
            _removed(lambda: api.post(f"/jobs/{name}/tasks/{TASK}/terminate", {}))
        if wanted.delete_pool:
            _removed(lambda: api.delete(f"/pools/{wanted.pool}"))
    except (Refused, ServiceFailed) as error:
        context.log.note(f"{WHO} still has the job {name} or its pool: {error}")


def _removed(call: Callable[[], object]) -> None:
    """It is gone, or going, afterwards."""
    try:
        call()
    except Refused as error:
        if error.status not in (404, 409):
            raise
