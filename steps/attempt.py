"""One attempt of a step: prepare, run, collect."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from orchestrator.core.job import Job
from orchestrator.core.result import DatasetRegistration, Deferral, Expansion, File, ReadData, StepError, StepResult
from steps import changes, environment, given, kinds, looking, outputs, spool
from steps.brought import Brought
from steps.composite import Composite, CompositeContext
from steps.context import StepContext
from steps.datastores import container_of
from steps.failures import StepFailure, node_failure
from steps.fork_server import ForkServer
from steps.inputs import Bringer
from steps.kinds import IN_STORAGE
from steps.live_metrics import LiveMetrics
from steps.log import StepLog
from steps.outputs import Found
from steps.progress import Progress
from steps.remote.elsewhere import Elsewhere, elsewhere
from steps.settings import WorkerSettings
from steps.snapshots import Snapshots
from steps.spool import Reported
from steps.step_environment import Environments
from steps.stop import Stop
from steps.store import Store, StoreFailed
from steps.transfer import Pool, Push, push
from steps.venvs import Venv
from steps.workdir import Folders, WorkFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What all attempts of a worker share. environment: what their processes have in common."""

    settings: WorkerSettings
    store: Store
    work: WorkFolder
    pool: Pool
    snapshots: Snapshots
    bringer: Bringer
    server: ForkServer
    environment: Mapping[str, str]
    environments: Environments

    def close(self) -> None:
        self.server.close()
        self.pool.close()
        if self.pool.objects is not None:
            self.pool.objects.close()
        self.work.close()


class Attempt:
    """Performs one job, once."""

    def __init__(self, equipment: Equipment, job: Job, stop: Stop) -> None:
        settings = equipment.settings
        self._equipment = equipment
        self._job = job
        self._stop = stop
        self._before = job.deferred.before if job.deferred is not None else StepResult()
        self._log = StepLog(
            equipment.store,
            settings.container,
            self._before.log or f"{job.prefix}/log.txt",
            limit=settings.log_bytes,
            stored=self._before.log_bytes,
        )
        self._begun = time.monotonic()
        self._started_at = time.time()
        self._context: StepContext | None = None
        self._failure: StepFailure | None = None
        self._reported = Reported()
        self._found: list[Found] = []
        self._artifacts: list[Push] = []
        self._stored: list[File] | None = None
        self._registrations: tuple[DatasetRegistration, ...] = ()
        self._composed: CompositeContext | None = None
        self._inputs_seen: dict[str, ReadData] = {}
        self._expansion: Expansion | None = None
        self._deferral: Deferral | None = None

    def perform(self) -> StepResult:
        """Raises Stopped."""
        with self._failing(), self._folders() as folders:
            with self._failing(), self._environment() as venv:
                self._work(folders, venv)
            self._look_once_more()
            with self._failing():
                self._collect(folders)
            with self._failing():
                self._store_all()
        if self._deferral is None:
            self._log.finish()
        return self._result()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """A failure in the block becomes the attempt's, unless it has one; the block is left."""
        try:
            yield
        except StepFailure as failure:
            self._failure = self._failure or failure
        except OSError as error:
            self._failure = self._failure or node_failure(error, "The step's folders could not be used")

    @contextmanager
    def _folders(self) -> Iterator[Folders]:
        work = self._equipment.work
        folders = work.make(f"{self._job.run}-{self._job.step.id}")
        try:
            yield folders
        finally:
            self._leave_to_node(folders)
            work.remove(folders)

    def _leave_to_node(self, folders: Folders) -> None:
        """What was read and written need not be brought to the next step on this node."""
        own = self._equipment
        if own.pool.objects is None or own.settings.keep_work_dirs:
            return
        own.pool.objects.take_back(folders.root)
        outputs = [item for found in self._found for item in found.pushes]
        for item, file in zip(outputs, self._stored or (), strict=False):
            own.pool.objects.take(item.source, file)

    def _environment(self) -> AbstractContextManager[Venv | None]:
        return self._equipment.environments.entered(self._job.step, self._log, self._stop)

    def _work(self, folders: Folders, venv: Venv | None) -> None:
        """Raises StepFailure, Stopped, OSError."""
        own = self._equipment
        step = self._job.step
        if (composite := kinds.composite(step.kind)) is not None:
            self._compose(composite, folders)
            return
        kind, stays, begins = kinds.kind(step.kind), step.kind in IN_STORAGE, not looking.at_work(self._job)
        if step.snapshot is not None and begins:
            own.snapshots.copy_to(step.snapshot, folders.code)
        if begins:
            changes.bring(self._job, folders, own.store, own.settings.container)
        away = elsewhere(step, own.settings.attachments, own.store, own.settings.datastores)
        inputs = self._bring(folders, away) if begins and not stays else {}
        paths = {} if stays else {port.name: outputs.place(port, folders) for port in step.outputs}
        for name in outputs.ARTIFACT_FOLDERS:
            (folders.code / name).mkdir(exist_ok=True)
        self._context = StepContext(
            job=self._job,
            folders=folders,
            settings=own.settings,
            server=own.server,
            common_environment=own.environment,
            log=self._log,
            live_metrics=LiveMetrics(
                own.store,
                own.settings.container,
                self._job.prefix,
                folders.spool,
                limit=own.settings.spool_bytes,
            ),
            stop=self._stop,
            store=own.store,
            pool=own.pool,
            inputs=inputs,
            outputs=paths,
            elsewhere=away,
            deferred=self._job.deferred,
            venv=venv,
            begun=self._begun,
        )
        said = kind.call_off(self._context) if self._job.called_off else kind.run(self._context)
        if said is not None or self._job.called_off:
            self._deferral = None if said is None else looking.deferral(said)
            return
        if stays:
            self._found = self._context.found
            return
        linked = any(port.mode == environment.LINK for port in step.outputs)
        links = spool.read(folders.spool, limit=own.settings.spool_bytes).links if linked else {}
        self._found = outputs.find_outputs(self._job, paths, folders, own.settings.datastores, self._log, links)

    def _look_once_more(self) -> None:
        """A look that failed may be repeated; one that only ends the work of a service fails nothing."""
        if self._failure is None:
            return
        self._deferral = looking.once_more(self._job, self._failure, time.monotonic() - self._begun)
        if self._deferral is None and self._context is not None and looking.gives_up(self._job, self._failure):
            with suppress(StepFailure):
                kinds.kind(self._job.step.kind).call_off(self._context)
        if self._deferral is not None or self._job.called_off:
            self._log.note(f"{self._failure.message} {'This is tried again.' if self._deferral else ''}".rstrip())
            self._failure = None

    def _compose(self, composite: Composite, folders: Folders) -> None:
        """Expand a step that becomes many, or join its children. Raises StepFailure, Stopped, OSError."""
        own, children = self._equipment, self._job.children
        if children is not None and children.expanded.log is not None:
            self._repeat_log(children.expanded.log)
        paths = {port.name: outputs.place(port, folders) for port in self._job.step.outputs}
        context = CompositeContext(
            job=self._job,
            settings=own.settings,
            log=self._log,
            stop=self._stop,
            store=own.store,
            pool=own.pool,
            outputs=paths,
            scratch=folders.root / "datasets",
            kept=folders.code,
        )
        self._composed = context
        expansion = composite.expand(context) if children is None else composite.join(context, children)
        self._inputs_seen = context.was_read()
        self._stop.check()
        if expansion is not None:
            self._expansion = context.stored(expansion)
            return
        datastores = own.settings.datastores
        found = outputs.of_children(self._job, paths, folders, datastores, self._log, context.adopted, context.replaced)
        for output in found:
            container = container_of(datastores, output.port.datastore)
            self._found.append(outputs.owned(self._job, output, container, own.store, own.pool, self._stop))

    def _repeat_log(self, name: str) -> None:
        """What was logged when the step was expanded comes first."""
        sink = io.BytesIO()
        try:
            self._equipment.store.download(self._equipment.settings.container, name, sink)
        except StoreFailed as error:
            self._log.note(f"The log of the step's first part could not be read: {error}")
        else:
            self._log.write(sink.getvalue())

    def _bring(self, folders: Folders, away: Elsewhere | None) -> dict[str, Brought]:
        """The inputs: on this node, or, for work that is done elsewhere, where they lie."""
        if away is not None:
            return away.places.inputs(self._job)
        return self._equipment.bringer.bring(self._job, folders, self._log, self._stop)

    def _collect(self, folders: Folders) -> None:
        """Read what the script reported, and find its artifacts, however it ended."""
        settings = self._equipment.settings
        self._reported = spool.read(folders.spool, limit=settings.spool_bytes)
        for complaint in self._reported.complaints:
            self._log.note(complaint)
        brought = given.bring(self._job, self._reported.given, folders, self._equipment.store, settings, self._log)
        self._artifacts = outputs.find_artifacts(
            self._artifact_prefix, settings.container, folders, [*brought, *self._reported.files], self._log
        )

    def _store_all(self) -> None:
        """The end of the log, outputs and artifacts travel together. Raises StorageFailed, Stopped, OSError."""
        pushes = [item for found in self._found for item in found.pushes] + self._artifacts

        progress = Progress(self._log, "Outputs", len(pushes))

        def store(item: Push | None) -> File | None:
            if item is not None:
                return push(self._equipment.store, item, self._stop, progress)
            if self._deferral is None:
                self._log.finish()
            else:
                self._log.pause()
            return None

        files = self._equipment.pool.map(store, [None, *pushes])
        progress.end()
        self._stored = [file for file in files if file is not None]
        if self._failure is None:
            own = self._equipment
            outputs.copy_to_destinations(
                self._job, self._found, own.settings.datastores, own.store, own.pool, self._stop
            )
            self._registrations = outputs.save_datasets(self._found, own.store, own.settings.container)

    @property
    def _artifact_prefix(self) -> str:
        return f"{self._job.prefix}/artifacts"

    def _result(self) -> StepResult:
        files = iter(self._stored or ())
        produced = {found.name: found.data(list(islice(files, len(found.pushes)))) for found in self._found}
        artifacts = tuple(files)
        failure, context, composed = self._failure, self._context, self._composed
        log, log_bytes = self._log.stored
        return StepResult(
            outputs=produced if failure is None else {},
            read=self._read(),
            artifacts=artifacts,
            artifact_prefix=self._artifact_prefix if artifacts else "",
            metrics=(*self._before.metrics, *self._reported.metrics, *(composed.metrics if composed else ())),
            tags=self._before.tags | self._reported.tags | (composed.tags if composed else {}),
            properties=self._reported.properties | (composed.properties if composed else {}) | self._before.properties,
            models=tuple(self._reported.models),
            datasets=self._registrations if failure is None else (),
            error=self._error(),
            retryable=failure is None or failure.retryable,
            exit_code=failure.exit_code if failure else (context.exit_code if context else None),
            log=log,
            log_bytes=log_bytes,
            started_at=self._before.started_at or self._started_at,
            ended_at=time.time(),
            bare_seconds=context.bare_seconds if context else 0.0,
            expansion=self._expansion if failure is None else None,
            deferral=self._deferral if failure is None else None,
        )

    def _read(self) -> dict[str, ReadData]:
        if self._composed is not None:
            return self._inputs_seen
        if looking.at_work(self._job):
            return self._before.read
        return {name: it.read for name, it in self._context.inputs.items()} if self._context else {}

    def _error(self) -> StepError | None:
        failure = self._failure
        if failure is None:
            return None
        return StepError(code=failure.code, message=failure.message, log_tail=self._log.tail())
