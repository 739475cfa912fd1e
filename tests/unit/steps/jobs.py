"""Jobs, snapshots and workers for tests."""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from orchestrator.core.claim import ClaimRow
from orchestrator.core.definition import Argument, FromParameter, Input, Literal, Output, ParameterValue, Step
from orchestrator.core.job import InputData, Job
from orchestrator.core.result import File, StepResult
from orchestrator.core.states import ClaimState
from orchestrator.engine.lease import Lease
from steps.settings import WorkerSettings
from steps.snapshots import address
from steps.store import Store
from steps.worker import StepWorker

SYSTEM = "millstream"
DATA = "workspaceblobstore"


def file_of(path: str, data: bytes) -> File:
    return File(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for name in sorted(files):
            target.writestr(zipfile.ZipInfo(name), files[name])
    return packed.getvalue()


def put_snapshot(store: Store, files: Mapping[str, bytes | str]) -> str:
    content = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}
    snapshot = address([file_of(name, data) for name, data in content.items()])
    store.put(SYSTEM, f"snapshots/{snapshot}.zip", archive(content))
    return snapshot


def job(
    snapshot: str | None,
    *,
    script: str = "script.py",
    run: str = "run1",
    step_id: str = "train",
    kind: str = "python_script",
    arguments: tuple[Argument, ...] = (),
    environment: Mapping[str, Literal | FromParameter] | None = None,
    inputs: Mapping[str, InputData] | None = None,
    input_ports: tuple[Input, ...] = (),
    outputs: tuple[Output, ...] = (),
    parameters: Mapping[str, ParameterValue] | None = None,
    timeout: float | None = None,
    owner: str = "0123456789ab",
) -> Job:
    step = Step(
        id=step_id,
        name=step_id.capitalize(),
        kind=kind,
        snapshot=snapshot,
        settings={"script": script},
        arguments=arguments,
        environment=dict(environment or {}),
        inputs=input_ports,
        outputs=outputs,
        timeout_seconds=timeout,
    )
    return Job(
        run=run,
        experiment="exp",
        position=0,
        step=step,
        attempt=1,
        owner=owner,
        parameters=dict(parameters or {}),
        inputs=dict(inputs or {}),
    )


def lease_of(it: Job) -> Lease:
    claim = ClaimRow(state=ClaimState.RUNNING, attempt=it.attempt, owner=it.owner, message_id="m", dequeue_count=1)
    return Lease(run=it.run, position=it.position, claim=claim, etag="e")


@contextmanager
def working(store: Store, settings: WorkerSettings) -> Iterator[StepWorker]:
    """A worker whose leases hold and whose runs are not cancelled."""
    worker = StepWorker(store, settings, lambda _: True, lambda _: False)
    try:
        yield worker
    finally:
        worker.close()


def settings(cache: Path, **changes: object) -> WorkerSettings:
    given: dict[str, object] = {"cache_dir": cache, "python": sys.executable, "grace_seconds": 0.3} | changes
    return WorkerSettings(**given)  # type: ignore[arg-type]


def perform(worker: StepWorker, it: Job) -> StepResult:
    result = worker.perform(it, lease_of(it))
    assert isinstance(result, StepResult)
    return result
