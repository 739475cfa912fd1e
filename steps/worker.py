"""The step worker: executes one attempt of a step, from its job to its result.

What it cannot promise: a script runs as the worker's own operating-system user. It gets none of the worker's variables,
its parents' environments are clean, and it inherits no descriptor. But that user can read /proc/<worker>/environ, the
caches, and other attempts' folders, and can signal the worker, unless the system forbids it; only a user or a container
of its own would.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator import logs
from orchestrator.core.job import Job
from orchestrator.engine.lease import GivenBack, Lease, Performed
from steps import environment, runtime_path
from steps.attempt import Attempt, Equipment
from steps.failures import Stopped
from steps.fork_server import ForkServer
from steps.heartbeat import Beater
from steps.identify import Identifier, Registry
from steps.inputs import Bringer
from steps.objects import Objects
from steps.settings import WorkerSettings
from steps.snapshots import Snapshots
from steps.step_environment import Environments
from steps.stop import Stop, StopReason
from steps.store import Store
from steps.transfer import Pool
from steps.venvs import Venvs
from steps.workdir import WorkFolder


class StepWorker:
    """Thread-safe: as many attempts at once as there are threads that call `perform`.

    beat: one heartbeat of a lease; False when it is lost. cancelled: whether a run is. Both may raise MillstreamError.
    """

    def __init__(
        self,
        storage: Store,
        settings: WorkerSettings,
        beat: Callable[[Lease], bool],
        cancelled: Callable[[str], bool],
    ) -> None:
        self._lock = threading.Lock()
        self._stops: set[Stop] = set()
        self._ending = False
        self.begun = 0
        """How many attempts were ever begun here."""
        self._beater = Beater(
            beat,
            cancelled,
            heartbeat_seconds=settings.heartbeat_seconds,
            cancel_check_seconds=settings.cancel_check_seconds,
        )
        cache = settings.cache_dir
        common = environment.base(settings, settings.runtime_path or runtime_path.prepare(cache / "runtime"))
        pool = Pool(settings.transfer_threads, Objects(cache / "objects", limit=settings.data_cache_bytes))
        server = ForkServer(settings.python, common)
        venvs = Venvs(settings.venvs.folder or cache / "environments", most_bytes=settings.venvs.most_bytes)
        self._equipment = Equipment(
            settings=settings,
            store=storage,
            work=WorkFolder(cache / "work", keep=settings.keep_work_dirs),
            pool=pool,
            snapshots=Snapshots(
                storage,
                settings.container,
                cache / "snapshots",
                cache_bytes=settings.snapshot_cache_bytes,
                most_bytes=settings.snapshot_bytes,
                most_files=settings.snapshot_files,
            ),
            bringer=Bringer(store=storage, pool=pool, datastores=settings.datastores, web_bytes=settings.web_bytes),
            server=server,
            environment=common,
            environments=Environments(settings=settings, server=server, venvs=venvs),
        )

    def serve(self, world: Registry) -> None:
        """Tell `world` what inputs are and whether outputs are there, and start what scripts are started from, so that
        the first one need not wait for it.
        """
        own = self._equipment
        Identifier(own.store, own.pool, own.settings, own.settings.cache_dir / "identify").install(world)
        own.server.warm()

    def perform(self, job: Job, lease: Lease) -> Performed:
        """Execute the attempt. None: the lease is lost or the run cancelled, and nothing is to be published. GivenBack:
        `stop` has broken it off.

        When this returns, no process of the attempt is left and no heartbeat is under way; its folder goes soon after.
        """
        stop = Stop()
        known = logs.about(run=job.run, step=job.step.id, attempt=job.attempt, experiment=job.experiment)
        beating = self._beater.watching(lease, stop, heeds_cancel=not job.called_off)
        with known, self._stoppable(stop), beating:
            try:
                stop.check()
                result: Performed = Attempt(self._equipment, job, stop).perform()
            except Stopped:
                result = None
        if stop.reason is StopReason.WORKER_ENDING:
            return GivenBack()
        return None if stop.reason is not None else result

    def stop(self) -> None:
        """Break off what runs, and whatever is begun from now on: the process is asked to end."""
        with self._lock:
            self._ending = True
            stops = tuple(self._stops)
        for stop in stops:
            stop.request(StopReason.WORKER_ENDING)

    @contextmanager
    def _stoppable(self, stop: Stop) -> Iterator[None]:
        with self._lock:
            self._stops.add(stop)
            self.begun += 1
            ending = self._ending
        if ending:
            stop.request(StopReason.WORKER_ENDING)
        try:
            yield
        finally:
            with self._lock:
                self._stops.discard(stop)

    def close(self) -> None:
        """No attempt may be running."""
        self._beater.close()
        self._equipment.close()
