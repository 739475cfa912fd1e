"""Shapes that several routes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from orchestrator.core.errors import Problem
from orchestrator.files import Signed

Limit = Annotated[int, Meta(ge=1, le=1000, description="The most to list.")]
Continuation = Annotated[str | None, Meta(description="Asks for the next page; null: this was the last one.")]


def text(description: str, pattern: str = "", *, longest: int = 0) -> Meta:
    """Describes a text that a rule of `orchestrator.core.names` checks: its complaints are better than a decoder's."""
    limits: dict[str, Any] = {"minLength": 1} if pattern else {}
    if pattern:
        limits["pattern"] = pattern
    if longest:
        limits["maxLength"] = longest
    return Meta(description=description, extra_json_schema=limits)


ExperimentName = Annotated[
    str, text("Letters, digits, - and _, the first a letter or digit.", "^[A-Za-z0-9][A-Za-z0-9_-]*$", longest=255)
]
RunId = Annotated[
    str, text("Letters, digits, - and _, the first a letter or digit.", "^[A-Za-z0-9][A-Za-z0-9_-]*$", longest=128)
]
Source = Annotated[str, Meta(max_length=100, description='Who asks: "sdk", "http" ...')]

RUN_ID = "3f0c1f1c-0a34-5c41-9a55-2f6d2a9f6f11"
PIPELINE_ID = "8c5e1d84-52a7-5b67-8a3f-0d6f9a0f1c22"


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What callers send: a field that is not known is an error, not a silence."""


class PageQuery(Strict, frozen=True, kw_only=True):
    limit: Limit = 100
    continuation: Annotated[str, Meta(description="From the answer to the page before.")] = ""


class FinishTarget(msgspec.Struct, frozen=True, kw_only=True):
    """PUT with `&comp=rename` at the end of the URL, and these headers: the file gets its name."""

    url: str
    headers: dict[str, str]


class UploadTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Send the bytes with this method, URL and headers before `expires_at` (epoch seconds). No token is needed.

    `finish`, of a file in a share: what is to be done when it is whole.
    """

    url: str
    headers: dict[str, str]
    expires_at: float
    method: str = "PUT"
    finish: FinishTarget | None = None


def upload_target(signed: Signed | None) -> UploadTarget | None:
    if signed is None:
        return None
    finish = None
    if signed.finish is not None:
        finish = FinishTarget(url=signed.finish.url, headers=dict(signed.finish.headers))
    return UploadTarget(url=signed.url, headers=dict(signed.headers), expires_at=signed.expires_at, finish=finish)


def texts(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Warnings as sentences."""
    return tuple(str(problem) for problem in problems)


def example_definition() -> dict[str, Any]:
    """A pipeline of two steps, for the API document."""
    snapshot = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    prepare = {
        "id": "prepare",
        "name": "prepare",
        "kind": "python_script",
        "snapshot": snapshot,
        "settings": {"script": "prepare.py"},
        "arguments": [{"kind": "literal", "value": "--out"}, {"kind": "output", "name": "clean"}],
        "outputs": [{"name": "clean"}],
    }
    train = {
        "id": "train",
        "name": "train",
        "kind": "python_script",
        "snapshot": snapshot,
        "settings": {"script": "train.py"},
        "arguments": [{"kind": "input", "name": "data"}, {"kind": "parameter", "name": "reg_rate"}],
        "inputs": [{"name": "data", "source": {"kind": "step", "step": "prepare", "output": "clean"}}],
    }
    return {
        "schema": "millstream/pipeline/1",
        "name": "diabetes",
        "parameters": [{"name": "reg_rate", "type": "float", "default": 0.1}],
        "steps": [prepare, train],
    }


__all__ = [
    "PIPELINE_ID",
    "RUN_ID",
    "Continuation",
    "Limit",
    "PageQuery",
    "Strict",
    "UploadTarget",
    "example_definition",
    "texts",
    "upload_target",
]
