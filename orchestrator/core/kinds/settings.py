"""What the settings of every kind of step have in common."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from orchestrator.core.definition import Step
from orchestrator.core.environments.spec import EnvironmentSpec
from orchestrator.core.errors import Problem


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `Step.settings` holds for one kind. Raise nothing: yield what is wrong beyond the shape."""

    def problems(self, field: str) -> Iterator[Problem]:
        """What is wrong with these settings, which lie at `field`."""
        del field
        yield from ()

    def step_problems(self, step: Step, place: str) -> Iterator[Problem]:
        """What does not fit together of the step at `place`, whose settings these are: ports, template, arguments."""
        del step, place
        yield from ()


class RunsPrograms(Settings, frozen=True, kw_only=True):
    """Settings of a kind whose programs may have an environment of their own."""

    environment: EnvironmentSpec = EnvironmentSpec()

    def problems(self, field: str) -> Iterator[Problem]:
        yield from self.environment.problems(f"{field}.environment")
