"""What events have missed is found by listing, within the schedule's period."""

from __future__ import annotations

import pytest

from orchestrator.catalog import registered_datastores
from orchestrator.catalog.registered_datastores import Wish as RegisteredWish
from orchestrator.changes import sweep
from orchestrator.changes.watch import REMEMBERED_SECONDS
from orchestrator.core.datastore import Datastore, address_of
from orchestrator.core.errors import Unavailable
from orchestrator.core.secret import Secret
from orchestrator.files import FileItem, ListFiles
from tests.unit.changes.watching import CONTAINER, STORE, Watching


@pytest.fixture
def at() -> Watching:
    return Watching()


@pytest.mark.parametrize("minutes", [1, 2, 5, 30])
@pytest.mark.parametrize("offset", [0, 1, 59, 60, 61, 119, 299])
def test_a_missed_blob_is_found_within_the_period(at: Watching, minutes: int, offset: int) -> None:
    at.schedule(polling_interval=minutes)
    at.pass_time(offset)
    at.write("in/missed.csv")
    at.pass_time(minutes * 60)
    assert at.paths() == ["in/missed.csv"]


def test_every_blob_of_a_long_time_is_found_once(at: Watching) -> None:
    at.schedule(polling_interval=5)
    names = []
    for number in range(100):
        names.append(f"in/{number:03}.csv")
        at.write(names[-1])
        at.pass_time(17.3, step=17.3)
    at.pass_time(300)
    assert at.paths() == names


def test_a_listing_in_many_turns_misses_nothing_that_changes_meanwhile(
    at: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PAGE", 3)
    monkeypatch.setattr(sweep, "MOST_PAGES", 2)
    at.schedule(polling_interval=1)
    for number in range(60):
        at.write(f"in/{number:02}.csv")
    written = 60
    for minute in range(30):  # behind the listing and before it
        at.write(f"in/{(minute * 7) % 60:02}.csv")
        at.write(f"in/{(minute * 11) % 60:02}-new.csv")
        written += 2
        at.pass_time(60)
    at.pass_time(1800)
    changed = [(blob.path, blob.etag) for info in at.runs() for blob in at.changes(info).changes]
    assert len(changed) == len(set(changed))
    now = {(name, head.etag) for name, head in heads(at).items()}
    assert now <= set(changed)
    assert len(changed) <= written


def heads(at: Watching) -> dict[str, FileItem]:
    page = at.world.run(iter(ListFiles(container=CONTAINER, prefix="in/")))
    return {item.name: item for item in page.items}


def test_the_blob_at_the_path_itself_is_found(at: Watching) -> None:
    at.schedule(path="in/one.csv")
    at.write("in/one.csv")
    at.write("in/one.csv.bak")
    at.pass_time(300)
    assert at.paths() == ["in/one.csv"]


def test_a_folder_below_is_found_only_if_it_is_asked_for(at: Watching) -> None:
    at.schedule()
    at.schedule(recursive=True, pattern="*.csv")
    at.write("in/sub/a.csv")
    at.write("in/sub/a.txt")
    at.pass_time(300)
    assert at.paths() == ["in/sub/a.csv"]


def test_a_schedule_whose_container_is_not_there_yet_waits(at: Watching) -> None:
    at.schedule()
    at.pass_time(600)
    at.write("in/a.csv")
    at.pass_time(300)
    assert at.paths() == ["in/a.csv"]


def test_what_was_noticed_long_ago_is_forgotten_and_stays_noticed(at: Watching) -> None:
    schedule = at.schedule(polling_interval=60)
    at.upload("in/a.csv")
    at.pass_time(REMEMBERED_SECONDS + 7200, step=600)
    rows = at.account.tables.partition("changes", schedule.id)
    assert sorted(rk for rk in rows if rk[:2] in ("n|", "m|")) == []
    at.event("in/a.csv")
    at.pass_time(7200, step=60)
    assert at.paths() == ["in/a.csv"]


def test_one_schedule_that_fails_does_not_keep_the_others_waiting(
    at: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.schedule(path="bad")
    at.schedule()
    at.write("in/a.csv")
    listing = at.files.list

    def list_files(effect: ListFiles) -> object:
        if effect.prefix == "bad/":
            raise Unavailable("not now")
        return listing(effect)

    at.world.register(ListFiles, list_files)
    at.clock.advance(300)
    swept = at.sweep()
    assert (swept.watched, swept.found) == (2, 1)
    assert [reason for _, reason in swept.failed] == ["not now"]
    assert at.paths() == ["in/a.csv"]


def test_the_datastore_is_named_to_the_run(at: Watching) -> None:
    at.schedule()
    at.write("in/a.csv")
    at.pass_time(300)
    assert [at.assigned(info).datastore for info in at.runs()] == [STORE]


def test_a_registered_datastore_is_found_by_listing(at: Watching) -> None:
    lake = Datastore(
        name="lake",
        type="AzureBlob",
        auth="identity",
        account="lakeaccount",
        container="raw",
        endpoint="https://lakeaccount.blob.core.windows.net",
    )
    wish = RegisteredWish(datastore=lake, secret=Secret(""), validate=False)
    registered, _ = at.world.run(registered_datastores.register(wish, configured=at.intake.datastores))
    at.schedule(datastore="lake")
    at.files.put(address_of(registered), "in/a.csv", b"x")
    at.write("in/other-store.csv")
    at.pass_time(300)
    (info,) = at.runs()
    assert (at.assigned(info).datastore, at.assigned(info).path) == ("lake", "in/a.csv")
