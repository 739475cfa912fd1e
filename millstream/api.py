"""The routes of the service as methods. Everything here is safe to repeat, so the transport may send it twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from millstream import (
    endpoint_views,
    environment_views,
    file_views,
    module_views,
    run_file_views,
    schedule_views,
    views,
)
from millstream.cost import RunCost
from millstream.errors import (
    Conflict,
    InvalidDefinition,
    InvalidRequest,
    MillstreamError,
    Problem,
    ServiceFault,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnknownThing,
    UserError,
)
from millstream.named_routes import NamedRoutes
from millstream.transport import Response, Transport
from orchestrator.core.definition import Definition

T = TypeVar("T")

Query = str | float | Sequence[str] | None
"""A parameter of a query; a list repeats it, None leaves it out."""

_BY_STATUS: Mapping[int, type[MillstreamError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Unauthorized,
    404: UnknownThing,
    409: Conflict,
    413: TooLarge,
    429: TooManyRequests,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


@dataclass(frozen=True, slots=True)
class LogPart:
    """Bytes of a log; ask on at `next`. `complete`: nothing will follow. `attempt` rises when the log begins anew."""

    data: bytes
    next: int
    complete: bool
    attempt: int


class Api:
    """The service at `url`, without the /api. `authorization` gives the headers that say who calls. Thread-safe.

    Every method raises the errors of `millstream.errors` that the service answers with.
    """

    def __init__(self, url: str, authorization: Callable[[], Mapping[str, str]], transport: Transport) -> None:
        self.url = url.rstrip("/")
        self.transport = transport
        self._authorization = authorization
        self.endpoints: NamedRoutes[
            endpoint_views.EndpointView, endpoint_views.EndpointVersionView, endpoint_views.VersionView
        ] = NamedRoutes(
            self,
            "endpoints",
            "pipeline endpoint",
            view=endpoint_views.EndpointView,
            page=endpoint_views.EndpointPage,
            added=endpoint_views.EndpointVersionView,
            version_page=endpoint_views.VersionPage,
        )
        self.modules: NamedRoutes[
            module_views.ModuleView, module_views.ModuleVersionView, module_views.ModuleVersionView
        ] = NamedRoutes(
            self,
            "modules",
            "module",
            view=module_views.ModuleView,
            page=module_views.ModulePage,
            added=module_views.ModuleVersionView,
            version_page=module_views.ModuleVersionPage,
        )

    def workspace(self) -> views.WorkspaceView:
        return self.get("workspace", views.WorkspaceView)

    def register_snapshot(self, files: list[dict[str, Any]]) -> views.SnapshotView:
        return self.send("POST", "snapshots", {"files": files}, views.SnapshotView)

    def complete_snapshot(self, snapshot: str) -> views.SnapshotView:
        return self.send("POST", f"snapshots/{snapshot}/complete", {}, views.SnapshotView)

    def snapshot(self, snapshot: str) -> views.SourcesView:
        return self.get(f"snapshots/{_name(snapshot)}", views.SourcesView)

    def prepare_uploads(
        self, datastore: str, files: list[dict[str, Any]], *, overwrite: bool
    ) -> file_views.UploadsView:
        wish = {"files": files, "overwrite": overwrite}
        return self.send("POST", f"datastores/{_name(datastore)}/uploads", wish, file_views.UploadsView)

    def files(self, datastore: str, prefix: str) -> Iterator[file_views.StoredFile]:
        """Every file whose path begins with `prefix`."""
        for page in self.pages(f"datastores/{_name(datastore)}/files", file_views.FilePage, {"prefix": prefix}):
            yield from page.files

    def locate(self, datastore: str, paths: list[str]) -> tuple[file_views.StoredFile | None, ...]:
        """For each of at most 1,000 paths the file that is exactly there, or None."""
        wish = {"paths": paths}
        return self.send("POST", f"datastores/{_name(datastore)}/locate", wish, file_views.LocatedList).files

    def save_dataset(self, wish: Mapping[str, Any]) -> views.DatasetView:
        """Keep a document; with a name, register it. Registered again it is the same version."""
        return self.send("POST", "datasets", wish, views.DatasetView)

    def datasets(self, *, name: str | None = None) -> Iterator[views.DatasetLine]:
        """The latest version of every name; or every version of one name, the latest first."""
        for page in self.pages("datasets", views.DatasetPage, {"name": name}):
            yield from page.datasets

    def dataset(self, name: str, version: int | None = None) -> views.DatasetView:
        query = {"version": None if version is None else str(version)}
        return self.get(f"datasets/{_name(name)}", views.DatasetView, query)

    def dataset_by_id(self, dataset: str) -> views.DatasetView:
        return self.get(f"datasets/by-id/{_name(dataset)}", views.DatasetView)

    def change_dataset(self, name: str, wish: Mapping[str, Any]) -> views.DatasetLine:
        return self.send("PATCH", f"datasets/{_name(name)}", wish, views.DatasetLine)

    def unregister_dataset(self, name: str) -> int:
        return _decoded(self._call("DELETE", f"datasets/{_name(name)}"), views.Unregistered).versions

    def publish(self, wish: Mapping[str, Any]) -> views.PipelineView:
        return self.send("POST", "pipelines", wish, views.PipelineView)

    def pipelines(self, *, name: str | None = None, active_only: bool = False) -> Iterator[views.PipelineView]:
        query = {"name": name, "active_only": _flag(active_only)}
        for page in self.pages("pipelines", views.PipelinePage, query):
            yield from page.pipelines

    def set_pipeline_status(self, pipeline_id: str, status: str) -> views.PipelineView:
        return self.send("PATCH", f"pipelines/{_name(pipeline_id)}", {"status": status}, views.PipelineView)

    def pipeline(self, pipeline_id: str, *, definition: bool = False) -> views.PipelineView:
        query = {"definition": "true"} if definition else {}
        return self.get(f"pipelines/{_name(pipeline_id)}", views.PipelineView, query)

    def register_environment(self, wish: Mapping[str, Any]) -> environment_views.EnvironmentView:
        """Registered again it is the same version."""
        return self.send("POST", "environments", wish, environment_views.EnvironmentView)

    def environments(self) -> Iterator[environment_views.EnvironmentView]:
        """The last version of each."""
        for page in self.pages("environments", environment_views.EnvironmentPage, {}):
            yield from page.environments

    def environment(self, name: str, version: str | None = None) -> environment_views.EnvironmentView:
        return self.get(f"environments/{_name(name)}", environment_views.EnvironmentView, {"version": version})

    def module_version(self, version_id: str) -> module_views.ModuleVersionView:
        return self.get(f"module-versions/{_name(version_id)}", module_views.ModuleVersionView)

    def change_module_version(self, version_id: str, changes: Mapping[str, str]) -> module_views.ModuleVersionView:
        return self.send("PATCH", f"module-versions/{_name(version_id)}", changes, module_views.ModuleVersionView)

    def create_draft(self, wish: Mapping[str, Any]) -> views.DraftView:
        """`wish` must hold an id, which makes this repeatable."""
        return self.send("POST", "drafts", wish, views.DraftView)

    def drafts(self, tags: Sequence[str] = ()) -> Iterator[views.DraftView]:
        """Newest first. `tags`: NAME or NAME=VALUE, all of which a draft must have."""
        for page in self.pages("drafts", views.DraftPage, {"tag": list(tags)}):
            yield from page.drafts

    def draft(self, draft_id: str, *, definition: bool = False) -> views.DraftView:
        return self.get(f"drafts/{_name(draft_id)}", views.DraftView, {"definition": _flag(definition)})

    def change_draft(self, draft_id: str, changes: Mapping[str, Any]) -> views.DraftView:
        return self.send("PATCH", f"drafts/{_name(draft_id)}", changes, views.DraftView)

    def delete_draft(self, draft_id: str) -> None:
        self._call("DELETE", f"drafts/{_name(draft_id)}")

    def start_draft(self, draft_id: str, wish: Mapping[str, Any]) -> views.RunView:
        """`wish` must hold a run_id, which makes this repeatable."""
        return self.send("POST", f"drafts/{_name(draft_id)}/runs", wish, views.RunView)

    def publish_draft(self, draft_id: str, version: str) -> views.PipelineView:
        return self.send("POST", f"drafts/{_name(draft_id)}/publish", {"version": version}, views.PipelineView)

    def create_schedule(self, wish: Mapping[str, Any]) -> schedule_views.ScheduleView:
        """`wish` must hold an id, which makes this repeatable."""
        return self.send("POST", "schedules", wish, schedule_views.ScheduleView)

    def schedule(self, schedule_id: str) -> schedule_views.ScheduleView:
        return self.get(f"schedules/{_name(schedule_id)}", schedule_views.ScheduleView)

    def schedules(self, *, active_only: bool = False, **filters: str | None) -> Iterator[schedule_views.ScheduleView]:
        """Newest first. Filters: name, pipeline_id, pipeline_endpoint_id."""
        query = {**filters, "active_only": _flag(active_only)}
        for page in self.pages("schedules", schedule_views.SchedulePage, query):
            yield from page.schedules

    def change_schedule(self, schedule_id: str, changes: Mapping[str, Any]) -> schedule_views.ScheduleView:
        return self.send("PATCH", f"schedules/{_name(schedule_id)}", changes, schedule_views.ScheduleView)

    def next_occurrences(self, schedule_id: str, limit: int) -> tuple[float, ...]:
        """At most 1,000, in epoch seconds."""
        path = f"schedules/{_name(schedule_id)}/occurrences"
        return self.get(path, schedule_views.OccurrencesView, {"limit": str(limit)}).occurrences

    def schedule_runs(self, schedule_id: str, *, started_only: bool = True) -> Iterator[schedule_views.FiringView]:
        """By occurrence, the latest first."""
        path = f"schedules/{_name(schedule_id)}/runs"
        for page in self.pages(path, schedule_views.FiringPage, {"started_only": _flag(started_only)}):
            yield from page.runs

    def backfill(
        self, schedule_id: str, *, start: float, end: float | None, dry_run: bool
    ) -> schedule_views.BackfillView:
        """A part of it: go on with `rest` as the start."""
        wish = {"start": start, "end": end, "dry_run": dry_run}
        return self.send("POST", f"schedules/{_name(schedule_id)}/backfill", wish, schedule_views.BackfillView)

    def start_run(self, wish: Mapping[str, Any]) -> views.RunView:
        """`wish` must hold a run_id, which makes this repeatable."""
        return self.send("POST", "runs", wish, views.RunView)

    def plan_run(self, wish: Mapping[str, Any]) -> views.RunPlan:
        """What `start_run` would lead to."""
        return self.send("POST", "runs/plan", wish, views.RunPlan)

    def runs(self, **filters: Query) -> Iterator[views.RunLine]:
        """Newest first. Filters: those of the route's query; `tag` and `property` are lists of NAME or NAME=VALUE."""
        for page in self.pages("runs", views.RunPage, filters):
            yield from page.runs

    def run(self, run_id: str) -> views.RunView:
        return self.get(f"runs/{_name(run_id)}", views.RunView)

    def label_run(self, run_id: str, tags: Mapping[str, str | None], properties: Mapping[str, str]) -> views.RunView:
        """Set tags, None removes one, and add properties."""
        return self.send("PATCH", f"runs/{_name(run_id)}", {"tags": tags, "properties": properties}, views.RunView)

    def run_definition(self, run_id: str) -> Definition:
        return self.get(f"runs/{_name(run_id)}/definition", Definition)

    def cancel(self, run_id: str) -> views.RunView:
        return self.send("POST", f"runs/{_name(run_id)}/cancel", {}, views.RunView)

    def resubmit(self, run_id: str, wish: Mapping[str, Any]) -> views.RunView:
        """`wish` must hold a run_id, which makes this repeatable."""
        return self.send("POST", f"runs/{_name(run_id)}/resubmit", wish, views.RunView)

    def rerun(self, run_id: str, wish: Mapping[str, Any]) -> views.RunView:
        """`wish` must hold a run_id, which makes this repeatable."""
        return self.send("POST", f"runs/{_name(run_id)}/rerun", wish, views.RunView)

    def notices(self, run_id: str) -> tuple[views.NoticeView, ...]:
        """Who has been told of a run's end, or will be."""
        return self.get(f"runs/{_name(run_id)}/notices", views.NoticeList).notices

    def put_webhook(self, name: str, wish: Mapping[str, Any]) -> views.WebhookView:
        return self.send("PUT", f"webhooks/{_name(name)}", wish, views.WebhookView)

    def webhooks(self) -> tuple[views.WebhookView, ...]:
        return self.get("webhooks", views.WebhookList).webhooks

    def remove_webhook(self, name: str) -> None:
        self._call("DELETE", f"webhooks/{_name(name)}")

    def steps(self, run_id: str) -> tuple[views.StepView, ...]:
        return self.get(f"runs/{_name(run_id)}/steps", views.StepList).steps

    def step(self, run_id: str, step_id: str) -> views.StepView:
        return self.get(f"runs/{_name(run_id)}/steps/{_name(step_id)}", views.StepView)

    def log(self, run_id: str, step_id: str, offset: int = 0) -> LogPart:
        """What the log holds from byte `offset` on, at most some megabytes."""
        path = f"runs/{_name(run_id)}/steps/{_name(step_id)}/log"
        response = self._call("GET", path, query={"offset": str(offset)})
        headers = response.headers
        return LogPart(
            data=response.body,
            next=int(headers["millstream-log-next"]),
            complete=headers["millstream-log-complete"] == "true",
            attempt=int(headers.get("millstream-log-attempt", "1")),
        )

    def label_step(
        self, run_id: str, step_id: str, tags: Mapping[str, str | None], properties: Mapping[str, str]
    ) -> views.StepView:
        wish = {"tags": tags, "properties": properties}
        return self.send("PATCH", f"runs/{_name(run_id)}/steps/{_name(step_id)}", wish, views.StepView)

    def log_metrics(self, run_id: str, step_id: str, metrics: list[dict[str, Any]]) -> None:
        """On a step, or, with "" for it, on the run as a whole. Each must hold an id, which makes this repeatable."""
        self._call("POST", f"{_owner(run_id, step_id)}/metrics", body=msgspec.json.encode({"metrics": metrics}))

    def offer_files(self, run_id: str, step_id: str, paths: Sequence[str]) -> tuple[run_file_views.RunFileTarget, ...]:
        """Where the bytes of files go that are given to a step, or, with "" for it, to the run as a whole."""
        wish = {"paths": list(paths)}
        return self.send("POST", f"{_owner(run_id, step_id)}/files", wish, run_file_views.RunFileTargets).files

    def given_files(self, run_id: str, step_id: str) -> tuple[views.RemoteFile, ...]:
        """Those that were given so."""
        return self.get(f"{_owner(run_id, step_id)}/files", run_file_views.RunFiles).files

    def metrics(self, run_id: str) -> views.MetricsView:
        return self.get(f"runs/{_name(run_id)}/metrics", views.MetricsView)

    def cost(self, run_id: str) -> RunCost:
        """What a run costs, with all of its steps."""
        path = f"runs/{_name(run_id)}/cost"
        first = page = self.get(path, RunCost, {"limit": "5000"})
        steps = list(first.steps)
        while page.continuation:
            page = self.get(path, RunCost, {"limit": "5000", "continuation": page.continuation})
            steps += page.steps
        return msgspec.structs.replace(first, steps=tuple(steps), continuation=None)

    def outputs_page(self, run_id: str, query: Mapping[str, str | None]) -> views.OutputsView:
        """What the steps have committed, one page. Query: step, output, what, limit, continuation."""
        return self.get(f"runs/{_name(run_id)}/outputs", views.OutputsView, query)

    def prepare_model(self, files: list[dict[str, Any]]) -> views.ModelUploadView:
        return self.send("POST", "models/uploads", {"files": files}, views.ModelUploadView)

    def register_model(self, wish: Mapping[str, Any]) -> views.ModelView:
        """`wish` must hold a request_id, which makes this repeatable."""
        return self.send("POST", "models", wish, views.ModelView)

    def register_step_model(self, run_id: str, step_id: str, wish: Mapping[str, Any]) -> views.ModelView:
        """`wish` must hold a request_id, which makes this repeatable."""
        return self.send("POST", f"runs/{_name(run_id)}/steps/{_name(step_id)}/models", wish, views.ModelView)

    def put_datastore(self, name: str, wish: Mapping[str, Any]) -> views.RegisteredDatastoreView:
        """Register a datastore; may be repeated."""
        return self.send("PUT", f"datastores/{_name(name)}", wish, views.RegisteredDatastoreView)

    def datastore(self, name: str) -> views.RegisteredDatastoreView:
        """One that was registered; those of the service's settings are among `workspace()`."""
        return self.get(f"datastores/{_name(name)}", views.RegisteredDatastoreView)

    def delete_datastore(self, name: str) -> None:
        self._call("DELETE", f"datastores/{_name(name)}")

    def set_default_datastore(self, name: str) -> str:
        """The name as the service has it."""
        return self.send("PUT", "workspace/default-datastore", {"name": name}, views.NameView).name

    def put_compute(self, name: str, wish: Mapping[str, Any]) -> views.ComputeDetailView:
        """Make a compute, or change what is kept of it."""
        return self.send("PUT", f"computes/{_name(name)}", wish, views.ComputeDetailView)

    def compute(self, name: str) -> views.ComputeDetailView:
        """One that was made; those of the service's settings are among `workspace()`."""
        return self.get(f"computes/{_name(name)}", views.ComputeDetailView)

    def compute_status(self, name: str) -> views.ComputeStatusView:
        """What a compute is doing."""
        return self.get(f"computes/{_name(name)}/status", views.ComputeStatusView)

    def delete_compute(self, name: str) -> None:
        self._call("DELETE", f"computes/{_name(name)}")

    def put_attachment(self, name: str, wish: Mapping[str, Any]) -> None:
        """Say in which workspace the steps of a compute do their work."""
        self._call("PUT", f"attachments/{_name(name)}", body=msgspec.json.encode(wish))

    def attachment(self, name: str) -> views.AttachmentView:
        """What the compute of this name is attached to. Raises UnknownThing."""
        return self.get(f"attachments/{_name(name)}", views.AttachmentView)

    def delete_attachment(self, name: str) -> None:
        self._call("DELETE", f"attachments/{_name(name)}")

    def experiments(self, state: str = "active") -> Iterator[views.ExperimentView]:
        """`state`: active, archived or all."""
        for page in self.pages("experiments", views.ExperimentPage, {"state": state}):
            yield from page.experiments

    def experiment(self, name: str) -> views.ExperimentView:
        return self.get(f"experiments/{_name(name)}", views.ExperimentView)

    def change_experiment(self, name: str, wish: Mapping[str, Any]) -> views.ExperimentView:
        """Tag it, or archive it; one that is not there is made."""
        return self.send("PATCH", f"experiments/{_name(name)}", wish, views.ExperimentView)

    def remove_experiment(self, name: str) -> None:
        self._call("DELETE", f"experiments/{_name(name)}")

    def models(self, *, name: str | None = None) -> Iterator[views.ModelView]:
        """Every version, the latest first."""
        for page in self.pages("models", views.ModelPage, {"name": name}):
            yield from page.models

    def model(self, name: str, version: int | None = None) -> views.ModelView:
        query = {"version": None if version is None else str(version)}
        return self.get(f"models/{_name(name)}", views.ModelView, query)

    def pages(self, path: str, kind: type[T], query: Mapping[str, Query]) -> Iterator[T]:
        continuation: str | None = None
        while True:
            page: Any = self.get(path, kind, {**query, "continuation": continuation})
            yield page
            continuation = page.continuation
            if continuation is None:
                return

    def get(self, path: str, kind: type[T], query: Mapping[str, Query] | None = None) -> T:
        return _decoded(self._call("GET", path, query=query), kind)

    def send(self, method: str, path: str, body: Mapping[str, Any], kind: type[T]) -> T:
        return _decoded(self._call(method, path, body=msgspec.json.encode(body)), kind)

    def _call(
        self, method: str, path: str, *, query: Mapping[str, Query] | None = None, body: bytes | None = None
    ) -> Response:
        asked = {name: value for name, value in (query or {}).items() if value is not None and value != []}
        url = f"{self.url}/api/{path}" + (f"?{urlencode(asked, doseq=True)}" if asked else "")
        headers = {**self._authorization(), "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        response = self.transport.request(method, url, headers=headers, body=body)
        if response.status >= 300:
            raise error_of(response, f"{method} {self.url}/api/{path}")
        return response


def error_of(response: Response, request: str) -> MillstreamError:
    """The error that an answer stands for: by its code, else by its status."""
    try:
        view = msgspec.json.decode(response.body, type=views.ErrorAnswer).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = response.body[:200].decode("utf-8", "replace").strip()
        if response.status == 401 and not text:
            text = "The Functions host asks for a key of the app, or for another one: set MILLSTREAM_FUNCTIONS_KEY."
        view = views.ErrorView(code=f"Http{response.status}", message=text or f"{request} was answered with no words.")
    error: MillstreamError
    if view.code == InvalidDefinition.code and view.problems:
        error = InvalidDefinition([_problem(problem) for problem in view.problems])
    else:
        kind = _BY_STATUS.get(response.status, UserError if response.status < 500 else ServiceFault)
        error = kind(view.message, field=view.field)
        error.code = view.code
    error.status = response.status
    error.add_note(f"{request} -> {response.status} {view.code}" + (f", field {view.field}" if view.field else ""))
    return error


def _problem(given: Mapping[str, str]) -> Problem:
    known = {name: given.get(name, "") for name in ("code", "field", "message", "fix")}
    return Problem(**known, severity=given.get("severity", "error"))


def _decoded(response: Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ServiceFault(
            f"The service's answer was not understood ({error}). Is the URL that of Millstream?"
        ) from error


def _flag(value: bool) -> str | None:
    return "true" if value else None


def _owner(run_id: str, step_id: str) -> str:
    """The path of a step, or, with "" for it, of the run."""
    return f"runs/{_name(run_id)}" + (f"/steps/{_name(step_id)}" if step_id else "")


def _name(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")
