"""Gather what decides what a step of a run makes, and tell why it is not what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.core.decision import Reason, compared
from orchestrator.core.definition import Step
from orchestrator.core.errors import Broken
from orchestrator.core.fingerprint import Content, Ingredients, committed_content, digest_of, ingredients_of
from orchestrator.core.job import InputData
from orchestrator.core.patterns import fits, is_pattern
from orchestrator.core.plan import Plan
from orchestrator.core.resolving import resolve_step
from orchestrator.core.result import StepResult
from orchestrator.core.run import RunInfo
from orchestrator.engine.identify import Identify
from orchestrator.engine.inputs import resolve
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import load_manifest
from orchestrator.ports import Task

ALL = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A step's work in a run. `reads`: input port -> the `ReadData.fingerprint` of an attempt that reads what was seen.

    `forced`: it is to be done whatever was done before. `volatile`: look again at the inputs when it is done.
    """

    ingredients: Ingredients
    fingerprint: str
    reads: Mapping[str, str]
    forced: bool
    volatile: bool

    def was_read(self, result: StepResult) -> bool:
        """Whether the attempt read what the fingerprint was made of: data may change under its hands."""
        return all(port in result.read and result.read[port].fingerprint == read for port, read in self.reads.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The step's inputs, and its work; without one, `untold` says why nothing can be said of it."""

    inputs: dict[str, InputData]
    work: Work | None
    untold: Reason | None = None


def gather(
    memory: ProcessMemory,
    plan: Plan,
    info: RunInfo,
    position: int,
    adopted: Mapping[int, StepResult] = MappingProxyType({}),
) -> Task[Gathered]:
    """Look at everything that the step depends on. Its parents must be done, or `adopted`. Raises Broken."""
    step = plan.step(position)
    inputs = yield from resolve(memory, plan, info, position, adopted)
    if not step.allow_reuse:
        return Gathered(inputs=inputs, work=None, untold=Reason(code="never", text="it does not allow reuse"))
    contents = {port: _content(data) for port, data in inputs.items() if data.files is not None}
    outside = {port: data for port, data in inputs.items() if port not in contents}
    resolved = resolve_step(step, info.parameters)
    identified = yield from Identify(step=resolved, inputs=outside)
    contents |= identified.contents
    for port, content in contents.items():
        if content.unknown:
            return Gathered(
                inputs=inputs, work=None, untold=Reason(code="unknown", text=f"input {port}: {content.unknown}")
            )
    code = yield from _code(memory, resolved)
    ingredients = ingredients_of(
        step,
        parameters=info.parameters,
        code=code,
        environment=identified.environment,
        packages=identified.packages,
        contents=contents,
    )
    work = Work(
        ingredients=ingredients,
        fingerprint=ingredients.fingerprint,
        reads={port: content.read for port, content in contents.items() if content.read},
        forced=is_forced(info, step),
        volatile=any(content.volatile for content in contents.values()),
    )
    return Gathered(inputs=inputs, work=work)


def is_forced(info: RunInfo, step: Step) -> bool:
    """Whether the run asks for this step to run in any case."""
    return any(name in (ALL, step.name, step.id) for name in info.regenerate)


def reasons_for(memory: ProcessMemory, before: Ingredients | None, now: Ingredients) -> Task[tuple[Reason, ...]]:
    """What has changed. Reads the lists of source files, where these differ."""
    if before is None or before.code == now.code or not (before.snapshot and now.snapshot):
        return compared(before, now, None)
    then, files = (yield from _sums(memory, before.snapshot)), (yield from _sums(memory, now.snapshot))
    return compared(before, now, None if then is None or files is None else (then, files))


def _sums(memory: ProcessMemory, snapshot: str) -> Task[dict[str, str] | None]:
    try:
        return (yield from load_manifest(memory, snapshot))
    except Broken:
        return None


def _content(data: InputData) -> Content:
    """What an earlier step of the run has committed."""
    name = data.path.rpartition("/")[2] if data.is_file else None
    return committed_content(data.files or (), file_name=name, view=data.view)


def _code(memory: ProcessMemory, step: Step) -> Task[str]:
    """The name of the source files that count; the step is resolved. Raises Broken when the list of them is gone."""
    if step.snapshot is None or not step.source_files:
        return step.snapshot or ""
    manifest = yield from load_manifest(memory, step.snapshot)
    script = step.settings.get("script")
    return digest_of(sorted((path, sha) for path, sha in manifest.items() if path == script or _counts(path, step)))


def _counts(path: str, step: Step) -> bool:
    return any(_meant(pattern, path) for pattern in step.source_files)


def _meant(pattern: str, path: str) -> bool:
    """A pattern means what fits it; a name, that file, or all below that folder."""
    return fits(pattern, path) if is_pattern(pattern) else path == pattern or path.startswith(f"{pattern}/")
