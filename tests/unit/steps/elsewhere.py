"""A worker with a compute that is attached to a workspace, and containers that a cluster could reach."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from azurerest import Account, Blobs, Transport
from azurerest.auth import SharedKey
from orchestrator.core.attachment import Attachment
from orchestrator.core.definition import Step
from orchestrator.core.job import Deferred, Job
from orchestrator.core.result import StepResult
from orchestrator.core.secret import Secret
from orchestrator.engine.lease import GivenBack
from steps.memory_store import MemoryStore
from steps.remote.attached import Attachments
from steps.worker import StepWorker
from tests.json_standin import TOKEN
from tests.unit.steps.jobs import DATA, SYSTEM, lease_of, put_snapshot, settings

ACCOUNT = "lakeaccount"
HOST = f"{ACCOUNT}.blob.core.windows.net"


@dataclass(frozen=True)
class Place:
    """A container of an account that a cluster could reach."""

    name: str
    client: Blobs = field(
        default_factory=lambda: Blobs(
            Account(ACCOUNT, f"https://{HOST}", "", "", SharedKey("a2V5"), f"https://{HOST}"), Transport()
        )
    )

    def signing_key(self, now: object, until: object) -> None:
        return None


class Bench:
    """A worker whose compute "spark" is attached to a workspace, which a stand-in is."""

    def __init__(self, folder: Path, kind: str, attachment: Attachment, secret: str = TOKEN) -> None:
        self._kind = kind
        self._attachment = attachment
        self.store = MemoryStore(SYSTEM, DATA)
        self.cancelled = threading.Event()
        self.lost = threading.Event()
        self._folder = folder
        self._looks = 0
        self._secret = Secret(secret)
        self.find: Callable[[str], tuple[Attachment, Secret] | None] = self._find

    def _find(self, name: str) -> tuple[Attachment, Secret] | None:
        return (self._attachment, self._secret) if name == "spark" else None

    def worker(self) -> StepWorker:
        given = settings(
            self._folder / "cache",
            attachments=Attachments(find=lambda name: self.find(name), lead=Place),
            heartbeat_seconds=0.1,
            cancel_check_seconds=0.1,
        )
        return StepWorker(self.store, given, lambda _: not self.lost.is_set(), lambda _: self.cancelled.is_set())

    def job(self, work: Mapping[str, Any], **fields: Any) -> Job:
        files = fields.pop("files", None)
        retries = fields.pop("retries", 0)
        inputs = fields.pop("data", {})
        step = Step(
            id="count",
            name="Count",
            kind=self._kind,
            compute=fields.pop("compute", "spark"),
            snapshot=put_snapshot(self.store, files) if files else None,
            settings=dict(work),
            **fields,
        )
        return Job(
            run="run1",
            experiment="exp",
            position=0,
            step=step,
            attempt=1,
            owner="0123456789ab",
            parameters={},
            inputs=inputs,
            retries=retries,
        )

    def perform(self, job: Job) -> StepResult | None:
        worker = self.worker()
        try:
            found = worker.perform(job, lease_of(job))
            assert not isinstance(found, GivenBack)
            return found
        finally:
            worker.close()

    def result(self, job: Job) -> StepResult:
        """How the step ends: submitted, and then looked at until it has."""
        found = self.perform(job)
        assert found is not None
        while found.deferral is not None:
            found = self.perform(self.look(job, found))
            assert found is not None
        return found

    def look(self, job: Job, before: StepResult, elapsed: float | None = None) -> Job:
        """The job of another execution, which looks at what `before` has left. `elapsed`: by the server's clock."""
        self._looks += 1
        passed = time.time() - before.started_at if elapsed is None else elapsed
        later = Deferred(before=before, elapsed=passed)
        return msgspec.structs.replace(job, owner=f"{self._looks:012x}", inputs={}, deferred=later)

    def log(self, result: StepResult) -> str:
        return self.store.blobs[SYSTEM][result.log or ""].decode()


def failed(result: StepResult, code: str) -> str:
    """The message of a failure with this code."""
    assert result.error is not None and result.error.code == code, result.error
    return result.error.message
