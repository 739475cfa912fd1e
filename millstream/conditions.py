"""What a step before has left, to be compared: `deploy.run_if(StepMetric(train, "auc") >= 0.9)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from millstream.data import PipelineData
from millstream.output_config import OutputDatasetConfig
from millstream.parameter import PipelineParameter
from orchestrator.core.conditions import Comparable, Operator
from orchestrator.core.names import shown

if TYPE_CHECKING:
    from millstream.steps import PipelineStep

Than = Comparable | PipelineParameter


class Value:
    """A value that is known when the step has ended. Compared with a value or a parameter, it makes a condition:
    as numbers where both are some or read as some, else as texts, which are equal or not."""

    # As columns of pandas do: a comparison is a condition here, and no bool as object's own says it is.
    def __eq__(self, other: Than) -> Comparison:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Than) -> Comparison:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: Than) -> Comparison:
        return self._compared("<", other)

    def __le__(self, other: Than) -> Comparison:
        return self._compared("<=", other)

    def __gt__(self, other: Than) -> Comparison:
        return self._compared(">", other)

    def __ge__(self, other: Than) -> Comparison:
        return self._compared(">=", other)

    # What is not compared by identity or value must not be a key.
    __hash__ = None  # type: ignore[assignment]

    def _compared(self, how: Operator, other: Than) -> Comparison:
        if not isinstance(other, bool | int | float | str | PipelineParameter):
            raise TypeError(f"A condition compares with a number, a text, or a PipelineParameter, not {other!r}.")
        return Comparison(value=self, operator=how, than=other)


class StepMetric(Value):
    """The last value that a step has logged under `name`."""

    def __init__(self, step: PipelineStep, name: str) -> None:
        self.step, self.name = step, name


class StepProperty(Value):
    """A property that the script of a step has set."""

    def __init__(self, step: PipelineStep, name: str) -> None:
        self.step, self.name = step, name


class StepText(Value):
    """The text of a small output, a file, or the file `path` of a folder, without the space around it."""

    def __init__(self, output: PipelineData | OutputDatasetConfig, path: str = "") -> None:
        if not isinstance(output, PipelineData | OutputDatasetConfig):
            raise TypeError(f"StepText takes an output of a step, PipelineData for one, not {output!r}.")
        self.output, self.path = output, path


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A condition: the value of a step before, how it is compared, and with what."""

    value: Value
    operator: Operator
    than: Than

    def __bool__(self) -> bool:
        raise TypeError(f"A condition has no truth before the run: give it to run_if. ({shown(repr(self.than))})")
