"""Parts of a run, seen from outside: v1's child runs for a loop in a driver. They log to the run, each by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from millstream.service_run import ServiceRun

if TYPE_CHECKING:
    from millstream.outputs import Stored
    from orchestrator.core.definition import Step

V = TypeVar("V")


class PartRun(ServiceRun):
    """What is logged on it, its tags, properties and files are those of the run, as `<name>/<its name>`."""

    type = "azureml.scriptrun"

    def __init__(self, parent: ServiceRun, name: str, number: int, run_id: str | None = None) -> None:
        self.experiment = parent.experiment
        self.parent = parent
        self.name = self.display_name = name
        self.number = number
        self.id = run_id or f"{parent.id}_{name}"

    @property
    def status(self) -> str:
        """That of the run: a part has none of its own."""
        return self.parent.status

    @property
    def tags(self) -> dict[str, str]:
        return self._own(self.parent.tags)

    @property
    def properties(self) -> dict[str, str]:
        return self._own(self.parent.properties)

    def get_metrics(self, name: str | None = None, **_: Any) -> dict[str, Any]:
        """What was logged on this part, by name; only `name`, if given."""
        found = self._own(self.parent.get_metrics())
        return found if name is None else {key: value for key, value in found.items() if key == name}

    def get_children(self, **_: Any) -> list[ServiceRun]:
        return []

    def get_details(self) -> dict[str, Any]:
        """What is known of it, under v1's names."""
        return {"runId": self.id, "status": self.status, "properties": self.properties, "tags": self.tags}

    get_details_with_logs = get_details

    def get_snapshot_id(self) -> str:
        return self.parent.get_snapshot_id()

    def _own(self, found: Mapping[str, V]) -> dict[str, V]:
        """Of what the run has, by names, that of this part."""
        before = f"{self.name}/"
        return {key.removeprefix(before): value for key, value in found.items() if key.startswith(before)}

    def _log_at(self) -> tuple[str, str]:
        return self.parent._log_at()

    def _metric(self, name: str, kind: str, value: Any, description: str, step: int | None = None) -> None:
        if kind == "image":
            value = f"{self.name}/{value}"
        self.parent._metric(f"{self.name}/{name}", kind, value, description, step)

    def _label(self, tags: Mapping[str, str | None], properties: Mapping[str, str]) -> dict[str, str]:
        before = f"{self.name}/"
        self.parent._label(
            {before + key: value for key, value in tags.items()},
            {before + key: value for key, value in properties.items()},
        )
        return self.tags

    def _give(self, files: Mapping[str, Path]) -> None:
        self.parent._give({f"{self.name}/{name}": path for name, path in files.items()})

    def _artifacts(self) -> dict[str, Stored]:
        return self._own(self.parent._artifacts())

    def _logs(self) -> dict[str, bytes]:
        """None: what scripts print belongs to the run."""
        return {}

    def _owner_of(self, name: str) -> tuple[str, str, str]:
        return self.parent._owner_of(f"{self.name}/{name}")

    def _step(self) -> Step:
        return self.parent._step()
