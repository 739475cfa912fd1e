"""A service that does the work of steps: jobs by the token that they were submitted under, and what may never happen.

R1  a step has one job for each try, and no two of them at once
R2  when all is quiet, nothing that ended is still worked for
R3  a step is done when its job is
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.checker import Violation


@dataclass(slots=True)
class ServiceJob:
    """`ends_at`: when its work is done, unless it is cancelled before."""

    step: tuple[str, int]
    ends_at: float
    cancelled_at: float | None = None

    def over(self, now: float) -> bool:
        return self.cancelled_at is not None or now >= self.ends_at


@dataclass(slots=True)
class Services:
    """Knows jobs by their tokens. `now`: the moment."""

    now: Callable[[], float]
    jobs: dict[str, ServiceJob] = field(default_factory=dict)
    looks: int = 0

    def submit(self, token: str, step: tuple[str, int], seconds: float) -> None:
        """Start a job, or find the one that has this token."""
        if token in self.jobs:
            return
        others = [known for known in self.jobs.values() if known.step == step and not known.over(self.now())]
        if others:
            raise Violation("R1", f"a job {token} of step {step} is submitted beside {others}")
        self.jobs[token] = ServiceJob(step, self.now() + seconds)

    def look(self, token: str) -> bool:
        """Whether the job is over."""
        self.looks += 1
        if token not in self.jobs:
            raise Violation("R1", f"somebody looks at {token}, which nobody has submitted")
        return self.jobs[token].over(self.now())

    def cancel(self, token: str) -> None:
        job = self.jobs.get(token)
        if job is not None and not job.over(self.now()):
            job.cancelled_at = self.now()

    def is_done(self, token: str) -> bool:
        job = self.jobs.get(token)
        return job is not None and job.cancelled_at is None and job.over(self.now())

    def of(self, run: str, step: int) -> list[ServiceJob]:
        return [job for job in self.jobs.values() if job.step == (run, step)]

    def working(self) -> list[ServiceJob]:
        return [job for job in self.jobs.values() if not job.over(self.now())]
