"""v1's RunDetails: follows a run in the background. Instead of a widget there are lines of text."""

from __future__ import annotations

import threading
from typing import Any

from millstream.console import say
from millstream.errors import Unavailable
from millstream.pipeline_run import PipelineRun
from millstream.service_run import ServiceRun
from millstream.step_run import StepRun

SECONDS = 1.0
"""Between two looks."""


class RunDetails:
    """The steps of a run and how they change, printed as they do."""

    def __init__(self, run_instance: ServiceRun) -> None:
        if not isinstance(run_instance, ServiceRun):
            raise TypeError(f"RunDetails shows a run, not {run_instance!r}.")
        self._run = run_instance
        self._shown: dict[str, str] = {}
        self._follower: threading.Thread | None = None

    def show(self, render_lib: Any = None, widget_settings: Any = None) -> None:
        """Print the status of the run and its steps, and every change of them until the run ends; return at once."""
        del render_lib, widget_settings
        if not self._print_changes() and self._follower is None:
            self._follower = threading.Thread(target=self._follow, name=f"details of {self._run.id}", daemon=True)
            self._follower.start()

    def get_widget_data(self, widget_settings: Any = None) -> dict[str, Any]:
        """What is shown: the run's status, and that of each step by name."""
        del widget_settings
        status, steps = self._look()
        return {"status": status, "run_id": self._run.id, "child_runs": steps}

    def _follow(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(SECONDS)
            try:
                if self._print_changes():
                    return
            except Unavailable as reason:
                say(f"{self._run.id}: {reason}")
                return

    def _print_changes(self) -> bool:
        """Whether the run has ended."""
        status, steps = self._look()
        for name, now in {**steps, self._run.id: status}.items():
            if self._shown.get(name) != now:
                say(f"{name}: {now}")
                self._shown[name] = now
        return status in ("Completed", "Failed", "Canceled", "Skipped")

    def _look(self) -> tuple[str, dict[str, str]]:
        status = self._run.status
        if isinstance(self._run, PipelineRun):
            steps = self._run.api.steps(self._run.id)
            return status, {step.name: step.status for step in steps}
        assert isinstance(self._run, StepRun)
        return status, {}
