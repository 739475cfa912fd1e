"""How a run is asked for: resolve the pipeline, check everything, name the run, start it.

Nothing is written before all checks have passed. A request with a run id, or with an Idempotency-Key, may be sent
again: it finds the run that it started.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.catalog import attachments, computes, experiments, registered_datastores, repeats, snapshots, subjects
from orchestrator.catalog.saved_datasets import check_saved, check_values
from orchestrator.core import definition as definitions
from orchestrator.core import validation
from orchestrator.core.compute import Compute, ComputeKind, longest_step
from orchestrator.core.decision import Decision
from orchestrator.core.definition import DataPathValue, Definition, ParameterValue
from orchestrator.core.errors import InvalidRequest, Problem, TooLarge
from orchestrator.core.fitting import check_fit
from orchestrator.core.kinds import served
from orchestrator.core.message import StepMessage
from orchestrator.core.names import EXPERIMENT, RUN_ID, shown, suggestion
from orchestrator.core.parameters import resolve_parameters
from orchestrator.core.plan import Plan
from orchestrator.core.priority import USUAL
from orchestrator.core.run import RunInfo
from orchestrator.core.webhook import Notify, check_url, same_url_once
from orchestrator.engine.memory import ProcessMemory, Recent
from orchestrator.engine.quota import admit
from orchestrator.engine.reading import load_plan, read_info
from orchestrator.engine.reuse.forecast import forecast
from orchestrator.engine.reuse.ingredients import ALL
from orchestrator.engine.start import start
from orchestrator.engine.tags import check_size
from orchestrator.ports import NewId, Now, Task

_NAMESPACE = uuid.UUID("0d9d2f43-4f0e-5b7e-8d0c-72756e696473")
LONGEST_KEY = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The wish for a run: of a `definition`, of the published pipeline `pipeline_id`, of the pipeline endpoint
    `endpoint_id`, or of what the run `earlier` ran; exactly one of them.

    `pipeline_version` of an endpoint: None takes its default.

    `keep_finished`: the finished steps of `earlier` are kept, so it must have ended, and parameters must be the same.
    `keep_going` None takes the published pipeline's own. `run_id` or `idempotency_key` makes it repeatable.
    `regenerate`: names or ids of steps that run even if nothing has changed; "*" for all. `started_by`: who asks.
    """

    experiment: str
    definition: Definition | None = None
    pipeline_id: str | None = None
    endpoint_id: str | None = None
    pipeline_version: str | None = None
    earlier: RunInfo | None = None
    keep_finished: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    keep_going: bool | None = None
    run_id: str | None = None
    idempotency_key: str | None = None
    source: str = "sdk"
    parent_run: str = ""
    regenerate: tuple[str, ...] = ()
    notify: tuple[Notify, ...] = ()
    started_by: str = ""
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRules:
    """Whether runs may name webhooks of their own, and whether these may be addresses that are not of the internet."""

    enabled: bool = False
    private: bool = False

    def check(self, notify: tuple[Notify, ...]) -> None:
        """Raises InvalidRequest."""
        if notify and not self.enabled:
            raise InvalidRequest("This service has no webhooks: MILLSTREAM_WEBHOOK_KEYS is not set.", field="notify")
        same_url_once(notify, "notify")
        for place, hook in enumerate(notify):
            check_url(hook.url, f"notify[{place}].url", private=self.private)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`created` False: the run was there already. The caller sends `messages`, then acknowledges."""

    created: bool
    info: RunInfo
    plan: Plan
    messages: tuple[StepMessage, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`decisions` on the steps of `plan`, by position."""

    plan: Plan
    decisions: tuple[Decision, ...]
    warnings: tuple[Problem, ...]


class Submitter:
    """One per process: the rules of this installation, and what the process has seen of the catalog."""

    def __init__(
        self,
        memory: ProcessMemory,
        *,
        computes: Collection[str],
        datastores: Collection[str],
        assignment_bytes: int,
        webhooks: WebhookRules | None = None,
        function_seconds: float | None = None,
    ) -> None:
        """`function_seconds`: how long a function may take, if that is known."""
        self._memory = memory
        self._computes = computes
        self._function_seconds = function_seconds
        self._datastores = datastores
        self._assignment_bytes = assignment_bytes
        self._webhooks = webhooks or WebhookRules()
        self._experiments: experiments.Seen = Recent(1024)
        self._snapshots: snapshots.Seen = Recent(1024)

    def check(self, definition: Definition) -> Task[tuple[Problem, ...]]:
        """The warnings. Raises InvalidDefinition with every problem."""
        unknown = {step.compute for _, step in definitions.all_steps(definition)} - set(self._computes)
        made = yield from computes.find(sorted(unknown))
        if unknown - made.keys():  # all of them, to say what may be meant
            made = {compute.name: compute for compute in (yield from computes.every())}
        stores = yield from registered_datastores.known(self._datastores, definitions.datastores_of(definition))
        warnings = validation.check(
            definition,
            computes={*self._computes, *made},
            datastores=stores,
            longest=self._longest(made),
            attached=(yield from attachments.types(served(definition))),
        )
        yield from snapshots.check_uploaded(definition, self._snapshots)
        yield from check_saved(self._memory, definition)
        return warnings

    def _longest(self, made: Mapping[str, Compute]) -> dict[str, float]:
        """How long a step may take on each compute of the settings, and of those that were made.

        The jobs of an attached workspace are no host's to end.
        """
        own = self._memory.settings.computes
        here = {name: compute for name, compute in made.items() if not compute.settings.get("attached")}
        every = {**{name: own[name] for name in self._computes if name in own}, **here}
        if self._function_seconds is None:
            every = {name: it for name, it in every.items() if it.kind != ComputeKind.FUNCTION}
        seconds = self._function_seconds or 0.0
        return {name: longest_step(it, function_seconds=seconds) for name, it in every.items()}

    def submit(self, wish: Submission) -> Task[Accepted]:
        """Start the run that is wished for. Raises UserErrors naming the field, Conflict for a taken run id, and
        QuotaExceeded, with which it may be asked for again later.
        """
        prepared = yield from self._prepare(wish)
        draft = prepared.draft
        yield from admit(self._memory, prepared.info.id, wish.started_by)
        started = yield from start(self._memory, prepared.info, draft.plan, draft.document)
        # After the start, so that a refused one leaves no trace, and before the answer: one without it is repeated.
        yield from experiments.remember(self._experiments, wish.experiment)
        return Accepted(
            created=started.created,
            info=started.info,
            plan=draft.plan,
            messages=started.messages,
            warnings=prepared.warnings,
        )

    def forecast(self, wish: Submission) -> Task[Forecast]:
        """What the run that is wished for would do, were it started now. Raises as `submit` does; starts nothing."""
        prepared = yield from self._prepare(wish)
        found = yield from forecast(self._memory, prepared.draft.plan, prepared.info)
        return Forecast(plan=prepared.draft.plan, decisions=found, warnings=prepared.warnings)

    def _prepare(self, wish: Submission) -> Task[_Prepared]:
        """Check everything. Writes nothing that would be seen."""
        EXPERIMENT.check(wish.experiment, "experiment_name")
        if sum(given is not None for given in (wish.definition, wish.pipeline_id, wish.endpoint_id, wish.earlier)) != 1:
            raise InvalidRequest("Give one of definition, pipeline_id and endpoint_id.", field="definition")
        if wish.pipeline_version is not None and wish.endpoint_id is None:
            raise InvalidRequest(
                "Only a pipeline endpoint has versions. Give its endpoint_id.", field="pipeline_version"
            )
        if wish.parent_run:
            RUN_ID.check(wish.parent_run, "parent_run")
        self._webhooks.check(wish.notify)
        run_id = yield from _run_id(wish)
        draft = yield from self._draft(wish, run_id)
        self._check_steps(draft.plan)
        values, unknown = resolve_parameters(draft.plan.definition, wish.parameters)
        yield from self._check_datastores(values)
        check_fit(draft.plan.particular, values)
        yield from check_values(self._memory, values)
        now = yield from Now()
        info = RunInfo(
            id=run_id,
            experiment=wish.experiment,
            definition=draft.plan.address,
            pipeline_name=draft.name,
            pipeline_id=draft.pipeline_id,
            parameters=values,
            tags=dict(wish.tags),
            properties={**wish.properties, **draft.properties},
            description=wish.description,
            keep_going=draft.keep_going if wish.keep_going is None else wish.keep_going,
            regenerate=_forced(draft.plan, wish.regenerate),
            source=wish.source,
            submitted_at=now,
            rerun_of=wish.earlier.id if wish.earlier is not None and wish.keep_finished else "",
            parent_run=wish.parent_run,
            notify=wish.notify,
            started_by=wish.started_by,
            priority=wish.priority if wish.priority is not None else wish.earlier.priority if wish.earlier else USUAL,
        )
        if wish.earlier is not None and wish.keep_finished:
            yield from repeats.check_rerun(self._memory, wish.earlier, info)
        check_size(info, self._assignment_bytes, "parameters")
        return _Prepared(info=info, draft=draft, warnings=(*draft.warnings, *unknown))

    def _check_steps(self, plan: Plan) -> None:
        most = self._memory.settings.quotas.run_steps
        if plan.size > most:
            raise TooLarge(
                f"The pipeline has {plan.size:,} steps, and a run may have {most:,} (MILLSTREAM_RUN_STEPS).",
                field="definition",
            )

    def resume(self, run_id: str) -> Task[Accepted | None]:
        """Complete the start of a run that is there, as it was asked for; None if there is none. Safe to repeat."""
        info = yield from read_info(self._memory, run_id)
        if info is None:
            return None
        plan = yield from load_plan(self._memory, info.definition)
        started = yield from start(self._memory, info, plan)
        yield from experiments.remember(self._experiments, info.experiment)
        return Accepted(created=False, info=started.info, plan=plan, messages=started.messages, warnings=())

    def _check_datastores(self, values: Mapping[str, ParameterValue]) -> Task[None]:
        paths = {name: value for name, value in values.items() if isinstance(value, DataPathValue)}
        needed = [value.datastore for value in paths.values()]
        stores = yield from registered_datastores.known(self._datastores, needed)
        for name, value in paths.items():
            if value.datastore not in stores:
                hint = suggestion(value.datastore, stores, "datastores")
                message = f"There is no datastore {shown(value.datastore)}. {hint}"
                raise InvalidRequest(message, field=f"parameters.{name}")

    def _draft(self, wish: Submission, run_id: str) -> Task[_Draft]:
        if wish.earlier is not None:
            plan = yield from load_plan(self._memory, wish.earlier.definition)
            warnings = yield from self.check(plan.definition)
            return _Draft(
                plan=plan,
                name=wish.earlier.pipeline_name,
                pipeline_id=wish.earlier.pipeline_id,
                keep_going=wish.earlier.keep_going,
                warnings=warnings,
            )
        if wish.definition is None:
            subject = yield from self._subject(wish, run_id)
            plan = yield from load_plan(self._memory, subject.pipeline.definition)
            return _Draft(
                plan=plan,
                name=subject.pipeline.name,
                pipeline_id=subject.pipeline.id,
                keep_going=subject.pipeline.continue_on_step_failure,
                properties=subject.properties,
            )
        warnings = yield from self.check(wish.definition)
        document = definitions.encode(wish.definition)
        plan = Plan(address=definitions.address(document), definition=wish.definition)
        return _Draft(plan=plan, name=wish.definition.name, document=document, warnings=warnings)

    def _subject(self, wish: Submission, run_id: str) -> Task[subjects.Subject]:
        repeatable = run_id if wish.run_id is not None or wish.idempotency_key is not None else None
        if wish.endpoint_id is not None:
            return (yield from subjects.of_endpoint(self._memory, wish.endpoint_id, wish.pipeline_version, repeatable))
        assert wish.pipeline_id is not None
        return (yield from subjects.of_pipeline(self._memory, wish.pipeline_id, repeatable))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """`document`: the definition's bytes, where they may not be stored yet."""

    plan: Plan
    name: str
    pipeline_id: str | None = None
    keep_going: bool = False
    document: bytes | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    info: RunInfo
    draft: _Draft
    warnings: tuple[Problem, ...]


def _forced(plan: Plan, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as given. Raises InvalidRequest for one that no step has."""
    known = {ALL, *(name for step in plan.definition.steps for name in (step.name, step.id))}
    for index, name in enumerate(names):
        if name not in known:
            hint = suggestion(name, known - {ALL}, "steps")
            raise InvalidRequest(f"There is no step {shown(name)} to run again. {hint}", field=f"regenerate[{index}]")
    return names


def _run_id(wish: Submission) -> Task[str]:
    if wish.run_id is not None:
        return RUN_ID.check(wish.run_id, "run_id")
    if wish.idempotency_key is not None:
        if not (0 < len(wish.idempotency_key) <= LONGEST_KEY and wish.idempotency_key.isprintable()):
            raise InvalidRequest(f"Use 1 to {LONGEST_KEY} printable characters.", field="Idempotency-Key")
        return str(uuid.uuid5(_NAMESPACE, f"{_subject(wish)}|{wish.idempotency_key}"))
    first, second, third = (yield from NewId()), (yield from NewId()), (yield from NewId())
    return str(uuid.UUID(hex=f"{first}{second}{third}"[:32]))


def _subject(wish: Submission) -> str:
    """What an idempotency key belongs to: the same key may be used for another pipeline, and to repeat another run."""
    if wish.earlier is not None:
        return f"{'rerun' if wish.keep_finished else 'resubmit'}|{wish.earlier.id}"
    return wish.pipeline_id or wish.endpoint_id or ""
