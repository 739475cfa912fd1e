"""What must be looked up to tell whether a step's work has been done before: effects, carried out by the worker's room.

They read and never write. What cannot be told is not guessed: an input of unknown content makes its step run.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from orchestrator.core.definition import Step
from orchestrator.core.fingerprint import Content
from orchestrator.core.job import InputData
from orchestrator.core.result import OutputData
from orchestrator.ports import Effect


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """`contents`: port -> what lies there now. `environment`: the name of what the step would run in; `packages`: those
    it asks for there, for people.
    """

    contents: Mapping[str, Content]
    environment: str
    packages: tuple[str, ...] = ()


class Identify(Effect[Identified], msgspec.Struct, frozen=True, kw_only=True):
    """Look at the data behind inputs that no step of the run has made (port -> what stands behind it).

    Never fails: what cannot be reached, or has no version, is `unknown`.
    """

    step: Step
    inputs: Mapping[str, InputData]


class ReadText(Effect[str | None], msgspec.Struct, frozen=True, kw_only=True):
    """The text of a committed file: of `output` itself, or at `path` in it. None: there is none, it is longer than
    `limit` bytes, or it is no UTF-8.

    Raises Unavailable when storage does not say.
    """

    output: OutputData
    path: str
    limit: int


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs that step run `owner` ("<run>_<step>") has committed, by port."""

    owner: str
    outputs: Mapping[str, OutputData]


class Absent(Effect[tuple[str, ...]], msgspec.Struct, frozen=True, kw_only=True):
    """For each of `made` what is no longer there as it was committed, for people; "": all of it is.

    Raises Unavailable when storage does not say.
    """

    made: tuple[Made, ...]
