"""v1's methods to log values, over `_metric`, which differs inside and outside a step. Standard library only."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod

from millstream.metrics import columns, scalar, tree, vector

TYPE_CHECKING = False  # as in run_context
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class MetricLog(ABC):
    """What can be logged on a run, whoever logs it. Images apart: they are files."""

    @abstractmethod
    def _metric(self, name: str, kind: str, value: Any, description: str, step: int | None = None) -> None: ...

    def log(self, name: str, value: Any, description: str = "", step: int | None = None) -> None:
        """Log a number, text or truth value. Logged again under the same name, it becomes a list."""
        self._metric(name, "scalar", scalar(value), description, step)

    def log_list(self, name: str, value: Any, description: str = "") -> None:
        """Log a list of values at once."""
        self._metric(name, "list", vector(value), description)

    def log_row(self, name: str, description: str | None = None, **kwargs: Any) -> None:
        """Log one row of a table: a value for each column."""
        if not kwargs:
            raise TypeError("log_row() needs columns: run.log_row(name, column=value, ...)")
        self._metric(name, "row", columns(kwargs, "log_row"), description or "")

    def log_table(self, name: str, value: Mapping[str, Any], description: str = "") -> None:
        """Log a table: a value or a list of values for each column."""
        self._metric(name, "table", columns(value, "log_table"), description)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Log a confusion matrix, as v1's JSON document or the dictionary that it holds."""
        self._document("log_confusion_matrix", name, value, description)

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        """Log an accuracy table, as v1's JSON document or the dictionary that it holds."""
        self._document("log_accuracy_table", name, value, description)

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        """Log predictions, as v1's JSON document or the dictionary that it holds."""
        self._document("log_predictions", name, value, description)

    def log_residuals(self, name: str, value: Any, description: str = "") -> None:
        """Log residuals, as v1's JSON document or the dictionary that it holds."""
        self._document("log_residuals", name, value, description)

    def _document(self, method: str, name: str, value: Any, description: str) -> None:
        document = json.loads(value) if isinstance(value, str) else value
        if not hasattr(document, "items"):
            raise TypeError(f"{method}() takes a JSON object or a dictionary.")
        self._metric(name, "table", tree(document, method), description)


def record_of(name: str, kind: str, value: Any, description: str, step: int | None) -> dict[str, Any]:
    """A logged value as it travels, with the time of now. Raises ValueError for one without a name."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"A metric needs a name, not {name!r}.")
    return {
        "name": scalar(name),
        "kind": kind,
        "value": value,
        "at": time.time(),
        "step": None if step is None else int(step),
        "description": str(description),
    }
