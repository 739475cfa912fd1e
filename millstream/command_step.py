"""v1's CommandStep: a command line as a step."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.parameter import PipelineParameter
from millstream.script_run_config import ScriptRunConfig
from millstream.steps import PipelineStep
from millstream.tokens import parts_of
from orchestrator.core.errors import Problem
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy


class CommandStep(PipelineStep):
    """Runs `command` in a copy of `source_directory`.

    A list is a program and its arguments, run without a shell; as in v1, its first element may be several words. A text
    is run by the shell (bash, or else sh); handles in it, as in f"wc -l {data}", are given to the shell as values,
    which it does not read again: a value is one word, whatever is in it.

    `runconfig` may be a ScriptRunConfig, whose command, source_directory and compute are taken where they are not
    given. `runconfig_pipeline_params` mean nothing. Beside v1's arguments: those of PythonScriptStep.
    """

    kind = "command"

    def __init__(
        self,
        command: str | Sequence[Any] | None = None,
        name: str | None = None,
        compute_target: Any = None,
        runconfig: Any = None,
        runconfig_pipeline_params: Mapping[str, Any] | None = None,
        inputs: Any = None,
        outputs: Any = None,
        params: Mapping[str, Any] | None = None,
        source_directory: str | Path | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        del runconfig_pipeline_params
        refuse_unknown(CommandStep.__init__, unknown)
        if isinstance(runconfig, ScriptRunConfig):
            command = command or runconfig.command
            source_directory = source_directory or runconfig.source_directory
            runconfig = runconfig.run_config
        command = command or getattr(runconfig, "command", None)
        if not command:
            raise ValueError("CommandStep needs a command: a text, or a list of a program and its arguments.")
        self.command = command
        self.shell, arguments = _shell(command) if isinstance(command, str) else ("", _words(command))
        super().__init__(
            name or _name(command),
            inputs=inputs,
            outputs=outputs,
            arguments=arguments,
            compute_target=compute_target,
            params=params,
            runconfig=runconfig,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
            source_files=source_files,
        )

    @property
    def settings(self) -> dict[str, Any]:
        made = {"shell": self.shell, "environment": self.wishes}
        return {name: value for name, value in made.items() if value}

    @property
    def needs_snapshot(self) -> bool:
        """As in v1 it runs from a source folder, by default the current one."""
        return True

    def source_problem(self, folder: Path) -> Problem | None:
        if folder.is_dir():
            return None
        fix = "Give the step a source_directory that is there."
        return Problem("MissingScript", f"step {shown(self.name)}", f"There is no folder {folder}.", fix)


def _words(command: Sequence[Any]) -> list[Any]:
    first, *rest = command
    return [*(shlex.split(first) if isinstance(first, str) else [first]), *rest]


def _name(command: str | Sequence[Any]) -> str:
    first = command if isinstance(command, str) else command[0]
    word = first.split()[0] if isinstance(first, str) and first.split() else "command"
    return f"CommandStep_{Path(word).name or word}"[:255]


def _shell(command: str) -> tuple[str, list[Any]]:
    """The text for a shell, with "${1}", "${2}" ... in place of handles, and the handles."""
    handles: list[Any] = []
    text = quote = ""
    for part in parts_of(command, "CommandStep, command"):
        if isinstance(part, str):
            text += part
            quote = _quote_after(part, quote)
        else:
            handles.append(part)
            text += _REFERENCES[quote].format(len(handles))
    return text, handles


_REFERENCES = {"": '"${{{}}}"', '"': "${{{}}}", "'": "'\"${{{}}}\"'"}
"""How the shell is told of a value, outside of quotes and inside of each kind."""


def _quote_after(text: str, quote: str) -> str:
    """Which quotes are open after the text, if `quote` was before it."""
    characters = iter(text)
    for character in characters:
        if character == "\\" and quote != "'":
            next(characters, None)
        elif not quote and character in "'\"":
            quote = character
        elif character == quote:
            quote = ""
    return quote
