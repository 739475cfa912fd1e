"""A compute target: where the steps that name it run, and how many of them at once.

A `function` compute is the Functions app itself: its steps go by the service's own queue. A `process` or `container`
compute has a queue of its own, and *executions* that are started for what waits there: each takes messages of that
queue, and runs their steps.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from orchestrator.core.errors import Problem
from orchestrator.core.names import shown

LONGEST_QUEUE: Final = 63
MOST_EXECUTIONS: Final = 1000
LARGEST_CPU: Final = 4.0
CPU_STEP: Final = 0.25
MEMORY_PER_CPU: Final = 2.0
"""GiB: what Container Apps give with one virtual CPU of the consumption profile."""
LONGEST_EXECUTION: Final = 7 * 24 * 3600
ENDING_SECONDS: Final = 30.0
"""A script is ended so long before its host or its execution would be."""
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-/:@]{0,254}")
_JOB = re.compile(r"[a-z](-?[a-z0-9]){1,30}")


class ComputeKind(StrEnum):
    FUNCTION = "function"
    PROCESS = "process"
    CONTAINER = "container"


class Executions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What runs the steps of a process or container compute: at most `most` executions at once.

    `timeout_seconds`: how long one may take; its script is ended half a minute before. Of containers only: `cpu` in
    virtual CPUs, `memory_gib`, the `image` ("": the service's own), and the Container Apps `job` ("": named as the
    compute).
    """

    most: int = 4
    timeout_seconds: int = 1800
    cpu: float = 0.5
    memory_gib: float = 1.0
    image: str = ""
    job: str = ""


class Compute(msgspec.Struct, frozen=True, kw_only=True):
    """`settings` is what its maker asked for, as any JSON object. `created_at` in epoch seconds."""

    name: str
    kind: str
    created_at: float
    settings: dict[str, Any] = {}
    executions: Executions | None = None

    @property
    def sizes(self) -> Executions:
        return self.executions or Executions()


def urgent_of(main: str) -> str:
    """The queue beside the service's own, for what goes ahead; `queue_of` it is that of a compute."""
    return f"{main}-urgent"


def queue_of(main: str, name: str, kind: str) -> str:
    """The queue of a compute: `main`, the service's own, or one that is named after both.

    A name that is no queue's, for its letters or its length, stands there as a sum of it.
    """
    if kind == ComputeKind.FUNCTION:
        return main
    queue = f"{main}-on-{name}"
    if len(queue) <= LONGEST_QUEUE and re.fullmatch(r"[a-z0-9](-?[a-z0-9])*", queue):
        return queue
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{main[: LONGEST_QUEUE - len(mark) - 4].rstrip('-')}-on-{mark}"


def longest_step(compute: Compute, *, function_seconds: float) -> float:
    """The seconds after which a script there is ended whatever its step says. `function_seconds`: a function's."""
    whole = function_seconds if compute.kind == ComputeKind.FUNCTION else float(compute.sizes.timeout_seconds)
    return max(1.0, whole - ENDING_SECONDS)


def problems(kind: str, sizes: Executions | None) -> Iterator[Problem]:
    """What is wrong with the sizes that a compute of this kind is to have."""
    if sizes is None:
        return
    if kind == ComputeKind.FUNCTION:
        message = "A function compute has no executions of its own."
        yield Problem("WrongCompute", "executions", message, 'Leave it out, or make the compute of kind "container".')
        return
    if not 1 <= sizes.most <= MOST_EXECUTIONS:
        message = f"{sizes.most} is no number of executions."
        yield Problem("WrongCompute", "executions.most", message, f"Use 1 to {MOST_EXECUTIONS}.")
    if not 2 * ENDING_SECONDS <= sizes.timeout_seconds <= LONGEST_EXECUTION:
        message = f"{sizes.timeout_seconds} is no time for an execution."
        fix = f"Use {2 * ENDING_SECONDS:.0f} to {LONGEST_EXECUTION} seconds."
        yield Problem("WrongCompute", "executions.timeout_seconds", message, fix)
    yield from _container(sizes) if kind == ComputeKind.CONTAINER else _process(sizes)


def _process(sizes: Executions) -> Iterator[Problem]:
    usual = Executions()
    for field in ("cpu", "memory_gib", "image", "job"):
        if getattr(sizes, field) != getattr(usual, field):
            message = f"A process compute has no {field}: its processes share the machine."
            yield Problem("WrongCompute", f"executions.{field}", message, "Leave it out.")


def _container(sizes: Executions) -> Iterator[Problem]:
    if not CPU_STEP <= sizes.cpu <= LARGEST_CPU or sizes.cpu % CPU_STEP:
        message = f"{sizes.cpu:g} is no number of CPUs of a container."
        yield Problem("WrongCompute", "executions.cpu", message, f"Use 0.25 to {LARGEST_CPU:g}, in steps of 0.25.")
    elif sizes.memory_gib != sizes.cpu * MEMORY_PER_CPU:
        message = f"{sizes.memory_gib:g} GiB do not go with {sizes.cpu:g} CPUs."
        fix = f"Use {sizes.cpu * MEMORY_PER_CPU:g}: Container Apps give {MEMORY_PER_CPU:g} GiB with each CPU."
        yield Problem("WrongCompute", "executions.memory_gib", message, fix)
    if sizes.image and not _IMAGE.fullmatch(sizes.image):
        message = f"{shown(sizes.image)} is no name of an image."
        yield Problem("WrongCompute", "executions.image", message, "Write it as registry/name:tag.")
    if sizes.job and not _JOB.fullmatch(sizes.job):
        message = f"{shown(sizes.job)} is no name of a Container Apps job."
        yield Problem("WrongCompute", "executions.job", message, "Use lower-case letters, digits and single hyphens.")


def configured(asked: Mapping[str, str | Mapping[str, Any]]) -> dict[str, Compute]:
    """The computes of the service's settings, by name. `asked`: each one's kind, or its `kind` and what `Executions`
    has. Raises ValueError.
    """
    return {name: _configured(name, {"kind": what} if isinstance(what, str) else what) for name, what in asked.items()}


def _configured(name: str, asked: Mapping[str, Any]) -> Compute:
    kind = asked.get("kind")
    if kind not in list(ComputeKind):
        raise ValueError(f"{kind!r}, of {name!r}, is no kind of compute: use {', '.join(ComputeKind)}")
    rest = {field: value for field, value in asked.items() if field != "kind"}
    try:
        sizes = msgspec.convert(rest, Executions) if rest else None
    except msgspec.ValidationError as error:
        raise ValueError(f"the sizes of {name!r} are wrong: {error}") from None
    for problem in problems(kind, sizes):
        raise ValueError(f"{problem.field.removeprefix('executions.')} of {name!r}: {problem.message} {problem.fix}")
    return Compute(name=name, kind=kind, created_at=0.0, executions=sizes)
