"""Every change of pipelines, endpoints, environments and drafts, cut off at each effect, and sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from orchestrator.adapters.memory import ManualClock, MemoryAccount, MemoryWorld
from orchestrator.catalog import drafts, endpoints, environments, pipelines
from orchestrator.catalog.drafts import Draft
from orchestrator.catalog.named import Changes
from orchestrator.catalog.pipelines import Publication
from orchestrator.catalog.rows import CATALOG
from orchestrator.core.definition import Definition, Step
from orchestrator.core.environments.document import EnvironmentDocument
from orchestrator.ports import Commit, Query, Task, WriteBlob

STEPS = (Step(id="a", name="a", kind="python_script", settings={"script": "a.py"}),)
DRAFT = Draft(
    id="0b8e0d1c-7f5e-4c7e-8a63-1f2f5a0e9d11", name="d", experiment="e", definition="", created_at=0.0, tags={"a": "b"}
)


DRAWN = ("id", "created_at", "published_at", "key")


class Killed(BaseException):
    """The process is gone."""


class World(MemoryWorld):
    """Dies at its `cut`-th write, before or after it was done."""

    def __init__(self, account: MemoryAccount, cut: int | None, *, done: bool) -> None:
        super().__init__(account, clock=ManualClock().clock())
        self.left = cut
        self.done = done
        commit, write = account.tables.commit, account.blobs.__setitem__
        self.register(Commit, lambda effect: self._cut(lambda: commit(effect)))
        self.register(WriteBlob, lambda effect: self._cut(lambda: write(effect.name, effect.data)))

    def _cut(self, perform: Callable[[], Any]) -> Any:
        if self.left is None:
            return perform()
        self.left -= 1
        if self.left < 0 and not self.done:
            raise Killed
        made = perform()
        if self.left < 0:
            raise Killed
        return made


def publication(version: str) -> Publication:
    return Publication(definition=Definition(name="p", steps=STEPS), version=version)


def prepare(account: MemoryAccount) -> tuple[str, str]:
    """The ids of an endpoint with one version, and of a pipeline that is none of its versions."""
    world = MemoryWorld(account)
    first, second = (world.run(pipelines.publish(publication(version)))[0].id for version in ("1", "2"))
    world.run(environments.register("old", EnvironmentDocument()))
    world.run(drafts.create(DRAFT, Definition(name="p", steps=STEPS)))
    return world.run(endpoints.publish("there", "", first))[0].id, second


ACTIONS: dict[str, Callable[[str, str], Task[Any]]] = {
    "publish a pipeline": lambda endpoint, other: pipelines.publish(publication("3")),
    "disable a pipeline": lambda endpoint, other: pipelines.set_status(other, "Disabled"),
    "make an endpoint": lambda endpoint, other: endpoints.publish("new", "d", other),
    "add a version": lambda endpoint, other: endpoints.add(endpoint, other, default=False),
    "add a default version": lambda endpoint, other: endpoints.add(endpoint, other, default=True),
    "rename an endpoint": lambda endpoint, other: endpoints.change(endpoint, Changes(name="renamed")),
    "archive an endpoint": lambda endpoint, other: endpoints.change(endpoint, Changes(status="Deprecated")),
    "register an environment": lambda endpoint, other: environments.register("new", EnvironmentDocument(image="a")),
    "register another version": lambda endpoint, other: environments.register("old", EnvironmentDocument(image="a")),
    "make a draft": lambda endpoint, other: drafts.create(
        msgspec.structs.replace(DRAFT, id=DRAFT.id.replace("0b", "0c")), Definition(name="p", steps=STEPS)
    ),
    "change a draft": lambda endpoint, other: drafts.change(DRAFT.id, {"description": "new"}),
}


def shape(account: MemoryAccount) -> list[Any]:
    """All rows of the catalog, without what is drawn or comes of the clock."""
    world = MemoryWorld(account)
    found = []
    for kind in (pipelines.KIND, endpoints.KIND, drafts.KIND, environments.KIND):
        for row in world.run(iter(Query(table=CATALOG, pk=kind, first="", last="~"))):
            props = dict(row.props)
            text = str(props.get(kind) or props.get("version") or "")
            record = msgspec.json.decode(text) if text.startswith("{") else props
            plain = {name: value for name, value in record.items() if name not in DRAWN}
            found.append((kind, row.rk.partition("|")[0], sorted(plain.items(), key=lambda item: item[0])))
    return sorted(found, key=repr)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_what_was_cut_off_is_as_if_it_had_not_been(action: str, done: bool) -> None:
    clean = MemoryAccount()
    MemoryWorld(clean).run(ACTIONS[action](*prepare(clean)))
    wanted = shape(clean)
    for cut in range(20):
        account = MemoryAccount()
        names = prepare(account)
        try:
            World(account, cut, done=done).run(ACTIONS[action](*names))
        except Killed:
            MemoryWorld(account).run(ACTIONS[action](*names))
            assert shape(account) == wanted, f"cut at write {cut}"
        else:
            assert cut > 0
            return
    raise AssertionError("never finished")
