"""What the service answers, as values. Fields that this client does not know yet are left aside."""

from __future__ import annotations

from typing import Any

import msgspec

from millstream.child_view import ChildView
from orchestrator.core.dataset import DatasetDocument
from orchestrator.core.definition import Definition, Parameter, ParameterValue


class View(msgspec.Struct, frozen=True, kw_only=True):
    pass


class ErrorView(View, frozen=True, kw_only=True):
    code: str
    message: str
    field: str | None = None
    problems: tuple[dict[str, str], ...] = ()


class ErrorAnswer(View, frozen=True, kw_only=True):
    error: ErrorView


class DatastoreView(View, frozen=True, kw_only=True):
    name: str
    type: str
    container: str


class RegisteredDatastoreView(View, frozen=True, kw_only=True):
    """One that was registered; its secret is never given back."""

    name: str
    type: str
    auth: str
    account: str = ""
    container: str = ""
    endpoint: str = ""
    url: str = ""


class NameView(View, frozen=True, kw_only=True):
    name: str


class ComputeView(View, frozen=True, kw_only=True):
    name: str
    kind: str


class AttachmentView(View, frozen=True, kw_only=True):
    """What a compute is attached to."""

    name: str
    type: str
    url: str


class ComputeDetailView(ComputeView, frozen=True, kw_only=True):
    """`settings`: what its maker asked for."""

    settings: dict[str, Any] = {}
    created_at: float = 0.0


class ComputeStatusView(View, frozen=True, kw_only=True):
    """`running` executions, `waiting` messages; `runs_in`: what the executions are."""

    running: int = 0
    waiting: int = 0
    runs_in: str = ""


class LimitsView(View, frozen=True, kw_only=True):
    """What the service refuses above, in bytes and numbers of files."""

    snapshot_bytes: int = 300_000_000
    snapshot_files: int = 2000
    upload_files: int = 1000


class WorkspaceView(View, frozen=True, kw_only=True):
    name: str
    subscription_id: str
    resource_group: str
    default_datastore: str
    datastores: tuple[DatastoreView, ...]
    computes: tuple[ComputeView, ...]
    compute_kinds: tuple[str, ...] = ("function",)
    limits: LimitsView = LimitsView()
    version: str = ""


class FinishTarget(View, frozen=True, kw_only=True):
    """How a file in a share gets its name when it is whole."""

    url: str
    headers: dict[str, str]


class UploadTarget(View, frozen=True, kw_only=True):
    """Where to send bytes, without a token. `expires_at` in epoch seconds."""

    url: str
    headers: dict[str, str]
    method: str = "PUT"
    finish: FinishTarget | None = None


class SnapshotView(View, frozen=True, kw_only=True):
    id: str
    exists: bool
    upload: UploadTarget | None = None


class SourcesView(View, frozen=True, kw_only=True):
    """A source folder as a zip; `url` reads it, for minutes."""

    id: str
    size: int
    url: str


class RunLine(View, frozen=True, kw_only=True):
    """A line in the list of runs. Times in epoch seconds."""

    id: str
    experiment: str
    status: str
    pipeline_name: str = ""
    pipeline_id: str | None = None
    source: str = ""
    started_by: str = ""
    parent_run: str | None = None
    rerun_of: str | None = None
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    submitted_at: float = 0.0
    ended_at: float | None = None


class NotifyView(View, frozen=True, kw_only=True):
    """A webhook of one run. `secret` is in the answer to its submission only."""

    id: str
    url: str
    events: tuple[str, ...] = ()
    secret: str | None = None


class WebhookView(View, frozen=True, kw_only=True):
    """A registered webhook. `secret` is in the answer that has made it only."""

    name: str
    url: str
    events: tuple[str, ...] = ()
    pipeline_id: str | None = None
    description: str = ""
    enabled: bool = True
    secret: str | None = None


class WebhookList(View, frozen=True, kw_only=True):
    webhooks: tuple[WebhookView, ...]


class NoticeView(View, frozen=True, kw_only=True):
    """How it goes to tell a webhook of a run's end. Times in epoch seconds."""

    webhook: str
    event: str
    state: str
    message_id: str
    attempts: int = 0
    status: int | None = None
    error: str = ""
    changed_at: float = 0.0
    next_at: float | None = None


class NoticeList(View, frozen=True, kw_only=True):
    notices: tuple[NoticeView, ...]


class RunView(RunLine, frozen=True, kw_only=True):
    parameters: dict[str, ParameterValue] = {}
    description: str = ""
    steps_total: int = 0
    steps_done: int = 0
    steps_failed: int = 0
    steps_skipped: int = 0
    notify: tuple[NotifyView, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        return self.status in ("Completed", "Failed", "Canceled")


class RunPage(View, frozen=True, kw_only=True):
    runs: tuple[RunLine, ...]
    continuation: str | None = None


class StepErrorView(View, frozen=True, kw_only=True):
    code: str
    message: str
    log_tail: str = ""


class ReasonView(View, frozen=True, kw_only=True):
    """`code` says what it is about, `text` what is the matter."""

    code: str
    text: str


class DecisionView(View, frozen=True, kw_only=True):
    """Why a step ran, or whose outputs it has: `action` is "run", "reuse", "keep", "skip"; beforehand, "undecided"."""

    action: str
    reasons: tuple[ReasonView, ...] = ()
    fingerprint: str = ""
    from_run: str = ""
    from_step: str = ""

    @property
    def taken(self) -> bool:
        """Whether the step has the outputs of an earlier run."""
        return self.action in ("reuse", "keep")

    @property
    def text(self) -> str:
        return "; ".join(reason.text for reason in self.reasons)


class StepView(View, frozen=True, kw_only=True):
    id: str
    name: str
    position: int
    kind: str
    status: str
    attempt: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    error: StepErrorView | None = None
    log_bytes: int = 0
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    outputs: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    decision: DecisionView | None = None
    child: ChildView | None = None

    @property
    def taken(self) -> bool:
        """Whether it was not executed, since an earlier run had made its outputs."""
        return self.decision is not None and self.decision.taken

    @property
    def ended(self) -> bool:
        return self.status in ("Completed", "Failed", "Skipped", "Canceled")


class PlannedStep(View, frozen=True, kw_only=True):
    id: str
    name: str
    decision: DecisionView


class RunPlan(View, frozen=True, kw_only=True):
    """What a run would do, step by step, were it started now. Printed, it is a table."""

    steps: tuple[PlannedStep, ...]
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        width = max((len(step.name) for step in self.steps), default=0)
        words = {"reuse": "reused", "keep": "kept", "run": "runs", "undecided": "perhaps"}
        return "\n".join(
            f"{step.name:<{width}}  {words[step.decision.action]:<8} {step.decision.text}" for step in self.steps
        )


class StepList(View, frozen=True, kw_only=True):
    steps: tuple[StepView, ...]


class MetricsView(View, frozen=True, kw_only=True):
    """Step id -> what it logged. `run`: what was logged on the run as a whole."""

    steps: dict[str, tuple[dict[str, Any], ...]]
    run: tuple[dict[str, Any], ...] = ()


class RemoteFile(View, frozen=True, kw_only=True):
    """A file of a run. `path` is "" for an output that is itself a file; `url` reads it, for minutes. `sha256` is ""
    for one that was given from outside.
    """

    path: str
    size: int
    sha256: str
    url: str


class OutputView(View, frozen=True, kw_only=True):
    """`files`: those of the page; `total_files` and `total_size` (bytes) are of all pages."""

    datastore: str
    prefix: str
    is_file: bool
    files: tuple[RemoteFile, ...]
    total_files: int = 0
    total_size: int = 0
    destination: str | None = None
    dataset: str | None = None


class StepOutputsView(View, frozen=True, kw_only=True):
    outputs: dict[str, OutputView] = {}
    artifacts: tuple[RemoteFile, ...] = ()


class OutputsView(View, frozen=True, kw_only=True):
    """Step id -> what it left behind, as far as this page has it."""

    steps: dict[str, StepOutputsView]
    continuation: str | None = None


class PipelineView(View, frozen=True, kw_only=True):
    id: str
    name: str
    endpoint: str
    description: str = ""
    version: str = ""
    continue_on_step_failure: bool = False
    steps_total: int = 0
    published_at: float = 0.0
    status: str = "Active"
    parameters: tuple[Parameter, ...] = ()
    definition: Definition | None = None
    created: bool = False
    warnings: tuple[str, ...] = ()


class PipelinePage(View, frozen=True, kw_only=True):
    pipelines: tuple[PipelineView, ...]
    continuation: str | None = None


class DraftView(View, frozen=True, kw_only=True):
    """A pipeline draft; `pipeline_id`, `run_id`, `draft_id`: of what it was made a copy."""

    id: str
    name: str
    experiment_name: str
    description: str = ""
    parameters: dict[str, ParameterValue] = {}
    continue_on_step_failure: bool = False
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    created_at: float = 0.0
    pipeline_id: str | None = None
    run_id: str | None = None
    draft_id: str | None = None
    last_run_id: str | None = None
    warnings: tuple[str, ...] = ()
    definition: Definition | None = None


class DraftPage(View, frozen=True, kw_only=True):
    drafts: tuple[DraftView, ...]
    continuation: str | None = None


class DatasetLine(View, frozen=True, kw_only=True):
    """A version of a registered dataset."""

    id: str
    name: str
    version: int
    created_at: float = 0.0
    description: str = ""
    tags: dict[str, str] = {}


class DatasetView(View, frozen=True, kw_only=True):
    """A dataset; name and version where it is registered."""

    id: str
    document: DatasetDocument
    name: str | None = None
    version: int | None = None
    created_at: float | None = None
    description: str = ""
    tags: dict[str, str] = {}
    created: bool = False


class DatasetPage(View, frozen=True, kw_only=True):
    datasets: tuple[DatasetLine, ...]
    continuation: str | None = None


class Unregistered(View, frozen=True, kw_only=True):
    versions: int


class ExperimentView(View, frozen=True, kw_only=True):
    """Times in epoch seconds."""

    name: str
    created_at: float = 0.0
    tags: dict[str, str] = {}
    archived_at: float | None = None


class ExperimentPage(View, frozen=True, kw_only=True):
    experiments: tuple[ExperimentView, ...]
    continuation: str | None = None


class ModelView(View, frozen=True, kw_only=True):
    name: str
    version: int
    run_id: str = ""
    step_id: str = ""
    path: str = ""
    created_at: float = 0.0
    tags: dict[str, str] = {}
    properties: dict[str, str] = {}
    description: str = ""
    framework: str | None = None
    framework_version: str | None = None
    files: tuple[RemoteFile, ...] = ()


class ModelFileView(View, frozen=True, kw_only=True):
    path: str
    upload: UploadTarget | None = None


class ModelUploadView(View, frozen=True, kw_only=True):
    id: str
    files: tuple[ModelFileView, ...]


class ModelPage(View, frozen=True, kw_only=True):
    models: tuple[ModelView, ...]
    continuation: str | None = None
