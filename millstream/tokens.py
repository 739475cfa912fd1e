"""What a data handle or a parameter looks like inside a text, so that it is noticed when it gets there by mistake.

A handle stands for something that is known only when the step runs. v1 lets `"--in=" + str(handle)` through, and the
script finds a variable's name where it expected a path. Here the text is recognised when the step is made.
"""

from __future__ import annotations

import re

from orchestrator.core.names import variable_of

_TOKEN = re.compile(r"\$(?:AZUREML_DATAREFERENCE|AML_PARAMETER)_\w+")


def data_variable(name: str) -> str:
    """The environment variable in which a script finds the path of a port (azureml-v1)."""
    return f"AZUREML_DATAREFERENCE_{name}"


def data_token(name: str) -> str:
    return f"${data_variable(name)}"


def parameter_token(name: str) -> str:
    return f"${variable_of(name)}"


def refuse_tokens(text: str, where: str) -> str:
    """The text itself. Raises ValueError if a handle was made part of it."""
    if found := _TOKEN.search(text):
        raise ValueError(
            f"{where}: {text!r} has {found[0]} inside a text, where it is not replaced. Give the handle itself as an "
            "argument of its own."
        )
    return text
