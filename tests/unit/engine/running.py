"""A run over the world in memory, with scripts that are functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.adapters.memory_files import MemoryFiles
from orchestrator.core import definition as definitions
from orchestrator.core.definition import Definition, Output, Step
from orchestrator.core.fingerprint import Content
from orchestrator.core.job import Job
from orchestrator.core.message import Delivery, StepMessage
from orchestrator.core.plan import Plan
from orchestrator.core.result import StepError, StepResult
from orchestrator.core.retry import RetryPolicy
from orchestrator.core.run import RunInfo
from orchestrator.engine.deliver import deliver
from orchestrator.engine.identify import Absent, Identified, Identify
from orchestrator.engine.lease import Perform
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.start import start

Script = Callable[[Job], StepResult | None]

FAILURE = StepResult(error=StepError(code="ScriptFailed", message="exit code 3", log_tail="tail"), exit_code=3)


def step(name: str, *after: str, retries: int = 0) -> Step:
    return Step(
        id=name,
        name=f"{name.title()} it",
        kind="python_script",
        settings={"script": "x.py"},
        outputs=(Output(name="out"),),
        run_after=after,
        retry=RetryPolicy(max_retries=retries, delay_seconds=60),
    )


class Runner:
    """One process, one run at a time. `scripts`: step id -> what executes it; by default it succeeds.

    `contents`: what the data behind an input port is told by; `gone`: prefixes of outputs that are not there any more.
    """

    def __init__(self, *steps: Step, scripts: Mapping[str, Script] | None = None, keep_going: bool = False) -> None:
        self.clock = ManualClock()
        self.world = MemoryWorld(MemoryAccount(server_now=self.clock.now), clock=self.clock.clock())
        self.files = MemoryFiles(self.world.account)
        self.files.install(self.world)
        self.memory = ProcessMemory()
        self.scripts = dict(scripts or {})
        self.definition = Definition(name="shapes", steps=steps)
        self.keep_going = keep_going
        self.environment = "python 3"
        self.waiting: list[StepMessage] = []
        self._count = 0
        self.contents: dict[str, Content] = {}
        self.gone: set[str] = set()
        self.world.register(Perform, lambda perform: self._perform(perform.job))
        self.world.register(Identify, self._identify)
        self.world.register(Absent, self._absent)

    def start(self, run: str = "run1", **fields: object) -> RunInfo:
        document = definitions.encode(self.definition)
        plan = Plan(address=definitions.address(document), definition=self.definition)
        info = RunInfo(
            id=run,
            experiment=str(fields.get("experiment", "e")),
            definition=plan.address,
            pipeline_name="shapes",
            pipeline_id=str(fields["pipeline_id"]) if "pipeline_id" in fields else None,
            keep_going=self.keep_going,
            tags={"k": "v"},
            parameters=dict(fields.get("parameters", {})),  # type: ignore[call-overload]
            regenerate=tuple(fields.get("regenerate", ())),  # type: ignore[arg-type]
            rerun_of=str(fields.get("rerun_of", "")),
            submitted_at=self.clock.now(),
        )
        info = msgspec.structs.replace(
            info, **{name: fields[name] for name in fields.keys() - {"experiment", "pipeline_id"}}
        )
        started = self.world.run(start(self.memory, info, plan, document))
        self.waiting += started.messages
        return info

    def deliver(self) -> None:
        """Deliver the message that waits longest."""
        message = self.waiting.pop(0)
        self._count += 1
        delivery = Delivery(message_id=f"m{self._count}", count=1)
        self.waiting += self.world.run(deliver(self.memory, message, delivery))

    def finish(self) -> None:
        while self.waiting:
            self.deliver()

    def _identify(self, effect: Identify) -> Identified:
        found = {port: self.contents.get(port, Content(unknown="nobody knows")) for port in effect.inputs}
        return Identified(contents=found, environment=self.environment)

    def _absent(self, effect: Absent) -> tuple[str, ...]:
        return tuple(
            next((output.prefix for output in made.outputs.values() if output.prefix in self.gone), "")
            for made in effect.made
        )

    def _perform(self, job: Job) -> StepResult | None:
        started = self.clock.now()
        self.clock.advance(1)
        script = self.scripts.get(job.step.id)
        result = script(job) if script else StepResult(exit_code=0)
        if result is None:
            return None
        self.clock.advance(1)
        return msgspec.structs.replace(result, started_at=started, ended_at=self.clock.now())
