"""The environment that a step runs in: the worker's own, or one made of what the step asks for."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from orchestrator.core.definition import Step
from orchestrator.core.environments.packages import FOR_DATASETS, FOR_NOTEBOOKS, Packages, packages_of
from orchestrator.core.environments.spec import EnvironmentSpec
from orchestrator.core.fingerprint import digest_of
from steps.context import RESERVE_SECONDS
from steps.failures import EnvironmentFailed, InvalidStep
from steps.fork_server import ForkServer
from steps.installed import client_requirements, interpreter, packages_in
from steps.log import StepLog
from steps.settings import WorkerSettings
from steps.stop import Stop
from steps.venv_maker import Maker
from steps.venvs import Venv, Venvs

SETTING: Final = "environment"


def spec_of(step: Step) -> EnvironmentSpec:
    """What a step asks for; its settings are resolved. Raises InvalidStep."""
    try:
        return msgspec.convert(step.settings.get(SETTING) or {}, EnvironmentSpec)
    except msgspec.ValidationError as error:
        raise InvalidStep(f"settings.{SETTING}: {error}") from error


def packages_for(step: Step, spec: EnvironmentSpec) -> Packages:
    """What is to be installed. Raises InvalidStep."""
    conda, python = spec.conda, platform.python_version()
    found = packages_of(conda.conda_packages, conda.pip_lines, python=python, also=_needed(step))
    if found.faults:
        text, advice = found.faults[0]
        raise InvalidStep(f"settings.{SETTING}: {text!r} is not understood. {advice}")
    return found


def _needed(step: Step) -> tuple[str, ...]:
    """What the work of the step itself takes, whatever its script asks for."""
    rows = step.kind == "mini_batches" and bool(step.settings.get("rows"))
    datasets = rows or any(port.mode == "direct" for port in step.inputs)
    return (*(FOR_DATASETS if datasets else ()), *(FOR_NOTEBOOKS if step.kind == "notebook" else ()))


def key_of(packages: Packages) -> str:
    """The name of the environment on this node."""
    return packages.key(interpreter(), client_requirements())


def identity(step: Step, own: str) -> tuple[str, tuple[str, ...]]:
    """A name for all that a step finds installed, and its packages for people; `own` is the name of the worker's own
    environment. Raises InvalidStep.
    """
    spec = spec_of(step)
    packages = packages_for(step, spec)
    name = own if packages.own else key_of(packages)
    more = [spec.image, spec.dockerfile, spec.r.names]
    return digest_of([name, *more]) if any(more) else name, packages.requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Those of a worker's steps."""

    settings: WorkerSettings
    server: ForkServer
    venvs: Venvs

    @contextmanager
    def entered(self, step: Step, log: StepLog, stop: Stop) -> Iterator[Venv | None]:
        """What a step runs in, which stays for as long as the block runs; None: the worker's own.

        The log says which it is. Raises InvalidStep, EnvironmentImpossible, EnvironmentFailed, DiskFull, Stopped.
        """
        spec = spec_of(step)
        if spec == EnvironmentSpec():
            yield None
            return
        packages = packages_for(step, spec)
        title = f"Environment {spec.name}" if spec.name else "Environment"
        notes = [f"Environment: {note}." for note in packages.notes]
        if spec.image or spec.dockerfile:
            notes.append("Environment: its image is for computes that run containers.")
        if packages.own:
            log.note(f"{title}: no packages of Python are asked for; the step runs in the worker's own.")
            _note_all(log, notes)
            yield None
            return
        with self._venv(title, packages, log, stop) as venv:
            _note_all(log, notes)
            yield venv

    @contextmanager
    def _venv(self, title: str, packages: Packages, log: StepLog, stop: Stop) -> Iterator[Venv]:
        key, runtime = key_of(packages), client_requirements()
        title = f"{title} ({key[:12]})"
        maker = self._maker(log, stop)
        waits = iter([f"{title}: another step is making it; waiting."])

        def make(place: Path) -> None:
            log.note(f"{title}: being made of {', '.join(packages.requirements)}.")
            log.flush()
            maker.make(place, packages, runtime)

        def waiting() -> None:
            stop.check()
            for text in waits:
                log.note(text)
                log.flush()
            if time.monotonic() > maker.until:
                raise EnvironmentFailed(f"{title}: another step was making it for too long. Try again.")

        with self.venvs.using(key, make, waiting) as venv:
            count = len(packages_in(str(venv.packages)))
            how = "found" if venv.made_in is None else f"made in {venv.made_in:.1f} s"
            log.note(f"{title}: {how}; {count} packages, Python {platform.python_version()}.")
            yield venv

    def _maker(self, log: StepLog, stop: Stop) -> Maker:
        host = self.settings.function_timeout_seconds
        timeout = self.settings.venvs.timeout
        return Maker(
            python=self.settings.python,
            venvs=self.venvs,
            settings=self.settings.venvs,
            server=self.server,
            log=log,
            stop=stop,
            until=time.monotonic() + (timeout if host is None else min(timeout, host - RESERVE_SECONDS)),
        )


def _note_all(log: StepLog, notes: list[str]) -> None:
    for note in notes:
        log.note(note)
