"""What a pipeline that is a step of another reads of that step's inputs."""

from __future__ import annotations

from orchestrator.core.names import PORT


class PipelineInput:
    """The input `name` of a pipeline that is a step of another: data that is known where the step is made.

    Its steps take it among their inputs and arguments, like PipelineData. `mode` is "mount" or "download".
    """

    def __init__(self, name: str, mode: str = "mount") -> None:
        if mode not in ("mount", "download"):
            raise ValueError(f'PipelineInput {name!r}: mode must be "mount" or "download", not {mode!r}.')
        self.name = PORT.check(name, "name")
        self.mode = mode

    def __repr__(self) -> str:
        return f"PipelineInput({self.name!r})"
