"""What steps have committed, page by page."""

from __future__ import annotations

import pytest

from orchestrator.core.errors import InvalidRequest, UnknownThing
from orchestrator.core.job import Job
from orchestrator.core.result import File, OutputData, StepResult
from orchestrator.engine.outputview import OutputsPage, Signing, Wish, outputs_page
from tests.unit.engine.running import Runner, step

SIGNING = Signing(datastores={"workspaceblobstore": "data"}, seconds=60)
PER_STEP = 7 + 3 + 2


def files(count: int, prefix: str = "") -> tuple[File, ...]:
    return tuple(File(path=f"{prefix}{number}", size=number, sha256="s") for number in range(count))


def work(job: Job) -> StepResult:
    return StepResult(
        outputs={
            "out": OutputData(datastore="workspaceblobstore", prefix=f"{job.prefix}/out", files=files(7)),
            "more": OutputData(datastore="workspaceblobstore", prefix=f"{job.prefix}/more", files=files(3)),
            "gone": OutputData(datastore="gone", prefix="p", files=files(9)),
            "none": OutputData(datastore="workspaceblobstore", prefix="q"),
        },
        artifacts=files(2, "outputs/"),
        artifact_prefix=f"{job.prefix}/artifacts",
    )


@pytest.fixture(scope="module")
def runner() -> Runner:
    runner = Runner(step("a"), step("b", "a"), step("c", "b"), step("d", "c"), scripts=dict.fromkeys("abd", work))
    runner.start()
    runner.finish()
    return runner


def pages(runner: Runner, wish: Wish) -> list[OutputsPage]:
    found = []
    continuation = None
    while True:
        turned = Wish(step=wish.step, output=wish.output, what=wish.what, limit=wish.limit, continuation=continuation)
        found.append(runner.world.run(outputs_page(runner.memory, "run1", SIGNING, turned)))
        continuation = found[-1].continuation
        if continuation is None:
            return found


def listed(found: list[OutputsPage]) -> list[str]:
    """The URLs of all files, as the pages have them."""
    return [
        file.url
        for page in found
        for left in page.steps.values()
        for heap in (*(view.files for view in left.outputs.values()), left.artifacts)
        for file in heap
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, PER_STEP - 1, PER_STEP, PER_STEP + 1, 3 * PER_STEP, 5000])
def test_pages_have_every_file_once(runner: Runner, limit: int) -> None:
    whole = listed(pages(runner, Wish(limit=5000)))
    assert len(whole) == len(set(whole)) == 3 * PER_STEP
    found = pages(runner, Wish(limit=limit))
    assert listed(found) == whole
    assert all(len(listed([page])) <= limit and len(page.steps) <= limit for page in found)
    assert {name for page in found for name in page.steps} == set("abcd")


def test_every_page_says_how_much_there_is(runner: Runner) -> None:
    for page in pages(runner, Wish(step="a", limit=4)):
        left = page.steps["a"]
        assert left.total_artifacts == 2
        assert {name: (view.total_files, view.total_size) for name, view in left.outputs.items()} == {
            "out": (7, 21),
            "more": (3, 3),
            "gone": (9, 36),
            "none": (0, 0),
        }


def test_a_part_of_it(runner: Runner) -> None:
    assert all("/more/" in url for url in listed(pages(runner, Wish(output="more", limit=2))))
    assert len(listed(pages(runner, Wish(output="more", limit=2)))) == 9
    only = pages(runner, Wish(what="artifacts", limit=1))
    assert len(listed(only)) == 6
    assert all("/artifacts/outputs/" in url for url in listed(only))
    assert all(left.outputs == {} for page in only for left in page.steps.values())
    (outputs,) = pages(runner, Wish(step="d", what="outputs"))
    assert list(outputs.steps) == ["d"]
    assert (outputs.steps["d"].artifacts, len(listed([outputs]))) == ((), 10)
    assert listed(pages(runner, Wish(output="unheard-of"))) == []


@pytest.mark.parametrize(
    "continuation", ["", "x", "1", "1.", ".1", "4.0", "-1.0", "0.-1", "0.1\n", "٣.٣", "0." + "9" * 12]
)
def test_a_continuation_that_nobody_was_given(runner: Runner, continuation: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        runner.world.run(outputs_page(runner.memory, "run1", SIGNING, Wish(continuation=continuation)))
    assert caught.value.field == "continuation"


def test_beyond_the_end_there_is_nothing(runner: Runner) -> None:
    page = runner.world.run(outputs_page(runner.memory, "run1", SIGNING, Wish(continuation="3.500")))
    assert (listed([page]), page.continuation) == ([], None)


def test_an_unknown_step(runner: Runner) -> None:
    with pytest.raises(UnknownThing):
        runner.world.run(outputs_page(runner.memory, "run1", SIGNING, Wish(step="x")))


def test_a_result_is_read_once_for_all_of_its_pages() -> None:
    """A large result lies in a blob of its own."""
    many = StepResult(artifacts=files(5000), artifact_prefix="x")
    runner = Runner(step("a"), scripts={"a": lambda _: many})
    runner.start()
    runner.finish()
    first = runner.world.run(outputs_page(runner.memory, "run1", SIGNING, Wish()))
    kept = [name for name in runner.world.account.blobs if "result" in name]
    assert kept
    for name in kept:
        del runner.world.account.blobs[name]
    later = pages(runner, Wish())
    assert (len(first.steps["a"].artifacts), len(listed(later))) == (1000, 5000)
