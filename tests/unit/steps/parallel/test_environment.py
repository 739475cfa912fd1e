"""Mini-batches in an environment of the step's own, made by a real uv."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from orchestrator.core.definition import Output, Step
from orchestrator.core.kinds.parallel_run import VERDICTS
from steps.memory_store import MemoryStore
from steps.parallel import plan
from steps.parallel.group import ROWS_FILE
from steps.parallel.plan import Group, Item, MiniBatch
from steps.settings import VenvSettings
from steps.step_environment import packages_for, spec_of
from steps.venv_maker import configuration
from tests.unit.steps.jobs import DATA, SYSTEM, job, perform, put_snapshot, settings, working
from tests.wheels import wheel

GROUP = "runs/run1/score/1-abc/groups/000000.json"
ASKED = {"name": "scoring", "conda": {"dependencies": [{"pip": ["first==2.0"]}]}}


def test_the_entry_script_finds_what_it_asked_for(tmp_path: Path) -> None:
    store, index = MemoryStore(SYSTEM, DATA), tmp_path / "index"
    index.mkdir()
    wheel(index, "first", "2.0")
    store.put(DATA, "in/a", b"a")
    item = Item(path="a", blob="in/a", datastore=DATA)
    store.put(
        SYSTEM,
        GROUP,
        plan.encode(Group(number=0, port="data", batches=(MiniBatch(index=0, items=1, files=(item,)),))),
    )
    source = "import first\ndef run(mini_batch):\n    return [first.VERSION]\n"
    made = job(
        put_snapshot(store, {"score.py": source}),
        outputs=(Output(name="out", create=True), Output(name=VERDICTS, create=True)),
    )
    wish = {"entry_script": "score.py", "inputs": ["data"], "output": "out", "group": GROUP, "environment": ASKED}
    step = msgspec.structs.replace(made.step, kind="mini_batches", settings=wish)
    venvs = VenvSettings(configuration={**configuration(os.environ), "UV_FIND_LINKS": str(index)}, timeout=120.0)
    with working(store, settings(tmp_path / "cache", venvs=venvs)) as worker:
        result = perform(worker, msgspec.structs.replace(made, step=step))
    assert result.error is None, result.error
    assert store.blobs[DATA][f"{result.outputs[VERDICTS].prefix}/{ROWS_FILE}"] == b"2.0\n"


def test_rows_need_what_reads_them() -> None:
    def asked(*, rows: bool) -> tuple[str, ...]:
        step = Step(id="s", name="s", kind="mini_batches", settings={"environment": ASKED, "rows": rows})
        return packages_for(step, spec_of(step)).requirements

    assert asked(rows=False) == ("first==2.0",)
    assert asked(rows=True) == ("first==2.0", "pandas", "pyarrow")
