"""From an input to groups, and from what became of groups to the step's outputs; the groups themselves are played."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.core.definition import (
    Definition,
    FromParameter,
    Input,
    Literal,
    Output,
    ParameterSource,
    ParentSource,
    StepSource,
)
from orchestrator.core.job import InputData, Job
from orchestrator.core.kinds.parallel_run import VERDICTS, MiniBatches
from orchestrator.core.nesting import Child, Children
from orchestrator.core.result import File, Metric, OutputData, StepError, StepResult
from orchestrator.core.states import RunStatus, StepStatus
from steps import parallel_run
from steps.composite import CompositeContext, Expansion
from steps.failures import ChildFailed, InitFailed, InputDamaged, InputUnusable, InvalidStep, TimedOut, TooManyFailed
from steps.log import StepLog
from steps.memory_store import MemoryStore
from steps.parallel import plan
from steps.parallel import verdicts as judging
from steps.parallel.group import ROWS_FILE, VERDICTS_FILE
from steps.parallel.plan import Group
from steps.parallel.verdicts import Verdict, Verdicts
from steps.stop import Stop
from steps.transfer import Pool
from tests.unit.steps.jobs import DATA, SYSTEM, file_of, job, settings

Play = Callable[[Group], StepResult]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SYSTEM, DATA)


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(4)
    yield pool
    pool.close()


class Played:
    """A step over the files of in/, whose groups end as a test says."""

    def __init__(self, store: MemoryStore, pool: Pool, folder: Path) -> None:
        self.store = store
        self.pool = pool
        self.folder = folder
        self.contexts = count()
        self.rounds: list[int] = []

    def context(self, wish: Job) -> CompositeContext:
        made = settings(self.folder / "cache", function_timeout_seconds=None)
        return CompositeContext(
            job=wish,
            settings=made,
            log=StepLog(self.store, SYSTEM, f"{wish.prefix}/log.txt", limit=10_000),
            stop=Stop(),
            store=self.store,
            pool=self.pool,
            outputs={"out": self.folder / "out"},
            scratch=self.folder / f"scratch-{next(self.contexts)}",
            kept=self.folder / "code",
        )

    def job(self, **changes: Any) -> Job:
        given = {"entry_script": "a.py", "inputs": ["data"], "output": "out", "process_count_per_node": 1} | changes
        made = job("0" * 64, inputs={"data": InputData(datastore=DATA, path="in")}, outputs=(Output(name="out"),))
        port = Input(name="data", source=ParameterSource(name="where"))
        step = msgspec.structs.replace(made.step, kind="parallel_run", settings=given, inputs=(port,))
        return msgspec.structs.replace(made, step=step)

    def expand(self, wish: Job) -> tuple[Expansion, list[Group]]:
        found = parallel_run.expand(self.context(wish))
        return found, self.groups(found)

    def groups(self, found: Expansion) -> list[Group]:
        return [plan.decode(self.store.blobs[SYSTEM][it.settings["group"]]) for it in found.definition.steps]

    def join(self, wish: Job, play: Play, status: RunStatus = RunStatus.COMPLETED, **more: Any) -> CompositeContext:
        """Through all rounds."""
        expansion: Expansion | None = self.expand(wish)[0]
        while expansion is not None:
            results = [play(group) for group in self.groups(expansion)]
            self.rounds.append(len(results))
            children = Children(
                run="child",
                status=status,
                timed_out=more.get("timed_out", False),
                steps=tuple(map(_child, range(len(results)), results)),
                join=dict(expansion.join),
                expanded=StepResult(),
            )
            context = self.context(msgspec.structs.replace(wish, children=children))
            expansion = parallel_run.join(context, children)
        return context

    def ended(
        self,
        group: Group,
        verdicts: list[Verdict],
        rows: str = "",
        files: dict[str, str] | None = None,
        attempt: int = 1,
    ) -> StepResult:
        """What an attempt of a group that ended well leaves in storage."""
        told = judging.encode(Verdicts(verdicts=tuple(verdicts)))
        contents = {VERDICTS: {VERDICTS_FILE: told, ROWS_FILE: rows.encode()}}
        contents["out"] = {name: text.encode() for name, text in (files or {}).items()}
        outputs = {}
        for name, items in contents.items():
            prefix = f"runs/child/{group.number}/{attempt}/{name}"
            for path, data in items.items():
                self.store.put(DATA, f"{prefix}/{path}", data)
            manifest = tuple(file_of(path, data) for path, data in items.items())
            outputs[name] = OutputData(datastore=DATA, prefix=prefix, files=manifest)
        return StepResult(outputs=outputs)

    def well(self, group: Group, attempt: int = 1) -> StepResult:
        verdicts = [Verdict(index=it.index, items=it.items, returned=it.items) for it in group.batches]
        rows = "".join(f"{item.path}\n" for it in group.batches for item in it.files)
        return self.ended(group, verdicts, rows, attempt=attempt)

    def rows(self) -> list[str]:
        return (self.folder / "out" / "parallel_run_step.txt").read_text().splitlines()


def _child(position: int, result: StepResult) -> Child:
    status = StepStatus.COMPLETED if result.error is None else StepStatus.FAILED
    return Child(id=f"g{position}", name=f"group {position}", position=position, status=status, result=result)


@pytest.fixture
def played(store: MemoryStore, pool: Pool, tmp_path: Path) -> Played:
    for number in range(40):
        store.put(DATA, f"in/f{number:02}", b"")
    return Played(store, pool, tmp_path)


def test_ten_thousand_files_are_each_in_one_group_whatever_dies(store: MemoryStore, pool: Pool, tmp_path: Path) -> None:
    """Attempts that died before their commit have left their results in storage; they do not count."""
    names = [f"f{number:05}" for number in range(10_000)]
    for name in names:
        store.put(DATA, f"in/{name}", b"")
    played, chance = Played(store, pool, tmp_path), random.Random(7)
    attempts: list[int] = []

    def play(group: Group) -> StepResult:
        attempt = 1
        while chance.random() < 0.3:
            played.well(group, attempt)
            attempt += 1
        attempts.append(attempt)
        return played.well(group, attempt)

    context = played.join(played.job(mini_batch_size=10, error_threshold=0, node_count=4), play)
    assert max(attempts) > 2
    assert played.rows() == names
    assert context.properties == {
        "mini_batches": "1000",
        "failed_mini_batches": "0",
        "items": "10000",
        "failed_items": "0",
    }


def test_a_definition_names_groups_and_no_files(played: Played) -> None:
    wish = played.job(mini_batch_size=2, node_count=2)
    side = Input(name="model", source=StepSource(step="up", output="o"), mode="download")
    arguments = (Literal(value="--rate"), FromParameter(name="rate"))
    step = msgspec.structs.replace(wish.step, inputs=(*wish.step.inputs, side), arguments=arguments)
    wish = msgspec.structs.replace(wish, step=step, parameters={"rate": 0.5, "other": 1})
    expansion, groups = played.expand(wish)
    assert expansion.window == 2
    assert expansion.parameters == {"rate": 0.5}
    definition: Definition = expansion.definition
    assert [len(group.batches) for group in groups] == [3, 3, 3, 3, 3, 3, 2]
    assert {it.name for it in definition.steps[0].inputs} == {"model"}
    assert definition.steps[0].inputs[0].source == ParentSource(input="model")
    assert b"f00" not in msgspec.json.encode(definition)
    for it in definition.steps:
        assert list(msgspec.convert(it.settings, MiniBatches).problems("s")) == []


def test_failures_of_all_groups_add_up(played: Played) -> None:
    def play(group: Group) -> StepResult:
        verdicts = [Verdict(index=it.index, items=it.items, returned=it.items - 1) for it in group.batches]
        return played.ended(group, verdicts)

    wish = {"mini_batch_size": 10, "node_count": 2}
    assert played.join(played.job(**wish, error_threshold=4), play).properties["failed_items"] == "4"
    with pytest.raises(
        TooManyFailed, match=r"4 of 40 items failed; error_threshold allows 3\.\nMini-batch 0: run\(\) ret"
    ):
        played.join(played.job(**wish, error_threshold=3), play)


def test_of_a_lost_group_only_the_mini_batch_that_is_the_reason_fails(played: Played) -> None:
    """Mini-batch 2 takes its worker along, whatever else is in its group."""

    def play(group: Group) -> StepResult:
        if any(batch.index == 2 for batch in group.batches):
            return StepResult(error=StepError(code="Crashed", message="The process died 5 times."))
        metric = Metric(name="group", kind="scalar", value=group.number, at=1.0)
        return msgspec.structs.replace(played.well(group), metrics=(metric,))

    wish = {"mini_batch_size": 5, "node_count": 1}
    context = played.join(played.job(**wish, error_threshold=5), play, RunStatus.FAILED)
    assert played.rounds == [4, 2]
    assert context.properties["failed_mini_batches"] == "1"
    assert played.rows() == [f"f{number:02}" for number in range(40) if number not in range(10, 15)]
    assert [metric.value for metric in context.metrics] == [0, 2, 3, 5]
    errors = (played.folder / "code" / "logs" / "user" / "error.txt").read_text().splitlines()
    assert errors == ["Mini-batch 2, after 1 try: Crashed: The process died 5 times."]
    with pytest.raises(TooManyFailed, match="5 of 40 items failed"):
        played.join(played.job(**wish, error_threshold=4), play, RunStatus.FAILED)


def test_what_no_mini_batch_is_the_reason_of_fails_the_step(played: Played) -> None:
    error = StepError(code="EnvironmentImpossible", message="There is no package nonsense.")
    with pytest.raises(ChildFailed, match="group 0: EnvironmentImpossible: There is no package nonsense"):
        played.join(played.job(), lambda group: StepResult(error=error), RunStatus.FAILED)


def test_what_is_fatal_in_a_group_is_fatal(played: Played) -> None:
    error = StepError(code="InitFailed", message="The entry script a.py did not start: no model")
    with pytest.raises(InitFailed, match="no model"):
        played.join(played.job(), lambda group: StepResult(error=error), RunStatus.FAILED)


def test_a_run_that_took_too_long(played: Played) -> None:
    with pytest.raises(TimedOut, match="longer than they may"):
        played.join(played.job(), played.well, RunStatus.CANCELED, timed_out=True)


def test_files_of_the_script_are_adopted_and_the_last_of_one_name_is_kept(played: Played) -> None:
    def play(group: Group) -> StepResult:
        own = {f"g{group.number}.txt": "x", "same.txt": str(group.number)}
        verdicts = [Verdict(index=it.index, items=it.items, returned=it.items) for it in group.batches]
        return played.ended(group, verdicts, "", own)

    context = played.join(played.job(mini_batch_size=20, node_count=1), play)
    found: list[File] = context.adopted["out"]
    assert {file.path: file.blob for file in found} == {
        "g0.txt": "runs/child/0/1/out/g0.txt",
        "g1.txt": "runs/child/1/1/out/g1.txt",
        "same.txt": "runs/child/1/1/out/same.txt",
    }
    assert played.rows() == []


def test_summary_only_writes_no_rows(played: Played) -> None:
    played.join(played.job(output_action="summary_only"), played.well)
    assert list((played.folder / "out").iterdir()) == []


def test_nothing_to_divide(played: Played) -> None:
    played.store.blobs[DATA].clear()
    wish = played.job()
    data = InputData(datastore=DATA, path="in", files=())
    with pytest.raises(InputUnusable, match="there are no mini-batches"):
        played.expand(msgspec.structs.replace(wish, inputs={"data": data}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": ["dta"]}, "the input 'dta'. Did you mean \"data\""),
        ({"inputs": ["data", "data"]}, "An input is divided once"),
        ({"output": "rows"}, "the output 'rows'"),
    ],
)
def test_ports_that_are_not_there(played: Played, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidStep, match=words):
        played.expand(played.job(**changes))


def test_verdicts_are_one_for_each_mini_batch(played: Played) -> None:
    def play(group: Group) -> StepResult:
        return played.ended(group, [Verdict(index=0, items=10, returned=10)])

    with pytest.raises(InputDamaged, match="4 verdicts on 4 mini-batches, and not one on each"):
        played.join(played.job(mini_batch_size=10, node_count=1), play)


def test_what_the_scripts_logged_is_the_steps(played: Played) -> None:
    def play(group: Group) -> StepResult:
        metric = Metric(name="loss", kind="scalar", value=group.number, at=1.0)
        return msgspec.structs.replace(played.well(group), metrics=(metric,), tags={"seen": str(group.number)})

    context = played.join(played.job(mini_batch_size=20, node_count=1), play)
    assert [metric.value for metric in context.metrics] == [0, 1]
    assert context.tags == {"seen": "1"}
