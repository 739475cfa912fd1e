"""Making an environment with uv, in a process of its own, which ends with the step or the worker."""

from __future__ import annotations

import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.core.environments.packages import Packages
from orchestrator.core.environments.requirement import is_pinned, redacted
from steps import execution, uv_program
from steps.failures import DiskFull, EnvironmentFailed, EnvironmentImpossible
from steps.fork_server import Command, ForkServer
from steps.log import StepLog
from steps.settings import VenvSettings
from steps.stop import Stop
from steps.venvs import UV_CACHE, Venvs
from steps.workdir import remove_tree

CONFIGURATION: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "HOME", "NETRC", "PATH")
_LEFT_OUT: Final = ("UV_CACHE_DIR", "UV_PYTHON", "UV_PROJECT", "UV_SYSTEM", "UV_TARGET", "UV_PREFIX", "UV_WORKING")
_MOST_WORDS: Final = 3000
_MOST_HEARD: Final = 64 * 1024
_GRACE: Final = 1.0
_NO_ROOM: Final = re.compile(r"No space left|os error 28")


def configuration(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the worker's own variables tells uv, and pip, of indexes, proxies and certificates."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in CONFIGURATION
        or name in uv_program.PIP
        or name.startswith(("SSL_CERT_", "XDG_CONFIG_"))
        or (name.startswith("UV_") and not name.startswith(_LEFT_OUT))
    }


class _Heard:
    """What uv says, kept until it is known what it means; some of it, if it is very much."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        self._data += data
        del self._data[:-_MOST_HEARD]

    def note(self, text: str) -> None:
        del text

    def wait(self) -> float | None:
        return None

    def full(self) -> bool:
        return False

    def flush(self) -> bool:
        return True

    def text(self) -> str:
        """Without the credentials of URLs, and without what it says in any case."""
        lines = redacted(self._data.decode("utf-8", "replace")).splitlines()
        return "\n".join(line for line in lines if not line.startswith("Using Python ")).strip()


class _Nobody:
    """Looks at nothing, once an hour."""

    def wait(self) -> float:
        return 3600.0

    def look(self) -> None:
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes environments for one attempt of a step. `python`: the interpreter that they get. `venvs`: where they are.
    `until`: when it must be done, by `time.monotonic`.
    """

    python: str
    venvs: Venvs
    settings: VenvSettings
    server: ForkServer
    log: StepLog
    stop: Stop
    until: float = math.inf

    def make(self, place: Path, packages: Packages, runtime: Sequence[str]) -> None:
        """Make `place`, which is not there yet. Raises EnvironmentImpossible, EnvironmentFailed, DiskFull, Stopped."""
        with self._uv() as uv:
            code, words = self._run(uv, "venv", "--relocatable", "--python", self.python, str(place))
            if code:
                raise self._failure(words)
            wanted = place / "requirements.in"
            wanted.write_text("\n".join([*packages.requirements, *runtime, ""]), encoding="utf-8")
            self._install(uv, place, wanted, packages)

    @contextmanager
    def _uv(self) -> Iterator[str]:
        """The path of a uv, which stays for as long as the block runs."""
        named = self.settings.uv
        if named is not None:
            if shutil.which(named) is None:
                raise EnvironmentFailed(f"MILLSTREAM_UV names {named}, which is no program on this node.")
            yield str(named)
            return
        found = uv_program.installed()
        if found is not None:
            yield found
            return
        key = uv_program.key(uv_program.PINNED)
        with self.venvs.using(key, self._bring, self._wait, program=uv_program.PROGRAM) as brought:
            if brought.made_in is not None:
                self.log.note(f"Environment: uv, which makes it, was brought in {brought.made_in:.1f} s.")
            yield str(brought.programs / uv_program.PROGRAM)

    def _bring(self, place: Path) -> None:
        """Make `place`, with uv in it."""
        wheels = place / "wheels"
        wheels.mkdir(parents=True)
        command = uv_program.download(self.python, uv_program.PINNED, wheels)
        if command is None:
            raise EnvironmentFailed(f"This node has no uv, which makes environments, and no pip. {uv_program.ADVICE}")
        more = {**uv_program.variables(self.settings.configuration), "TMPDIR": str(wheels)}
        code, words = self._run(*command, variables=more)
        if code:
            self.log.write(f"{words}\n".encode())
            if _NO_ROOM.search(words):
                raise DiskFull(f"uv, which makes environments, has no room on the disk of this node: {_cut(words)}")
            raise EnvironmentFailed(
                f"uv, which makes environments, was not brought: {_cut(words)}\n{uv_program.ADVICE}"
            )
        try:
            uv_program.unpack(wheels, place)
        except OSError as error:
            raise DiskFull(f"uv, which makes environments, cannot be kept on this node: {error}") from error
        remove_tree(wheels)

    def _wait(self) -> None:
        """While another process brings uv."""
        self.stop.check()
        if time.monotonic() > self.until:
            raise EnvironmentFailed("Another step was bringing uv, which makes environments, for too long. Try again.")

    def _install(self, uv: str, place: Path, wanted: Path, packages: Packages) -> None:
        install = (uv, "pip", "install", "--python", str(place / "bin" / "python"), *packages.options)
        install += () if self.settings.sources else ("--only-binary", ":all:")
        install += ("--requirements", str(wanted))
        if is_pinned(packages.requirements) and self._run(*install, "--offline")[0] == 0:
            return
        code, words = self._run(*install)
        if not code:
            return
        failure = self._failure(words)
        if isinstance(failure, EnvironmentImpossible) or self._run(*install, "--offline")[0] != 0:
            raise failure
        self.log.note("The index of packages did not answer: the environment is made of what this node has of them.")

    def _run(self, *command: str, variables: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Exit code and words. `variables`: what the command is configured by, if it is not uv.

        Raises EnvironmentFailed when it takes too long, StartFailed, ScriptKilled, Stopped.
        """
        left = self.until - time.monotonic()
        heard = _Heard()
        order = Command(
            command=command,
            folder=self.venvs.folder,
            environment={
                "PATH": os.defpath,
                **(self.settings.configuration if variables is None else variables),
                "UV_CACHE_DIR": str(self.venvs.folder / UV_CACHE),
                "UV_PYTHON_DOWNLOADS": "never",
                "UV_NO_PROGRESS": "1",
                "NO_COLOR": "1",
            },
            timeout=max(left, 0.1),
            grace=_GRACE,
        )
        end = execution.run(self.server, order, heard, _Nobody(), self.stop)
        if end.timed_out:
            raise EnvironmentFailed(
                f"The environment was not made within {self.settings.timeout:g} s, or before the host would have ended "
                "the step. Ask for fewer packages, or raise MILLSTREAM_ENVIRONMENTS_TIMEOUT_SECONDS."
            )
        code = 1 if end.status is None else os.waitstatus_to_exitcode(end.status)
        return code, heard.text()

    def _failure(self, words: str) -> EnvironmentImpossible | EnvironmentFailed | DiskFull:
        """What uv's words mean."""
        self.log.write(f"{words}\n".encode())
        said = _cut(words)
        if _NO_ROOM.search(words):
            return DiskFull(f"The environment has no room on the disk of this node: {said}")
        if "No solution found" not in words and "Failed to parse" not in words:
            return EnvironmentFailed(
                f"The environment could not be made: {said}\nIf the index of packages did not answer, try again; the "
                "worker's own configuration of uv says which it asks."
            )
        if "Wheels are required" in words and not self.settings.sources:
            advice = "Choose a version that has a wheel, or allow builds by MILLSTREAM_ENVIRONMENTS_SOURCES."
        else:
            advice = "Change the packages that the step's environment asks for, or their versions."
        return EnvironmentImpossible(f"The packages cannot be installed together: {said}\n{advice}")


def _cut(words: str) -> str:
    return words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]} ..."
