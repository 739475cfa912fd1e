"""The pipeline run, seen from the script of one of its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from millstream.contexts import SubmittedRun


class ParentRun(SubmittedRun):
    """What is logged on it is kept with the step, and shown among the metrics of both. Its tags and properties are
    those of the pipeline run, changed by the service at once; what the service does not take is raised.
    """

    type = "azureml.PipelineRun"

    @classmethod
    def of(cls, step: SubmittedRun) -> ParentRun:
        """The pipeline run of a step; both report to one place."""
        made = object.__new__(cls)
        made.__dict__ = {**step.__dict__, "id": step.pipeline_run_id}
        return made

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._api.run(self.id).tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._api.run(self.id).properties)

    @property
    def parent(self) -> Any:
        """None: a pipeline run is the child of no other."""
        return None

    def tag(self, key: str, value: Any = None) -> None:
        """Set a tag of the pipeline run."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags of the pipeline run."""
        self._api.label_run(self.id, {str(key): "" if v is None else str(v) for key, v in tags.items()}, {})

    def remove_tags(self, tags: str | Sequence[str]) -> dict[str, str]:
        """Remove a tag of the pipeline run, or several. Returns those that are left."""
        names = [tags] if isinstance(tags, str) else tags
        return dict(self._api.label_run(self.id, dict.fromkeys(names), {}).tags)

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Set properties of the pipeline run. Raises Conflict for one that has another value."""
        self._api.label_run(self.id, {}, {str(key): str(value) for key, value in properties.items()})

    @property
    def _api(self) -> Any:
        return self.experiment.workspace.api
