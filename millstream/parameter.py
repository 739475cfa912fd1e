"""A value that a pipeline is given when it is started."""

from __future__ import annotations

from typing import Any

from millstream.tokens import parameter_token
from orchestrator.core.definition import Parameter, ParameterValue
from orchestrator.core.names import PARAMETER, shown
from orchestrator.core.parameters import TYPES, type_of


class PipelineParameter:
    """A named value with a default, which decides its type: int, float, bool or str.

    Use it among the `arguments` or in the `params` of a step.
    """

    def __init__(self, name: str, default_value: Any) -> None:
        self.name = PARAMETER.check(name, "name")
        if hasattr(default_value, "item") and getattr(default_value, "shape", None) == ():
            default_value = default_value.item()
        if not isinstance(default_value, (bool, int, float, str)):
            raise ValueError(  # noqa: TRY004 - v1's
                f"PipelineParameter {shown(name)}: the default is a {type(default_value).__name__}. Use a number, a "
                "text, True or False."
            )
        if TYPES[type_of(default_value)](default_value) is None:
            raise ValueError(f"PipelineParameter {shown(name)}: {default_value!r} cannot be kept as JSON.")
        self.default_value: ParameterValue = default_value

    @property
    def declaration(self) -> Parameter:
        return Parameter(name=self.name, type=type_of(self.default_value), default=self.default_value)

    def __str__(self) -> str:
        return parameter_token(self.name)

    def __repr__(self) -> str:
        return f"PipelineParameter({self.name!r}, {self.default_value!r})"
