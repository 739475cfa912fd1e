"""v1's TrainingOutput: which of the results of a search an output is."""

from __future__ import annotations

from orchestrator.core.names import PATH

TYPES = ("Metrics", "Model")


class TrainingOutput:
    """`type` "Metrics": the metrics of all trials, as JSON; "Model": the best trial's `model_file`, a file or folder
    among its artifacts, as outputs/model.pkl.
    """

    def __init__(
        self,
        type: str,
        iteration: int | None = None,
        metric: str | None = None,
        model_file: str | None = None,
    ) -> None:
        if type not in TYPES:
            raise ValueError(f"TrainingOutput: type is {' or '.join(map(repr, TYPES))}, not {type!r}.")
        if iteration is not None or metric is not None:
            raise ValueError(
                "TrainingOutput: iteration and metric choose among the models of AutoML, which is not here."
            )
        if model_file is not None and type != "Model":
            raise ValueError("TrainingOutput: only a Model has a model_file.")
        self.type = type
        self.iteration = iteration
        self.metric = metric
        self.model_file = None if model_file is None else PATH.check(model_file.removeprefix("./"), "model_file")

    def __repr__(self) -> str:
        return f"TrainingOutput({self.type!r}, model_file={self.model_file!r})"
