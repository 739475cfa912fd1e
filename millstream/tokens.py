"""What a data handle or a parameter looks like inside a text, and how it is found there again.

A handle stands for something that is known only when the step runs. v1 lets `"--in=" + str(handle)` through, and the
script finds a variable's name where it expected a path. Here the text of a handle is noticed when the step is made, and
the argument becomes one of several parts.

`str()` gives v1's text, $AML_PARAMETER_x. In f-strings and concatenations it is ${AML_PARAMETER_x}, so that what
follows cannot become part of the name.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

from orchestrator.core.names import variable_of

_NAME = r"(?:AZUREML_DATAREFERENCE|AML_PARAMETER)_\w+"
_TOKEN = re.compile(rf"\${_NAME}|\$\{{{_NAME}\}}")
_MOST = 4096
_seen: OrderedDict[str, Any] = OrderedDict()
"""Which handle was last written as this text. Few ever are."""


class Token:
    """Base of handles that may be part of a text: `f"--in={handle}/x"`, `"--in=" + handle`."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if spec:
            raise ValueError(
                f"{self!r} cannot be formatted as {spec!r}: its value is known when the step runs. Format it there."
            )
        return f"${{{str(self)[1:]}}}"

    def __add__(self, other: object) -> str:
        return f"{self}{other}" if isinstance(other, (str, Token)) else NotImplemented

    def __radd__(self, other: object) -> str:
        return f"{other}{self}" if isinstance(other, str) else NotImplemented


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
        token, end = _known(found)
        if token is None:
            raise ValueError(
                f"{where}: {text!r} has {found[0]} inside a text, and nothing is known by that name. Give the handle "
                "itself as an argument of its own."
            )
        parts += [text[at : found.start()], _seen[token]]
        at = end
    parts.append(text[at:])
    return [part for part in parts if not isinstance(part, str) or part]


def _known(found: re.Match[str]) -> tuple[str | None, int]:
    """The token that was found, and where it ends. Without braces, the longest that is known: `\\w` may go on."""
    text = found[0]
    if text[1] == "{":
        token = f"${text[2:-1]}"
        return (token if token in _seen else None), found.end()
    longest = next((text[:end] for end in range(len(text), 0, -1) if text[:end] in _seen), None)
    return longest, found.start() + len(longest or "")


def refuse_tokens(text: str, where: str) -> str:
    """The text itself. Raises ValueError if a handle was made part of it."""
    if found := _TOKEN.search(text):
        raise ValueError(f"{where}: {text!r} has {found[0]} inside a text, where it is not replaced.")
    return text
