"""What a data handle or a parameter looks like inside a text, and how it is found there again.

A handle stands for something that is known only when the step runs. v1 lets `"--in=" + str(handle)` through, and the
script finds a variable's name where it expected a path. Here the text of a handle is noticed when the step is made, and
the argument becomes one of several parts.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

from orchestrator.core.names import variable_of

_TOKEN = re.compile(r"\$(?:AZUREML_DATAREFERENCE|AML_PARAMETER)_\w+")
_MOST = 4096
_seen: OrderedDict[str, Any] = OrderedDict()
"""Which handle was last written as this text. Few ever are."""


def data_variable(name: str) -> str:
    """The environment variable in which a script finds the path of a port (azureml-v1)."""
    return f"AZUREML_DATAREFERENCE_{name}"


def data_token(name: str, handle: Any) -> str:
    return _remembered(f"${data_variable(name)}", handle)


def parameter_token(name: str, handle: Any) -> str:
    return _remembered(f"${variable_of(name)}", handle)


def _remembered(token: str, handle: Any) -> str:
    _seen[token] = handle
    _seen.move_to_end(token)
    if len(_seen) > _MOST:
        _seen.popitem(last=False)
    return token


def parts_of(text: str, where: str) -> list[Any]:
    """The texts and handles that a text is made of. Raises ValueError for what looks like a handle and is none."""
    parts: list[Any] = []
    at = 0
    for found in _TOKEN.finditer(text):
        token = _longest(found[0])
        if token is None:
            raise ValueError(
                f"{where}: {text!r} has {found[0]} inside a text, and nothing is known by that name. Give the handle "
                "itself as an argument of its own."
            )
        parts += [text[at : found.start()], _seen[token]]
        at = found.start() + len(token)
    parts.append(text[at:])
    return [part for part in parts if not isinstance(part, str) or part]


def _longest(found: str) -> str | None:
    """The longest beginning of what was found that is a token: `\\w` may go on after it."""
    return next((found[:end] for end in range(len(found), 0, -1) if found[:end] in _seen), None)


def refuse_tokens(text: str, where: str) -> str:
    """The text itself. Raises ValueError if a handle was made part of it."""
    if found := _TOKEN.search(text):
        raise ValueError(f"{where}: {text!r} has {found[0]} inside a text, where it is not replaced.")
    return text
