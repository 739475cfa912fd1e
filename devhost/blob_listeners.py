"""The blob side of an app put together: pattern, internal queue, scanner and webhook."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from devhost.blob_messages import POISON_QUEUE, BlobFunction, BlobQueue
from devhost.blob_pattern import compile_blob_pattern
from devhost.blob_receipts import Receipts
from devhost.blob_scanner import BlobScanner
from devhost.console import Console
from devhost.hostjson import BlobOptions
from devhost.index import DEFAULT_CONNECTION, BlobTrigger, FunctionSpec
from devhost.lease import SingletonLease
from devhost.queue_listener import QueueListener, QueuePolicy, QueueSource
from devhost.renewal import Renewer
from devhost.runner import Runner
from devhost.settings import Knobs
from devhost.storage import Storage

_PARALLEL_PER_CORE = 8
_MAX_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobParts:
    """What was put together. ``scanner`` is None when no function is fed by scanning."""

    functions: dict[str, BlobFunction]
    queue: BlobQueue
    listener: QueueListener
    scanner: BlobScanner | None


def blob_functions(specs: Sequence[FunctionSpec], storage: Storage) -> dict[str, BlobFunction]:
    """The blob-triggered functions that are not disabled, by id.

    Raises:
        ConfigError: a path cannot be read, or a connection is not set.
    """
    found: dict[str, BlobFunction] = {}
    for spec in specs:
        trigger = spec.trigger
        if isinstance(trigger, BlobTrigger) and not spec.disabled:
            one = BlobFunction(
                spec=spec,
                trigger=trigger,
                pattern=compile_blob_pattern(trigger.path, where=f"function {spec.name}"),
                blobs=storage.blobs(trigger.connection),
                account=storage.account(trigger.connection).name,
            )
            found[one.id] = one
    return found


def build_blobs(
    functions: dict[str, BlobFunction],
    *,
    options: BlobOptions,
    knobs: Knobs,
    max_poll: float,
    storage: Storage,
    runner: Runner,
    renewer: Renewer,
    console: Console,
    host_id: str,
) -> BlobParts:
    """Put the parts together; nothing is started."""
    queues = storage.queues(DEFAULT_CONNECTION)
    queue = BlobQueue(queues, host_id, functions, runner, console, lambda: listener.wake())
    source = QueueSource(queues=queues, name=queue.name, poison=POISON_QUEUE)
    listener = QueueListener(source, blob_policy(options, knobs, max_poll), queue, renewer, console)
    scanned = [one for one in functions.values() if not one.trigger.event_grid or knobs.eventgrid_polling]
    scanner = None
    if scanned:
        host_blobs = storage.blobs(DEFAULT_CONNECTION)
        lease = SingletonLease(
            host_blobs,
            host_id,
            "WebJobs.Internal.Blobs.Listener",
            seconds=knobs.blob_lock_seconds,
            retry_seconds=knobs.lock_retry_seconds,
            break_dead=bool(knobs.break_dead_locks),
            console=console,
        )
        receipts = Receipts(host_blobs, host_id, queue)
        scanner = BlobScanner(scanned, receipts, host_blobs, host_id, lease, knobs.blob_scan_seconds, console)
    return BlobParts(functions=functions, queue=queue, listener=listener, scanner=scanner)


def blob_policy(options: BlobOptions, knobs: Knobs, max_poll: float) -> QueuePolicy:
    """How the internal queue is read: maxDegreeOfParallelism (8 per core) split into a batch and a threshold."""
    degree = options.max_degree_of_parallelism or _PARALLEL_PER_CORE * (os.cpu_count() or 1)
    batch = min(_MAX_BATCH, degree // 2 + 1)
    return QueuePolicy(
        batch_size=batch,
        threshold=max(0, degree - batch),
        max_dequeue_count=options.poison_threshold,
        failure_delay=0,
        lease=knobs.lease,
        max_poll=max_poll,
    )
