"""A value that a pipeline is given when it is started."""

from __future__ import annotations

from typing import Any

from millstream.data_path import DataPath
from millstream.path_parts import plain_path
from millstream.tokens import Token, parameter_token
from orchestrator.core.definition import DataPathValue, DatasetValue, Parameter, ParameterValue
from orchestrator.core.names import PARAMETER, shown
from orchestrator.core.parameters import DATA_TYPES, TYPES, type_of


class PipelineParameter(Token):
    """A named value with a default, which decides its type: int, float, bool, str, a DataPath or a dataset.

    Use it among the `arguments` or in the `params` of a step, in texts (f"x-{parameter}"), in paths of a datastore, and
    as a step's `timeout_seconds`. One that stands for data is an input: give a DataPath as
    `(parameter, DataPathComputeBinding())`, a dataset as `DatasetConsumptionConfig(name, parameter)`.
    """

    def __init__(self, name: str, default_value: Any) -> None:
        self.name = PARAMETER.check(name, "name")
        if hasattr(default_value, "item") and getattr(default_value, "shape", None) == ():
            default_value = default_value.item()
        self.default_value = default_value
        value = value_of(default_value)
        if not isinstance(value, (bool, int, float, str, DataPathValue, DatasetValue)):
            raise ValueError(  # noqa: TRY004 - v1's
                f"PipelineParameter {shown(name)}: the default is a {type(default_value).__name__}. Use a number, a "
                "text, True or False, a DataPath or a dataset."
            )
        if TYPES[type_of(value)](value) is None:
            raise ValueError(f"PipelineParameter {shown(name)}: {default_value!r} cannot be kept as JSON.")
        self._value: ParameterValue = value

    @property
    def declaration(self) -> Parameter:
        return Parameter(name=self.name, type=type_of(self._value), default=self._value)

    @property
    def is_data(self) -> bool:
        """Whether it stands for data."""
        return self.declaration.type in DATA_TYPES

    def __str__(self) -> str:
        return parameter_token(self.name, self)

    def __repr__(self) -> str:
        return f"PipelineParameter({self.name!r}, {self.default_value!r})"


def value_of(given: Any) -> Any:
    """A value of a parameter as the service takes it; what is no data stays as it is."""
    from millstream.dataset import AbstractDataset
    from millstream.dataset_consumption import DatasetConsumptionConfig

    if isinstance(given, DatasetConsumptionConfig):
        given = given.dataset
    if isinstance(given, DataPath):
        path = plain_path(given.parts, "The value of a parameter")
        return DataPathValue(datastore=given.datastore_name, path=path)
    return DatasetValue(id=given.content_id) if isinstance(given, AbstractDataset) else given
