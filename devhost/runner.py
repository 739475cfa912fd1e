"""One invocation from trigger to outputs: read inputs, call the worker, write outputs, retry by policy, report."""

from __future__ import annotations

import datetime
import json
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from devhost import wire
from devhost.bindings import Bindings
from devhost.console import Console
from devhost.dispatcher import Dispatcher
from devhost.errors import FunctionRaised, InvocationError
from devhost.index import FunctionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerValue:
    """What fired a function. ``data`` is the binding data for expressions and, as metadata, for the worker."""

    datum: wire.Datum
    metadata: Mapping[str, wire.Datum] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an invocation ended; ``response`` is the HTTP value, if any."""

    error: InvocationError | None
    response: wire.Datum | None = None

    @property
    def ok(self) -> bool:
        """True when the function succeeded and its outputs are written."""
        return self.error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An invocation under way."""

    id: str
    begun: float
    answer: Future[wire.Done]


class Runner:
    """Runs functions. Thread-safe; ``stopping`` cuts the waits of retry policies short."""

    def __init__(self, dispatcher: Dispatcher, bindings: Bindings, console: Console, stopping: threading.Event) -> None:
        self._dispatcher = dispatcher
        self._bindings = bindings
        self._console = console
        self._stopping = stopping

    def run(self, spec: FunctionSpec, trigger: TriggerValue) -> Outcome:
        """Run a function to its end, blocking, with its retry policy."""
        attempt = 0
        retry: wire.Retry | None = None
        while True:
            outcome = self._once(spec, trigger, retry)
            attempt += 1
            policy = spec.retry
            if outcome.ok or policy is None or (policy.limit >= 0 and attempt > policy.limit):
                return outcome
            if self._stopping.wait(policy.delay(attempt)):
                return outcome
            retry = wire.Retry(count=attempt, limit=policy.limit, error=str(outcome.error))

    def start(
        self,
        spec: FunctionSpec,
        trigger: TriggerValue,
        inputs: list[tuple[str, wire.Datum]],
        retry: wire.Retry | None = None,
    ) -> Started:
        """Hand one invocation to the worker."""
        invocation = str(uuid.uuid4())
        call = wire.Invoke(
            id=invocation,
            function=spec.name,
            inputs=[(spec.trigger.name, trigger.datum), *inputs],
            metadata={**trigger.metadata, "sys": _system(spec.name)},
            retry=retry,
        )
        return Started(id=invocation, begun=time.perf_counter(), answer=self._dispatcher.submit(call))

    def finish(self, spec: FunctionSpec, trigger: TriggerValue, started: Started) -> Outcome:
        """Wait for the answer, write the outputs, report."""
        error: InvocationError | None = None
        response: wire.Datum | None = None
        try:
            done = started.answer.result()
            if not done.ok:
                raise FunctionRaised(done.error, done.trace)
            response = self._bindings.write_outputs(spec, done, trigger.data)
        except InvocationError as failure:
            error = failure
        self._report(spec, started.id, started.begun, error)
        return Outcome(error=error, response=response)

    def _once(self, spec: FunctionSpec, trigger: TriggerValue, retry: wire.Retry | None) -> Outcome:
        begun = time.perf_counter()
        try:
            inputs = self._bindings.read_inputs(spec, trigger.data) if spec.inputs else []
        except InvocationError as error:
            self._report(spec, "", begun, error)
            return Outcome(error=error)
        return self.finish(spec, trigger, self.start(spec, trigger, inputs, retry))

    def _report(self, spec: FunctionSpec, invocation: str, begun: float, error: InvocationError | None) -> None:
        text = f"{type(error).__name__}: {error}" if error else ""
        self._console.finished(spec, invocation, time.perf_counter() - begun, text, error.trace if error else "")


def _system(function: str) -> wire.Datum:
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return wire.json(json.dumps({"MethodName": function, "UtcNow": now, "RandGuid": str(uuid.uuid4())}))
