"""What makes a step run again and what does not, one change at a time; and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from orchestrator.core import definition as definitions
from orchestrator.core.decision import Action, Decision
from orchestrator.core.definition import (
    DatastoreSource,
    FromInput,
    FromOutput,
    FromParameter,
    Input,
    Literal,
    Output,
    Parameter,
    ParameterValue,
    Step,
    StepSource,
    Text,
)
from orchestrator.core.fingerprint import Content
from orchestrator.core.job import Job
from orchestrator.core.message import Delivery, decode
from orchestrator.core.result import File, OutputData, ReadData, StepResult
from orchestrator.core.retry import RetryPolicy
from orchestrator.engine.deliver import deliver
from orchestrator.engine.reuse import entries
from orchestrator.engine.stepview import StepView, steps_view
from orchestrator.ports import Commit, Merge, Task, WriteBlob
from tests.unit.engine.running import FAILURE, Runner, Script, step

FILES = {"train.py": "a" * 64, "util.py": "b" * 64, "notes/readme.md": "c" * 64}


PREPARE = Step(
    id="prepare", name="prepare", kind="python_script", outputs=(Output(name="clean"),), settings={"script": "p.py"}
)
TRAIN = Step(
    id="train",
    name="train",
    kind="python_script",
    settings={"script": "train.py"},
    arguments=(
        Literal(value="--reg"),
        FromParameter(name="reg_rate"),
        Text(parts=(Literal(value="in="), FromInput(name="clean"))),
        FromOutput(name="model"),
    ),
    environment={"MODE": Literal(value="fast")},
    inputs=(
        Input(name="clean", source=StepSource(step="prepare", output="clean")),
        Input(name="iris", source=DatastoreSource(datastore="store", path="data/iris")),
    ),
    outputs=(Output(name="model"),),
    version="1",
    timeout_seconds=100,
)
IRIS = Content(digest="iris 1", names={"store/data/iris/a.csv": "1", "store/data/iris/b.csv": "1"})


@dataclass(frozen=True)
class World:
    """A pipeline of two steps, prepare -> train, and what lies around it. `scripts` replace the usual ones."""

    prepare: Step = PREPARE
    train: Step = TRAIN
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    parameters: dict[str, ParameterValue] = field(default_factory=lambda: {"reg_rate": 0.1, "other": 1})
    iris: Content = IRIS
    clean: str = "d" * 64
    environment: str = "python 3"
    regenerate: tuple[str, ...] = ()
    experiment: str = "e"
    scripts: dict[str, Script] = field(default_factory=dict)

    def train_with(self, **changes: object) -> World:
        return replace(self, train=msgspec.structs.replace(self.train, **changes))


def play(runner: Runner, world: World, run: str, *, rerun_of: str = "") -> dict[str, StepView]:
    """Run the world to its end. Returns its steps."""
    entries = [{"path": path, "sha256": world.files[path], "size": 1} for path in sorted(world.files)]
    snapshot = definitions.address(msgspec.json.encode(entries))
    runner.world.run(_write(f"snapshots/{snapshot}.json", msgspec.json.encode(entries)))
    runner.definition = definitions.Definition(
        name="shapes",
        parameters=tuple(Parameter(name=name, type="float", default=0.0) for name in world.parameters),
        steps=(world.prepare, msgspec.structs.replace(world.train, snapshot=snapshot)),
    )
    runner.contents["iris"] = world.iris
    runner.environment = world.environment
    usual: dict[str, Script] = {
        "prepare": lambda job: result(job, world.clean),
        "train": lambda job: result(job, "e" * 64),
    }
    runner.scripts = usual | world.scripts
    runner.start(
        run,
        parameters=world.parameters,
        regenerate=world.regenerate,
        experiment=world.experiment,
        rerun_of=rerun_of,
    )
    runner.finish()
    return {step.id: step for step in runner.world.run(steps_view(runner.memory, run))}


def _write(name: str, data: bytes) -> Task[None]:
    yield from WriteBlob(name=name, data=data)


def result(job: Job, content: str) -> StepResult:
    made = {
        port.name: OutputData(
            datastore="store", prefix=f"{job.prefix}/{port.name}", files=(File(path="f", size=1, sha256=content),)
        )
        for port in job.step.outputs
    }
    return StepResult(outputs=made, exit_code=0)


def decision(step: StepView) -> Decision:
    assert step.decision is not None
    return step.decision


Change = Callable[[World], World]


def inputs(**changes: object) -> Change:
    """Another port `iris`."""
    return lambda it: it.train_with(inputs=(it.train.inputs[0], msgspec.structs.replace(it.train.inputs[1], **changes)))


def outputs(**changes: object) -> Change:
    return lambda it: it.train_with(outputs=(msgspec.structs.replace(it.train.outputs[0], **changes),))


RERUN: dict[str, tuple[Change, str]] = {
    "its script changed": (lambda it: replace(it, files=it.files | {"train.py": "f" * 64}), "file train.py changed"),
    "a file beside it changed": (
        lambda it: replace(it, files=it.files | {"util.py": "f" * 64}),
        "file util.py changed",
    ),
    "a file was added": (lambda it: replace(it, files=it.files | {"new.py": "f" * 64}), "file new.py added"),
    "a file was removed": (
        lambda it: replace(it, files={"train.py": "a" * 64, "util.py": "b" * 64}),
        "file notes/readme.md removed",
    ),
    "a parameter it uses": (
        lambda it: replace(it, parameters=it.parameters | {"reg_rate": 0.2}),
        "parameter reg_rate 0.1 -> 0.2",
    ),
    "a literal argument": (
        lambda it: it.train_with(arguments=(Literal(value="--rate"), *it.train.arguments[1:])),
        "its arguments changed",
    ),
    "an argument more": (
        lambda it: it.train_with(arguments=(*it.train.arguments, Literal(value="-v"))),
        "its arguments changed",
    ),
    "a blob changed": (
        lambda it: replace(
            it, iris=Content(digest="iris 2", names={"store/data/iris/a.csv": "1", "store/data/iris/b.csv": "2"})
        ),
        "input iris (store/data/iris): b.csv changed",
    ),
    "a blob was added": (
        lambda it: replace(it, iris=Content(digest="iris 3", names=it.iris.names | {"store/data/iris/c.csv": "1"})),
        "input iris (store/data/iris): c.csv added",
    ),
    "a blob of too many to name": (
        lambda it: replace(it, iris=Content(digest="iris 4")),
        "input iris (store/data/iris) changed",
    ),
    "an upstream output": (
        lambda it: replace(it, clean="0" * 64, regenerate=("prepare",)),
        "output clean of step prepare: f changed",
    ),
    "the environment": (lambda it: replace(it, environment="python 4"), "the environment that it runs in changed"),
    "a variable": (
        lambda it: it.train_with(environment={"MODE": Literal(value="slow")}),
        "environment variable MODE changed",
    ),
    "the settings": (
        lambda it: it.train_with(settings=it.train.settings | {"run_settings": {"NodeCount": 2}}),
        "its settings changed",
    ),
    "the version": (lambda it: it.train_with(version="2"), "version 1 -> 2"),
    "how an input is taken": (inputs(mode="direct"), "input iris is taken differently"),
    "where an input lies for the script": (inputs(path_on_compute="data"), "input iris is taken differently"),
    "an output's mode": (outputs(mode="upload"), "output model is asked for differently"),
    "an output's datastore": (outputs(datastore="other"), "output model is asked for differently"),
    "an output's destination": (
        outputs(destination=(Literal(value="models/latest"),)),
        "output model is asked for differently",
    ),
    "an output's name": (
        lambda it: outputs(name="model2")(it).train_with(
            arguments=(*it.train.arguments[:3], FromOutput(name="model2"))
        ),
        "its arguments changed",
    ),
    "which files of an output are kept": (outputs(globs=("*.pkl",)), "output model is asked for differently"),
    "another name": (lambda it: it.train_with(name="train it"), "it has not run before in this experiment"),
    "asked for": (lambda it: replace(it, regenerate=("train",)), "the run asks for it"),
    "asked for by id, all": (lambda it: replace(it, regenerate=("*",)), "the run asks for it"),
    "reuse not allowed": (lambda it: it.train_with(allow_reuse=False), "it does not allow reuse"),
    "content that cannot be told": (
        lambda it: replace(it, iris=Content(unknown="what a query gives cannot be told")),
        "input iris: what a query gives cannot be told",
    ),
}
REUSE: dict[str, Change] = {
    "nothing": lambda it: it,
    "a parameter it does not use": lambda it: replace(it, parameters=it.parameters | {"other": 2}),
    "the time limit": lambda it: it.train_with(timeout_seconds=200),
    "the retries": lambda it: it.train_with(retry=RetryPolicy(max_retries=3)),
    "the compute": lambda it: it.train_with(compute="cpu-cluster"),
    "its id": lambda it: it.train_with(id="train_2"),
    "the experiment": lambda it: replace(it, experiment="another"),
    "an order only": lambda it: it.train_with(run_after=("prepare",)),
    "the step above ran again and made the same": lambda it: replace(it, regenerate=("prepare",)),
    "the step above is called otherwise": lambda it: replace(
        it, prepare=msgspec.structs.replace(it.prepare, name="prepare it")
    ),
    "the step above has another script": lambda it: replace(
        it, prepare=msgspec.structs.replace(it.prepare, settings={"script": "q.py"})
    ),
}


@pytest.mark.parametrize("what", RERUN)
def test_what_makes_a_step_run_again(what: str) -> None:
    change, reason = RERUN[what]
    runner, world = Runner(), World()
    play(runner, world, "run1")
    again = decision(play(runner, change(world), "run2")["train"])
    assert again.action is Action.RUN
    assert reason in [it.text for it in again.reasons]


@pytest.mark.parametrize("what", REUSE)
def test_what_does_not(what: str) -> None:
    runner, world = Runner(), World()
    play(runner, world, "run1")
    second = play(runner, REUSE[what](world), "run2")
    (again,) = [step for step in second.values() if step.name == "train"]
    assert decision(again).action is Action.REUSE
    assert (decision(again).from_run, decision(again).from_step) == ("run1", "train")
    assert again.properties["azureml.reusedrunid"] == "run1_train"
    assert again.started_at == again.ended_at


@pytest.mark.parametrize(
    ("change", "action"),
    [
        (lambda files: files | {"notes/readme.md": "f" * 64}, Action.REUSE),
        (lambda files: files | {"train.py": "f" * 64}, Action.RUN),
        (lambda files: files | {"lib/a.py": "f" * 64}, Action.RUN),
        (lambda files: files | {"util.py": "f" * 64}, Action.RUN),
    ],
)
def test_a_step_may_name_the_files_that_count(
    change: Callable[[dict[str, str]], dict[str, str]], action: Action
) -> None:
    runner, world = Runner(), World().train_with(source_files=("lib", "*.py"))
    play(runner, world, "run1")
    assert decision(play(runner, replace(world, files=change(world.files)), "run2")["train"]).action is action


@pytest.mark.parametrize(("file", "action"), [("train.py", Action.RUN), ("util.py", Action.REUSE)])
def test_a_script_that_a_parameter_names_counts_too(file: str, action: Action) -> None:
    settings = {"script": {"kind": "parameter", "name": "script"}}
    world = World().train_with(source_files=("lib",), settings=settings)
    world = replace(world, parameters={**world.parameters, "script": "train.py"})
    runner = Runner()
    play(runner, world, "run1")
    changed = replace(world, files=world.files | {file: "f" * 64})
    assert decision(play(runner, changed, "run2")["train"]).action is action


def test_a_path_with_a_parameter_in_it_is_told_as_it_was() -> None:
    path = Text(parts=(Literal(value="data/"), FromParameter(name="reg_rate")))
    world = inputs(source=DatastoreSource(datastore="store", path=path))(World())
    runner = Runner()
    play(runner, world, "run1")
    second = play(runner, replace(world, iris=Content(digest="iris 4")), "run2")
    assert [it.text for it in decision(second["train"]).reasons] == ["input iris (store/data/0.1) changed"]


def test_the_first_time_is_called_so() -> None:
    first = play(Runner(), World(), "run1")
    assert [it.text for it in decision(first["train"]).reasons] == ["it has not run before in this experiment"]


def test_what_is_asked_for_once_serves_later_runs() -> None:
    """`regenerate` forces this run; its outputs take the place of the earlier ones."""
    runner, world = Runner(), World()
    play(runner, world, "run1")
    play(runner, replace(world, regenerate=("*",)), "run2")
    assert decision(play(runner, world, "run3")["train"]).from_run == "run2"


def test_what_was_read_must_be_what_was_seen() -> None:
    """A blob that changes between the look at it and the read of it: its step's output serves nobody."""
    runner = Runner()
    seen = Content(digest="iris 1", read="as listed")
    world = replace(World(), iris=seen)

    def run(name: str, read: str) -> Decision:
        def script(job: Job) -> StepResult:
            found = {"iris": ReadData(files=1, size=1, fingerprint=read)}
            return msgspec.structs.replace(result(job, "e" * 64), read=found)

        return decision(play(runner, replace(world, scripts={"train": script}), name)["train"])

    run("run1", "as replaced meanwhile")
    assert run("run2", "as listed").action is Action.RUN
    assert run("run3", "as listed").action is Action.REUSE


def test_what_is_gone_is_made_again() -> None:
    made: list[str] = []

    def script(job: Job) -> StepResult:
        made.append(f"{job.prefix}/model")
        return result(job, "e" * 64)

    runner, world = Runner(), World(scripts={"train": script})
    play(runner, world, "run1")
    runner.gone = {made[0]}
    again = play(runner, world, "run2")
    assert decision(again["prepare"]).action is Action.REUSE
    assert [(it.code, made[0] in it.text) for it in decision(again["train"]).reasons] == [("gone", True)]
    assert len(made) == 2
    assert decision(play(runner, world, "run3")["train"]).from_run == "run2"


def test_a_rerun_keeps_finished_steps_whatever_changed() -> None:
    runner, world = Runner(), World().train_with(allow_reuse=False)
    runner.keep_going = True
    failing: dict[str, Script] = {"train": lambda _: FAILURE}
    assert play(runner, replace(world, scripts=failing), "run1")["train"].status == "Failed"
    second = play(runner, replace(world, environment="python 4"), "run2", rerun_of="run1")
    assert decision(second["prepare"]).action is Action.KEEP
    assert second["train"].status == "Completed"


class Died(Exception):
    """The process is gone."""


def test_who_waits_is_sent_on_although_the_maker_died_meanwhile() -> None:
    """The maker's message comes back; whoever has left a message in its row by then must not be overlooked."""
    runner = Runner(step("make"))
    runner.start("run1")
    runner.start("run2")
    first, second = runner.waiting

    def dies(job: Job) -> StepResult:
        assert runner.world.run(deliver(runner.memory, second, Delivery(message_id="m2", count=1))) == ()
        runner.scripts = {}
        raise Died

    runner.scripts = {"make": dies}
    with pytest.raises(Died):
        runner.world.run(deliver(runner.memory, first, Delivery(message_id="m1", count=1)))
    sent = runner.world.run(deliver(runner.memory, first, Delivery(message_id="m1", count=2)))
    assert sent == (second,)
    runner.waiting = list(sent)
    runner.finish()
    assert [decision(it).action for it in runner.world.run(steps_view(runner.memory, "run2"))] == [Action.REUSE]


def test_who_waits_is_sent_on_although_the_maker_died_before_it_said_that_it_is_done() -> None:
    """Whoever comes next says it in the maker's place, and sends on the others."""
    runner = Runner(step("make"))
    for run in ("run1", "run2", "run3"):
        runner.start(run)
    first, second, third = runner.waiting

    def script(job: Job) -> StepResult:
        for number, message in enumerate((second, third)):
            runner.world.run(deliver(runner.memory, message, Delivery(message_id=f"w{number}", count=1)))
        return StepResult(exit_code=0)

    def dying(commit: Commit) -> tuple[str, ...]:
        merges = [write.props for write in commit.writes if isinstance(write, Merge)]
        if commit.table == entries.REUSE and any(props.get("made") for props in merges):
            raise Died
        return runner.world.account.tables.commit(commit)

    runner.scripts = {"make": script}
    runner.world.register(Commit, dying)
    with pytest.raises(Died):
        runner.world.run(deliver(runner.memory, first, Delivery(message_id="m1", count=1)))
    runner.world.register(Commit, runner.world.account.tables.commit)
    assert runner.world.run(deliver(runner.memory, second, Delivery(message_id="w0", count=2))) == ()
    queued = [decode(message.body) for message in runner.world.account.queues.messages(first.queue)]
    assert third in queued
    runner.waiting = queued
    runner.finish()
    for run in ("run2", "run3"):
        assert [decision(it).action for it in runner.world.run(steps_view(runner.memory, run))] == [Action.REUSE]
